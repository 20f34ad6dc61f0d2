"""How alike onset and apex are: PSNR and SSIM of default sets, beside what is printed of real corpora.

    python -m benchmarks.similarity [--faces DIR] [--ids N] [--sizes N,N] [--out FILE]

Sets of default settings are made at each size with each level of nuisances, of the same people, AUs and intensities.
Measures are those that every set stores (`miex.synthesis.measures`): PSNR of the whole gray frames against a peak of
255, and SSIM with a uniform window of 7 pixels. Both depend on size and crop: the more of a frame holds still, and the
smaller it is, the more alike its frames are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

import miex
from benchmarks.page import page, parser
from miex.dataset import Dataset
from miex.executors.local import available_workers
from miex.faces.photos import default_pool
from miex.synthesis.measures import psnr, ssim

LEVELS = ("off", "clean", "face", "all")
DEFAULT = "face"
PRINTED = {  # least and most PSNR, dB, and SSIM
    "SAMM": (39.2, 39.2, 0.917),
    "SMIC": (39.1, 39.9, 0.946),
    "MiE-X, one source": (38.4, 38.4, 0.982),
    "MiE-X, another source": (42.5, 42.5, 0.979),
}
REAL = ("SAMM", "SMIC")
LOW, HIGH = min(PRINTED[name][0] for name in REAL), max(PRINTED[name][1] for name in REAL)
LEAST, MOST = (end(PRINTED[name][2] for name in REAL) for end in (min, max))
NOISE = 255 / 10 ** (LOW / 20) / np.sqrt(2)  # of each of two frames that differ by it alone, at the least printed PSNR
CAMERA = "off with camera noise"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables, and what they say beside each other."""
    options = parser("similarity", __doc__)
    options.add_argument("--faces", type=Path, default=default_pool())
    options.add_argument("--ids", type=int, default=40)
    options.add_argument("--sizes", default="128,256", help="sides of crops, pixels")
    given = options.parse_args(arguments)
    with page("How alike onset and apex are", options, given):
        print("| set | crop | pairs | PSNR, dB: mean | median (5 to 95 %) | SSIM: mean | median (5 to 95 %) |")
        print("|---|---|---|---|---|---|---|")
        means = {}
        for size in map(int, given.sizes.split(",")):
            for level in LEVELS:
                with tempfile.TemporaryDirectory() as folder:
                    made = default_set(Path(folder, "set"), given.faces, given.ids, size, level)
                    rows = {level: stored(made)} | ({CAMERA: filmed(made)} if level == "off" else {})
                for name, (psnr_of, ssim_of) in rows.items():
                    means[size, name] = float(psnr_of.mean()), float(ssim_of.mean())
                    numbers = f"{spread(psnr_of, 1)} | {spread(ssim_of, 3)}"
                    print(f"| default, nuisances {name} | {size} px | {len(ssim_of):,} | {numbers} |")
        print(
            "\nPairs whose gray frames are equal have no PSNR and are left out of it. Off with camera noise: noise of\n"
            f"a standard deviation of {NOISE:.1f} gray levels is added here to both gray frames, which would\n"
            f"have {LOW} dB if they differed by nothing else.\n"
        )
        print("| real corpora, and the set that the paper made | PSNR, dB | SSIM |\n|---|---|---|")
        for name, (low, high, printed) in PRINTED.items():
            print(f"| {name} | {low}{f' to {high}' if high > low else ''} | {printed} |")
        print(
            "\nThese are figures of the literature, which states neither size nor crop nor statistic, and for MiE-X two"
            "\nthat contradict each other; they were not measured here.\n\n## In the range of real corpora?\n"
        )
        print("\n".join(sentences(means)))


def sentences(means: Mapping[tuple[int, str], tuple[float, float]]) -> list[str]:
    """What mean PSNR and SSIM by (size, level) say beside the printed ones: lines of a list."""
    said = []
    sizes, names = sorted({size for size, _ in means}), list(dict.fromkeys(name for _, name in means))
    ranges = (("PSNR, dB", LOW, HIGH, 1), ("SSIM", LEAST, MOST, 3))
    for size in sizes:
        for i, (what, low, high, digits) in enumerate(ranges):
            where = {name: place(means[size, name][i], low, high) for name in names}
            said.append(
                f"- {what}, {size} px: the default (nuisances {DEFAULT}) is **{where[DEFAULT]}** the range printed of "
                f"{' and '.join(REAL)}, {low} to {high}: "
                + ", ".join(f"{name} {means[size, name][i]:.{digits}f} ({where[name]})" for name in names)
                + "."
            )
    size, large = sizes[0], sizes[-1]
    # differences of what is printed, so that they agree with the table
    means = {of: (round(decibel, 1), round(alike, 3)) for of, (decibel, alike) in means.items()}
    decibels, alike = ({name: means[size, name][i] for name in names} for i in (0, 1))
    return [
        *said,
        f"- Why, by these rows, at {size} px: the expression alone gives {decibels['off']:.1f} dB. Blinks and residual "
        f"motion (clean) take {decibels['off'] - decibels['clean']:.1f} dB, other muscles and blinks at the onset "
        f"(face) {decibels['clean'] - decibels['face']:.1f} dB more, head, light, noise and compression (all) "
        f"{decibels['face'] - decibels['all']:.1f} dB more. These nuisances are there for recognizers to learn from.",
        "- Noise of a camera, which frames of the default do not have, takes "
        f"{decibels['off'] - decibels[CAMERA]:.1f} dB and {alike['off'] - alike[CAMERA]:.3f} of SSIM from the "
        f"expression alone, to {decibels[CAMERA]:.1f} dB and {alike[CAMERA]:.3f}.",
        f"- The size of the frame: {large} px in place of {size} px take "
        f"{decibels[DEFAULT] - means[large, DEFAULT][0]:.1f} dB and {alike[DEFAULT] - means[large, DEFAULT][1]:.3f} of "
        "SSIM from the default.",
        "- The printed figures state neither size, crop, statistic, nor whether frames were gray, and each of these "
        "moves them; so no level is made to meet them.",
    ]


def place(value: float, low: float, high: float) -> str:
    """Where a value lies beside a range."""
    return "below" if value < low else "above" if value > high else "inside"


def default_set(out: Path, faces: Path, ids: int, size: int, nuisances: str) -> Dataset:
    """A set of default settings but for these."""
    return miex.synthesize(out, faces=faces, ids=ids, size=size, nuisances=nuisances, workers=available_workers())


def stored(made: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """PSNR (those that are finite) and SSIM of all pairs of a set, as it stores them."""
    found, alike = (np.array(made.table[name].to_pylist(), float) for name in ("psnr", "ssim"))
    return found[np.isfinite(found)], alike


def filmed(made: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The same of its gray frames with noise of NOISE gray levels."""
    rng, pairs = np.random.default_rng(0), []
    for sample in made:
        frames = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in sample.frames)
        a, b = (np.clip(np.rint(one + rng.normal(0, NOISE, one.shape)), 0, 255).astype(np.uint8) for one in frames)
        pairs.append((psnr(a, b), ssim(a, b)))
    return tuple(np.array(pairs).T)


def spread(values: np.ndarray, digits: int) -> str:
    """Mean, and median with 5th and 95th percentile, as two cells of a table."""
    low, middle, high = (f"{v:.{digits}f}" for v in np.percentile(values, (5, 50, 95)))
    return f"{values.mean():.{digits}f} | {middle} ({low} … {high})"


if __name__ == "__main__":
    main()
