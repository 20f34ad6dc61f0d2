"""The embedded AU extractor: it explains skin motion at the landmarks by what facial muscles do to this very face.

It needs only the landmark model. Landmarks found anew in each frame jitter more than a micro-expression
moves (at 256 px the motion of AU intensity 0.2 is a tenth to a pixel; found again they are off by as much). So they are
found in the clip's neutral frame, and their motion is read from the optical flow between that frame and each other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from miex.aus.tracks import Track
from miex.aus.vector import N_AUS, AUArray
from miex.corpora.clip import Clip
from miex.executors.local import one_thread
from miex.extraction.extractor import AUExtractor, track_name
from miex.faces.crop import CropOptions, CropPlace, align, cut, place_crop, rigid_motions, similarity
from miex.faces.landmarks import Detection, Landmarker
from miex.generators.grid import optical_flow
from miex.generators.muscle import MuscleGenerator
from miex.images import Image, ImageError, gray, read_image

VERSION = 2
SIZE = 256  # of the crop that motion is read in, pixels; at 128 it drowns in noise
PROBE = 0.2  # intensity at which the muscle generator shows what each AU does
RIDGE = 1e-4  # against dividing motion among AUs that look alike; relative to a unit of motion² per intensity²
# Eye corners, bridge and tip of the nose: what no AU moves much.
STABLE = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4)
MOST_GROWTH = 0.4  # of the head within a clip, natural logarithm
MOST_BENT = 0.15  # of the stable points against each other, fraction of the span of all of them

Motion = npt.NDArray[np.float64]


class FaceMotion:
    """A neutral frame, and how each AU would move it.

    Args:
        crop: the neutral frame, uint8 RGB [SIZE, SIZE, 3].
        landmarks: of it, [478, 3], pixels of the crop.
    """

    def __init__(self, crop: Image, landmarks: npt.NDArray[np.floating]) -> None:
        center = (SIZE - 1) / 2
        face = align(crop, landmarks, CropPlace(center, center, SIZE, 0.0), SIZE)
        self._points = face.landmarks
        self._unit = face.inter_ocular
        self._neutral = gray(face.crop)
        self._rigid, _ = np.linalg.qr(rigid_motions(np.asarray(landmarks, np.float64)))
        one_each = (np.eye(N_AUS) * PROBE).astype(np.float32)
        muscles = MuscleGenerator()
        shown = muscles.render(muscles.prepare(face), one_each)
        basis = np.stack([self._motion(frame) for frame in shown.frames], axis=1) / PROBE
        self._basis = np.vstack([basis, np.sqrt(RIDGE) * np.eye(N_AUS)])

    def aus(self, crop: Image) -> AUArray:
        """Intensities of a frame, aligned as the neutral one, float32 [17] in [0, 1].

        The non-negative combination of AUs whose motion is nearest to that of the frame, both without what a rigid
        motion of the head explains. (Signed, with the negative part dropped after, it would not take a fading smile for
        other AUs; but it lets AUs balance each other, and reads AU 15 off every real smile.)
        """
        from scipy.optimize import nnls  # half a second, which every run would wait for

        target = np.concatenate([self._motion(crop), np.zeros(N_AUS)])
        intensities, _ = nnls(self._basis, target)
        return np.asarray(np.minimum(intensities, 1), np.float32)

    def _motion(self, crop: Image) -> Motion:
        """Motion of the landmarks since the neutral frame, rigid part taken off, inter-ocular distances, [478 · 2]."""
        flow = optical_flow(self._neutral, gray(crop))
        x, y = self._points[None, :, 0], self._points[None, :, 1]
        planes = [
            cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for plane in cv2.split(flow)
        ]
        moved = np.stack([plane[0] for plane in planes], axis=1).astype(np.float64).ravel() / self._unit
        return np.asarray(moved - self._rigid @ (self._rigid.T @ moved), np.float64)


def _plausible(head: npt.NDArray[np.float64], source: Motion, target: Motion) -> bool:
    """Whether a head can have moved so within a clip: turned and grown little, its stable points where they were."""
    (turn, _, _), (sine, _, _) = head
    scale = float(np.hypot(turn, sine))
    left = source @ head[:, :2].T + head[:, 2] - target
    size = float(np.linalg.norm(target.max(axis=0) - target.min(axis=0)))
    return abs(np.log(scale)) < MOST_GROWTH and turn > scale / 2 and float(np.hypot(*left.T).max()) < MOST_BENT * size


@dataclass(frozen=True)
class EmbeddedExtractor(AUExtractor):
    """AUs of a clip against its own neutral frame: the annotated onset, or the first frame where a face is found.

    By that, every AU of the neutral frame is 0, and one that relaxes shows as its antagonists: a smile that fades reads
    as AU 1, 5, 15. What it sees is motion in the picture: it inverts what the muscle generator does to that face, so
    its intensities are in that generator's measure, whoever made the frames, and it knows of no AU that does not move
    skin there. `quality.recovery` says how well, AU by AU, and which AUs it takes for each other; on real faces, where
    lips part over teeth and skin folds, less is to be expected: of a real broad smile it read AU 6 and 10 in full,
    AU 12 as 0.25 and AU 25 not at all. Faces smaller than about 200 px, or that turn by more than about 15 degrees
    within a clip, are read badly.

    Attributes:
        model: file of the landmark model.
    """

    model: Path
    name: ClassVar[str] = "miex-flow"

    @property
    def version(self) -> str:
        return f"{VERSION} ({MuscleGenerator.name} {MuscleGenerator.version})"

    def extract(self, clip: Clip) -> Track:
        # of a long video only the event
        first, last = clip.onset or 0, len(clip.frames) - 1 if clip.offset is None else clip.offset
        with one_thread(), Landmarker(self.model) as landmarker:
            aus = self.aus_of([_photo(path) for path in clip.frames[first : last + 1]], landmarker)
        frames = np.arange(first, first + len(aus), dtype=np.int32)
        confidence = np.full(len(aus), np.nan, np.float32)
        return Track(track_name(clip), frames, aus, confidence, self.name, self.version)

    def reason(self, frame: Path) -> str:
        try:
            read_image(frame)
        except ImageError as error:
            return error.found
        return super().reason(frame)

    def aus_of(self, photos: Sequence[Image | None], landmarker: Landmarker, neutral: int = 0) -> AUArray:
        """AUs of pictures of one face.

        Args:
            photos: uint8 RGB [h, w, 3] each, of any size; None where one cannot be read.
            landmarker: of `model`, open.
            neutral: index of the neutral one; if no face is found there, the next after it where one is.

        Returns:
            float32 [n, 17] in [0, 1]; NaN in frames without a face or with one that cannot be the neutral frame's, and
            everywhere if there is no neutral frame.
        """
        aus = np.full((len(photos), N_AUS), np.nan, np.float32)
        reference, mesh, turn = _first_face(photos, landmarker, neutral)
        if mesh is None:
            return aus
        meshes = [
            mesh if i == reference else None if photo is None else _mesh(landmarker, photo, turn)
            for i, photo in enumerate(photos)
        ]
        place = place_crop(mesh, CropOptions(SIZE)).photo_from_crop(SIZE)
        inverse = np.linalg.inv(place[:, :2])
        in_crop = np.column_stack(
            [(mesh[:, :2] - place[:, 2]) @ inverse.T, mesh[:, 2] * np.sqrt(np.linalg.det(inverse))]
        )
        motion = None
        stable = (list(STABLE), slice(2))
        for i in [reference, *(i for i in range(len(photos)) if i != reference)]:
            photo, found = photos[i], meshes[i]
            if photo is None or found is None:
                continue
            # where the neutral frame's crop lies in this one, as far as what no AU moves tells
            head = similarity(mesh[stable], found[stable])
            if not _plausible(head, mesh[stable], found[stable]):
                continue  # another face, or a mesh that missed the face
            moved = np.column_stack([head[:, :2] @ place[:, :2], head[:, :2] @ place[:, 2] + head[:, 2]])
            crop = cut(photo, moved, SIZE)
            if motion is None:
                motion = FaceMotion(crop, in_crop)
                aus[i] = 0
            else:
                aus[i] = motion.aus(crop)
        return aus


def _photo(path: Path) -> Image | None:
    try:
        return read_image(path)
    except ImageError as error:
        if error.out_of_reach:  # it may be whole, and a table of AUs is kept
            raise
        return None


def _first_face(
    photos: Sequence[Image | None], landmarker: Landmarker, first: int
) -> tuple[int, npt.NDArray[np.float64] | None, int]:
    """The first picture with a face: its index, its mesh, and how it stands: one camera turns no frame of a clip."""
    for i, photo in enumerate(photos[first:], first):
        found = Detection.none() if photo is None else landmarker.detect(photo)
        if found.sure:
            return i, np.asarray(found.landmarks[found.largest], np.float64), found.turn
    return first, None, 0


def _mesh(landmarker: Landmarker, photo: Image, turn: int) -> npt.NDArray[np.float64] | None:
    found = landmarker.detect(photo, turn)
    return np.asarray(found.landmarks[found.largest], np.float64) if len(found.landmarks) else None
