"""Whether identity is kept: distances of frames to their rest face, compared with distances between people.

Two descriptors of a frame, both from landmarks found anew in it, neither learned from faces: uniform local binary
patterns of the skin and the features, and the shape of the mesh. `benchmarks/identity.py` says how well each tells
people apart. No face recognition network is asked: none is at hand that could be passed on with a set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from skimage.feature import local_binary_pattern

from miex.faces.crop import eye_centers, inter_ocular, similarity
from miex.images import Image, gray

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# LBP(8, 2, u2) in 7 × 7 cells is what Ahonen et al. 2006 (§4) settle on, there for faces of 130 × 150 px
SIDE, CELLS = 96, 7
NEIGHBORS, RADIUS, PATTERNS = 8, 2, 59
EYES = np.array([[0.275, 0.3], [0.725, 0.3]]) * SIDE  # where the eyes go: from brows to chin, hardly any background
SKIN = slice(468)  # the mesh without the irises, which go where the eyes look


@dataclass(frozen=True)
class FrameDescriptor:
    """Descriptors of one frame.

    Attributes:
        appearance: float32 [CELLS² · PATTERNS]: histograms of uniform local binary patterns, each cell's sum 1.
        shape: float64 [468, 2]: the mesh about its center, inter-ocular distances.
    """

    appearance: npt.NDArray[np.float32]
    shape: Floats


def describe_frame(frame: Image, landmarks: npt.NDArray[np.floating]) -> FrameDescriptor:
    """Describe a frame.

    Args:
        frame: uint8 RGB [h, w, 3] with one face.
        landmarks: found in it, [478, 2 or 3], its pixels.
    """
    place = similarity(eye_centers(landmarks), EYES)
    scale = float(np.sqrt(np.linalg.det(place[:, :2])))
    picture = gray(frame)
    if scale < 1:  # no aliasing: see faces.crop.align
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.5 * float(np.sqrt(scale**-2 - 1))), np.uint8)
    flags, mirrored = cv2.INTER_CUBIC, cv2.BORDER_REFLECT_101
    face = np.asarray(cv2.warpAffine(picture, place, (SIDE, SIDE), flags=flags, borderMode=mirrored), np.uint8)
    patterns = local_binary_pattern(face, NEIGHBORS, RADIUS, "nri_uniform").astype(np.intp)  # type: ignore[no-untyped-call]
    cell = np.arange(SIDE) * CELLS // SIDE
    bins = (cell[:, None] * CELLS + cell) * PATTERNS + patterns
    counts = np.bincount(bins.ravel(), minlength=CELLS**2 * PATTERNS).reshape(CELLS**2, PATTERNS)
    points = np.asarray(landmarks, np.float64)[SKIN, :2]
    shape = (points - points.mean(axis=0)) / inter_ocular(landmarks)
    return FrameDescriptor((counts / counts.sum(axis=1, keepdims=True)).astype(np.float32).ravel(), shape)


def appearance_distances(a: list[FrameDescriptor], b: list[FrameDescriptor]) -> Floats:
    """χ² distance of the patterns (Ahonen et al. 2006, eq. 3, without weights), mean over the cells, float64
    [len(a), len(b)]: 0 for the same histograms, 1 for histograms that share nothing."""
    theirs = np.stack([one.appearance for one in b])
    rows = []
    for one in a:  # row by row: all at once would be gigabytes for a thousand faces
        both = one.appearance + theirs
        squares = np.divide((one.appearance - theirs) ** 2, both, where=both > 0, out=np.zeros_like(both))
        rows.append(squares.sum(axis=1, dtype=np.float64) / (2 * CELLS**2))
    return np.stack(rows)


def shape_distances(a: list[FrameDescriptor], b: list[FrameDescriptor]) -> Floats:
    """Root mean square distance of the landmarks after the shift, turn and scale that bring each mesh of b nearest to
    each of a (full Procrustes), inter-ocular distances of a, float64 [len(a), len(b)]."""
    # as complex numbers a turn and a scale are one factor
    za, zb = (np.stack([one.shape @ (1, 1j) for one in many]) for many in (a, b))
    size = np.linalg.norm(za, axis=1, keepdims=True)
    shared = np.abs((za / size) @ (zb / np.linalg.norm(zb, axis=1, keepdims=True)).conj().T)
    return np.asarray(size * np.sqrt(np.maximum(0, 1 - shared**2)) / np.sqrt(za.shape[1]), np.float64)


DISTANCES: dict[str, Callable[[list[FrameDescriptor], list[FrameDescriptor]], Floats]] = {
    "appearance": appearance_distances,
    "shape": shape_distances,
}


@dataclass(frozen=True)
class IdentityKept:
    """Distances of one descriptor.

    Attributes:
        onset, apex: of each sample's frame to the rest face of its identity, float64 [n].
        people: between the rest faces of people who are not related, each pair once, float64 [pairs].
        relatives: between those made from one photo, the same.
        n_faces: rest faces among which each apex looks for its own.
        own_onset, own_apex: share of the frames that have no other person's rest face nearer than their own (rank-1).
    """

    onset: Floats
    apex: Floats
    people: Floats
    relatives: Floats
    n_faces: int
    own_onset: float
    own_apex: float

    @property
    def ratio(self) -> float:
        """Median distance of the apexes over that between people; NaN without unrelated people."""
        return float(np.median(self.apex) / np.median(self.people)) if len(self.people) else float("nan")


def identity_kept(
    onset: list[FrameDescriptor], apex: list[FrameDescriptor], own: list[int], rest: list[FrameDescriptor],
    *, same: Flags, related: Flags, distances: Callable[[list[FrameDescriptor], list[FrameDescriptor]], Floats],
) -> IdentityKept:  # fmt: skip
    """Compare.

    Args:
        onset, apex: of each sample, at least one.
        own: index into rest of each sample's identity.
        rest: one of each identity, at least two of different persons.
        same: bool [len(rest), len(rest)]: the same person (each is of itself). They are nobody's other people.
        related: the same: other persons made from one photo.
        distances: one of DISTANCES.
    """
    among = distances(rest, rest)
    once = np.triu(np.ones_like(same), 1) & ~same
    to = {name: distances(rest, frames).T for name, frames in (("onset", onset), ("apex", apex))}
    at = np.arange(len(own))
    mine = {name: d[at, own] for name, d in to.items()}
    kept = {n: float((mine[n] <= np.where(same[own], np.inf, to[n]).min(axis=1)).mean()) for n in to}
    return IdentityKept(
        mine["onset"], mine["apex"], among[once & ~related], among[once & related], len(rest),
        kept["onset"], kept["apex"],
    )  # fmt: skip
