"""How well the descriptors of identity tell people apart: pairs of photos of one person against pairs of two.

    python -m benchmarks.identity --pairs DIR

DIR holds two photos of each person, NAME_neutral.* and NAME_smiling.* (the Face Research Lab London Set has them). Both
are cut to crops as sets hold them, landmarks are found anew in the crops, and each smiling crop is compared with every
neutral one. A broad smile changes a face far more than a micro-expression does. Where one studio took all photos, as
there, neither light nor camera tells people apart, nor does it differ between the two photos of one person.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu

from miex.errors import InputError
from miex.faces.crop import CropOptions, align, place_crop
from miex.faces.landmarks import MODEL, Landmarker
from miex.images import read_image
from miex.quality.identity import DISTANCES, FrameDescriptor, describe_frame

SIZES = (256, 128)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, help="Folder of the photos. Without it there is nothing to measure.")
    options = parser.parse_args(arguments)
    if options.pairs is None:
        print("no --pairs: skipped")
        return
    neutral = sorted(options.pairs.glob("*_neutral.*"))
    smiling = [path.with_name(path.name.replace("_neutral.", "_smiling.")) for path in neutral]
    if len(neutral) < 2 or not all(path.is_file() for path in smiling):
        raise InputError(
            f"pairs of {options.pairs}", expected="NAME_neutral.* and NAME_smiling.* of two people or more"
        )
    print(f"{len(neutral)} people, a neutral and a smiling photo of each\n")
    print("| descriptor | crop | AUC same against other person | nearest is their own | median same | median other |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        with Landmarker(MODEL.find()) as landmarker:
            rest, other = ([_described(path, size, landmarker) for path in paths] for paths in (neutral, smiling))
        for name, distances in DISTANCES.items():
            found = distances(rest, other)
            same, different = np.diagonal(found), found[~np.eye(len(found), dtype=bool)]
            auc = mannwhitneyu(different, same).statistic / (len(same) * len(different))
            own = (found.argmin(axis=0) == np.arange(len(found))).mean()
            medians = f"{np.median(same):.3f} | {np.median(different):.3f}"
            print(f"| {name} | {size} px | {auc:.4f} | {own:.1%} | {medians} |")


def _described(path: Path, size: int, landmarker: Landmarker) -> FrameDescriptor:
    photo = read_image(path)
    found = landmarker.detect(photo)
    landmarks = found.landmarks[found.largest]
    crop = align(photo, landmarks, place_crop(landmarks, CropOptions(size)), size).crop
    again = landmarker.detect(crop)
    return describe_frame(crop, again.landmarks[again.largest])


if __name__ == "__main__":
    main()
