"""Whether identity is kept: distances of frames to their rest face, compared with distances between people.

Two descriptors of a frame, both from landmarks found anew in it: the embedding of SFace, a face recognition network,
and the shape of the mesh. `benchmarks/identity.py` says how well each tells people apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from miex.faces.crop import inter_ocular
from miex.faces.sface import SFace
from miex.images import Image

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SKIN = slice(468)  # the mesh without the irises, which go where the eyes look


@dataclass(frozen=True)
class FrameDescriptor:
    """Descriptors of one frame.

    Attributes:
        shape: float64 [468, 2]: the mesh about its center, inter-ocular distances.
        embedding: float64 [128], of SFace, length 1; None: not measured.
    """

    shape: Floats
    embedding: Floats | None = None


def describe_frames(
    frames: Sequence[Image], landmarks: Sequence[npt.NDArray[np.floating]], sface: SFace | None = None
) -> list[FrameDescriptor]:
    """Describe frames, all together, which takes the network a little less time than one by one.

    Args:
        frames: uint8 RGB, each [h, w, 3] with one face.
        landmarks: found in each, [478, 2 or 3], its pixels.
        sface: the network; None: embeddings are left out.
    """
    embeddings = [None] * len(frames) if sface is None else sface.embeddings(frames, landmarks)
    return [FrameDescriptor(_shape(points), one) for points, one in zip(landmarks, embeddings, strict=True)]


def _shape(landmarks: npt.NDArray[np.floating]) -> Floats:
    points = np.asarray(landmarks, np.float64)[SKIN, :2]
    return np.asarray((points - points.mean(axis=0)) / inter_ocular(landmarks), np.float64)


def sface_distances(a: Sequence[FrameDescriptor], b: Sequence[FrameDescriptor]) -> Floats:
    """1 − cosine between embeddings, which all must have, float64 [len(a), len(b)]: 0 for the same, at most 2."""
    one, other = (np.stack([np.asarray(frame.embedding) for frame in many]) for many in (a, b))
    return np.asarray(np.maximum(0, 1 - one @ other.T), np.float64)


def shape_distances(a: Sequence[FrameDescriptor], b: Sequence[FrameDescriptor]) -> Floats:
    """Root mean square distance of the landmarks after the shift, turn and scale that bring each mesh of b nearest to
    each of a (full Procrustes), inter-ocular distances of a, float64 [len(a), len(b)]."""
    # as complex numbers a turn and a scale are one factor
    za, zb = (np.stack([one.shape @ (1, 1j) for one in many]) for many in (a, b))
    size = np.linalg.norm(za, axis=1, keepdims=True)
    shared = np.abs((za / size) @ (zb / np.linalg.norm(zb, axis=1, keepdims=True)).conj().T)
    return np.asarray(size * np.sqrt(np.maximum(0, 1 - shared**2)) / np.sqrt(za.shape[1]), np.float64)


Distances = Callable[[Sequence[FrameDescriptor], Sequence[FrameDescriptor]], Floats]
DISTANCES: dict[str, Distances] = {"SFace": sface_distances, "shape": shape_distances}


def distances_of(frames: Sequence[FrameDescriptor]) -> dict[str, Distances]:
    """Those of DISTANCES that all of these frames have what it takes for."""
    embedded = all(frame.embedding is not None for frame in frames)
    return {name: one for name, one in DISTANCES.items() if embedded or one is not sface_distances}


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
    *, same: Flags, related: Flags, distances: Distances,
) -> IdentityKept:  # fmt: skip
    """Compare.

    Args:
        onset, apex: of each sample, at least one.
        own: index into rest of each sample's identity.
        rest: one of each identity, at least two of different persons.
        same: bool [len(rest), len(rest)]: the same person (each is of itself). They are nobody's other people.
        related: the same: identities made from one photo.
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
