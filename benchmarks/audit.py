"""What `miex report` measures of sets of the muscle generator, read off their stored frames.

    python -m benchmarks.audit --faces DIR [--ids N] [--out FILE]

With `--nuisances off` the face performs the AUs of the plan and nothing else: what is read is the error of generator
and measure together. With the default nuisances, residual motion and other muscles are as large as the expression. In
all of this, the generator is read by its own fields.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import miex
from benchmarks.machine import processor_seconds
from benchmarks.page import page, parser
from miex.api.synthesize import report
from miex.aus.vector import AU_NUMBERS
from miex.executors.local import available_workers
from miex.faces.photos import default_pool
from miex.quality.audit import Audit


@dataclass(frozen=True)
class Audited:
    """A set of a kind, and what was measured of it."""

    name: str
    audit: Audit
    psnr: npt.NDArray[np.float64]
    ssim: npt.NDArray[np.float64]
    seconds: float  # of the processor, for each sample measured


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("audit", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--ids", type=int, default=12)
    given = options.parse_args(arguments)
    with page("What `miex report` reads off stored frames", options, given), tempfile.TemporaryDirectory() as folder:
        print(
            f"Sets of the generator muscle with the default expert table; {given.ids} identities at 256 px, a third as"
            " many at 128 px, three pairs each. Medians over pairs, in brackets 5 to 95 %, unless said otherwise.\n"
        )
        few = max(2, given.ids // 3)
        kinds = {
            "off, 256 px": {"ids": given.ids, "size": 256, "nuisances": "off"},
            "default, 256 px": {"ids": given.ids, "size": 256},
            "off, 128 px": {"ids": few, "nuisances": "off"},
            "default, 128 px": {"ids": few},
        }
        sets = [audited(name, Path(folder), given.faces, **how) for name, how in kinds.items()]
        print_frames(sets)
        print_identity(sets)
        for one in sets[:2]:
            print_aus(one)


def audited(name: str, folder: Path, faces: Path, **how: object) -> Audited:
    """Make a set, and measure every sample of it."""
    out = folder / name
    made = miex.synthesize(out, faces=faces, workers=available_workers(), **how)
    began = processor_seconds()
    found = report(out, audit=len(made), workers=available_workers()).audit
    assert found is not None
    columns = (np.asarray(made.table[name].to_pylist(), float) for name in ("psnr", "ssim"))
    return Audited(name, found, *columns, (processor_seconds() - began) / found.n)


def spread(values: npt.NDArray[np.float64], digits: int) -> str:
    if not len(values):
        return "–"
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return f"{middle:.{digits}f} ({low:.{digits}f} … {high:.{digits}f})"


def print_frames(sets: list[Audited]) -> None:
    """Sharpness, motion, still pixels, and the measures that every pair is stored with."""
    print("## Sharpness, and motion that no AU asked for\n")
    print("Sharpness 1: as the photo. Motion in % of the inter-ocular distance. The still part is a mean over pairs.\n")
    print(
        "| nuisances, size | pairs | onset, sharpness | apex, sharpness | motion where AUs ask | where none does |",
        end="",
    )
    print(" pairs with a still part | still part of the face |\n|---|---|---|---|---|---|---|---|")
    for one in sets:
        sharp, moved = one.audit.sharpness, one.audit.moved
        assert sharp is not None
        assert moved is not None
        print(f"| {one.name} | {one.audit.n} | {spread(sharp.onset, 3)} | {spread(sharp.apex, 3)} |", end="")
        print(f" {spread(moved.asked, 2)} | {spread(moved.unasked, 4)} | {len(moved.unasked)} | {moved.still:.0%} |")
    print("\n## Pixels to which no skin moves, PSNR and SSIM\n")
    print("PSNR and SSIM compare the gray onset with the gray apex.\n")
    print("| nuisances, size | pairs | keep every such pixel | share of the frame | PSNR, dB | SSIM |", end="")
    print(" s of the processor a pair |\n|---|---|---|---|---|---|---|")
    for one in sets:
        outside = one.audit.outside
        assert outside is not None
        print(f"| {one.name} | {outside.n} | {outside.unchanged} | {outside.still:.0%} |", end="")
        print(f" {spread(one.psnr, 1)} | {spread(one.ssim, 4)} | {one.seconds:.2f} |")


def print_identity(sets: list[Audited]) -> None:
    """Distances of the apex, against those between people."""
    print("\n## Identity: distances by SFace\n")
    print("| nuisances, size | pairs | apex to rest | between two people | apex / people | nearest to its own |")
    print("|---|---|---|---|---|---|")
    for one in sets:
        kept = one.audit.identity["SFace"]
        print(f"| {one.name} | {len(kept.apex)} | {spread(kept.apex, 3)} | {spread(kept.people, 3)} |", end="")
        print(f" {kept.ratio:.3f} | {kept.own_apex:.1%} |")


def print_aus(one: Audited) -> None:
    """AUs read against those that the frames were made with, of those that are on in ten pairs or more."""
    found = one.audit.recovery
    assert found is not None
    print(f"\n## AUs read: nuisances {one.name}\n")
    print(f"{found.n} pairs; AUs that are on in ten or more.\n")
    print("| AU | pairs | slope | correlation |\n|---|---|---|---|")
    for i, au in enumerate(AU_NUMBERS):
        if np.isfinite(found.slope[i]):
            print(f"| {au} | {found.pairs[i]} | {found.slope[i]:.2f} | {found.correlation[i]:.2f} |")


if __name__ == "__main__":
    main()
