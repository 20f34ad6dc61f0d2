"""The crop that flow is computed in: drawn for samples of sets, one and the same for all real clips.

Two groups published flow maps, 28 × 28, of the same 309 clips of CASME II and SMIC: the authors of STSTNet (Liong, Gan,
See, Khor, Huang, FG 2019) of a tight crop, those of CausalNet (ICCV 2025) of a loose one. A recognizer that has seen
only one of them takes the places of eyes and mouth for part of the expression, and fails on the other. So the crop of
a sample of a set is drawn between the two, with the real pixels around the face. Real clips are cut alike: their frames
are aligned by the landmarks of the onset, and the crop is `MIDDLE`, half-way between the two.

The tight crop has 170 rows and 140 columns. Where the face lies in it is not known exactly: eyes at 0.18 to 0.28 of the
height, mouth corners at 0.66 to 0.72. Of the loose crop it is known how it differs from the tight one: what is at pixel
p of a tight map is at s (p − 13.5) + 13.5 + t of the loose map, and so what is at a fraction f of one crop is at
s (f − 0.5) + 0.5 + t / 28 of the other. Fitted to all clips of a corpus together, to the right and down:

    CASME II  s = (0.85, 0.93), t = (0.5, 3)
    SMIC      s = (0.85, 0.85), t = (0.5, 2)

From the middle of the tight crop's ranges, and about half of its width between the eyes, follow the places in the loose
one. The size in pixels, whose scale is that of the tight crop, is 140 / s by 170 / s:

                      eyes   mouth   between the eyes   rows × columns
    tight             0.23   0.69    0.50               170 × 140
    loose, CASME II   0.36   0.78    0.43               183 × 165
    loose, SMIC       0.34   0.73    0.43               200 × 165

Horizontal and vertical scale differ, as the loose crop's aspect is another in CASME II. It shows more forehead and more
cheek than the tight one, and no more below the chin. So one number, how loose the crop is, decides scale and shift
together, and another one of which corpus the loose end is; each is drawn uniformly, and so are eyes and mouth of the
tight crop. The shift to the right, 0.02 of the width, lies within the one that is drawn to either side.

In frames of the default layout (eyes at 0.38, mouth at 0.72 of the side), 1.5 % of the drawn crops reach beyond the
frame, by at most 0.03 of its side. What is beyond repeats the frame's border.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from miex.faces.crop import CropOptions
from miex.images import Image
from miex.recognition.inputs.base import Frames
from miex.stable import stable_hash

ROWS, COLUMNS = 170, 140  # of the tight crop
EYES, MOUTH = (0.18, 0.28), (0.66, 0.72)  # heights in it
SHIFT = 0.02  # largest horizontal shift of the point between the eyes, as a fraction of the width
# s to the right, and s and t / 28 down: for the loose crop of SMIC, and for that of CASME II
WIDTH = (0.85, 0.85)
HEIGHT, DOWN = (0.85, 0.93), (2 / 28, 3 / 28)


@dataclass(frozen=True)
class FlowCrop:
    """A crop of a face, whose pixels are square.

    Attributes:
        rows, columns: its size.
        eyes, mouth: heights of the eye centers and the mouth corners, fractions of its height from the top. They
            determine its scale.
        shift: how far the point between the eyes lies to the right of its middle, as a fraction of its width.
    """

    rows: int
    columns: int
    eyes: float
    mouth: float
    shift: float = 0.0

    @property
    def square(self) -> FlowCrop:
        """The square crop of the same height, with more to the left and right."""
        return replace(self, columns=self.rows)

    def cut(self, frame: Image, layout: CropOptions) -> Image:
        """Cut the crop out of an aligned frame.

        Args:
            frame: uint8 [size, size] or [size, size, 3].
            layout: size of the frame, and position of the face in it.

        Returns:
            uint8 [rows, columns] or [rows, columns, 3].
        """
        scale = layout.eye_mouth * layout.size / ((self.mouth - self.eyes) * self.rows)  # frame pixels per crop pixel
        x0 = (layout.size - 1) / 2 - scale * ((self.columns - 1) / 2 + self.shift * self.columns)
        y0 = layout.eye_line * layout.size - 0.5 - scale * (self.eyes * self.rows - 0.5)
        affine = np.array([[scale, 0, x0], [0, scale, y0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = self.columns, self.rows
        return np.asarray(cv2.warpAffine(frame, affine, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def flow_crop(
    loose: float = 0.5,
    end: float = 0.5,
    eyes: float = sum(EYES) / 2,
    mouth: float = sum(MOUTH) / 2,
    shift: float = 0.0,
) -> FlowCrop:
    """A crop between the tight and the loose one.

    Args:
        loose: 0 for the tight crop, 1 for the loose one.
        end: which loose crop: 0 for that of SMIC, 1 for that of CASME II.
        eyes, mouth: their heights in the tight crop.
        shift: see `FlowCrop`.
    """

    def between(tight: float, smic: float, casme2: float) -> float:
        return tight + loose * (smic + end * (casme2 - smic) - tight)

    width, height, down = between(1, *WIDTH), between(1, *HEIGHT), between(0, *DOWN)
    top = 0.5 + down - 0.5 * height  # of the tight crop, in this one
    return FlowCrop(round(ROWS / height), round(COLUMNS / width), top + height * eyes, top + height * mouth, shift)


def drawn_crop(rng: np.random.Generator) -> FlowCrop:
    """Draw a crop: each argument of `flow_crop` uniformly from its whole range."""
    return flow_crop(rng.uniform(), rng.uniform(), rng.uniform(*EYES), rng.uniform(*MOUTH), rng.uniform(-SHIFT, SHIFT))


MIDDLE: Final = flow_crop()  # 180 × 151, eyes at 0.29 and mouth at 0.72


def crop_of(frames: Frames, seed: int = 0) -> FlowCrop:
    """The crop of an example: drawn by seed and name if its frames are those of a set, else `MIDDLE`."""
    if not frames.varied:
        return MIDDLE
    return drawn_crop(np.random.Generator(np.random.PCG64(stable_hash("flow", seed, frames.name))))
