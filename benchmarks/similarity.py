"""How alike onset and apex are: PSNR and SSIM of default sets, beside what is printed of real corpora.

    python -m benchmarks.similarity [--faces DIR] [--ids N] [--sizes N,N] [--out FILE]

Sets of default settings are made at each size with each level of nuisances, of the same people, AUs and intensities.
Measures are those that every set stores (`miex.synthesis.measures`): PSNR of the whole gray frames against a peak of
255, and SSIM with a uniform window of 7 pixels. Both depend on size and crop: the more of a frame holds still, and the
smaller it is, the more alike its frames are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import miex
from benchmarks.page import page, parser
from miex.executors.local import available_workers
from miex.faces.photos import default_pool

LEVELS = ("off", "clean", "face", "all")
PRINTED = (  # PSNR, SSIM
    ("SAMM", "39.2", "0.917"),
    ("SMIC", "39.1 to 39.9", "0.946"),
    ("MiE-X, one source", "38.4", "0.982"),
    ("MiE-X, another source", "42.5", "0.979"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    options = parser("similarity", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--ids", type=int, default=40)
    options.add_argument("--sizes", default="128,256", help="sides of crops, pixels")
    given = options.parse_args(arguments)
    with page("How alike onset and apex are", options, given):
        print("| set | crop | pairs | PSNR, dB: mean | median (5 to 95 %) | SSIM: mean | median (5 to 95 %) |")
        print("|---|---|---|---|---|---|---|")
        for size in map(int, given.sizes.split(",")):
            for level in LEVELS:
                psnr, ssim = similarity(given.faces, given.ids, size, level)
                numbers = f"{spread(psnr, 1)} | {spread(ssim, 3)}"
                print(f"| default, nuisances {level} | {size} px | {len(ssim):,} | {numbers} |")
        print("\nPairs whose gray frames are equal have no PSNR and are left out of it.\n")
        print("| real corpora, and the set that the paper made | PSNR, dB | SSIM |\n|---|---|---|")
        print("\n".join(f"| {name} | {psnr} | {ssim} |" for name, psnr, ssim in PRINTED))
        noise = 255 / 10 ** (39.2 / 20) / np.sqrt(2)
        print(
            "\nThese are figures of the literature, which states neither size nor crop nor statistic, and for MiE-X two"
            "\nthat contradict each other; they were not measured here. 39.2 dB is the difference of two frames in"
            f"\nwhich nothing moves, of a camera whose noise has a standard deviation of {noise:.1f} gray levels."
        )


def similarity(faces: Path, ids: int, size: int, nuisances: str) -> tuple[np.ndarray, np.ndarray]:
    """PSNR (those that are finite) and SSIM of all pairs of a default set."""
    with tempfile.TemporaryDirectory() as folder:
        made = miex.synthesize(
            Path(folder, "set"), faces=faces, ids=ids, size=size, nuisances=nuisances, workers=available_workers()
        )
        psnr, ssim = (np.array(made.table[name].to_pylist(), float) for name in ("psnr", "ssim"))
    return psnr[np.isfinite(psnr)], ssim


def spread(values: np.ndarray, digits: int) -> str:
    """Mean, and median with 5th and 95th percentile, as two cells of a table."""
    low, middle, high = (f"{v:.{digits}f}" for v in np.percentile(values, (5, 50, 95)))
    return f"{values.mean():.{digits}f} | {middle} ({low} … {high})"


if __name__ == "__main__":
    main()
