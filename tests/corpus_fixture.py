"""Clips of a small invented corpus, AUs as an extractor would see them, and the frames of fakes without faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from miex.aus.tracks import Track
from miex.aus.vector import AU_INDEX, AU_NUMBERS, AUArray
from miex.corpora.clip import Clip, CodedAU
from miex.labels import Label

# The intensity columns of OpenFace 2.x, as its Output Format page lists them.
INTENSITIES = [f"AU{au:02d}_r" for au in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)]
EMOTIONS = {
    "happiness": (Label.positive, (6, 12)),
    "surprise": (Label.surprise, (1, 2, 26)),
    "disgust": (Label.negative, (4, 9)),
    "others": (None, (14,)),
}


def clip(subject: str, name: str, emotion: str, **changes: object) -> Clip:
    label, aus = EMOTIONS[emotion]
    made = Clip("casme2", subject, name, emotion, label, 2, 6, 9, tuple(CodedAU(au) for au in aus))
    return replace(made, **changes)  # type: ignore[arg-type]


def macros(clips: list[Clip]) -> list[Clip]:
    return [replace(of, kind="macro") for of in clips]


def corpus(n_subjects: int = 3) -> list[Clip]:
    """A clip of each emotion for every subject: onset 2, apex 6, offset 9."""
    return [
        clip(f"sub{s:02d}", f"EP{i:02d}", emotion)
        for s in range(1, n_subjects + 1)
        for i, emotion in enumerate(EMOTIONS)
    ]


def track(of: Clip, n: int = 12, *, peak: float = 0.2, rest: float = 0.05, failed: tuple[int, ...] = ()) -> Track:
    """The AUs of the clip's emotion rise from the onset to `peak` at the apex and fall to the offset, above `rest` of
    AU 4 and 14, which this person always shows."""
    assert of.onset is not None
    assert of.offset is not None
    apex = of.apex or 6
    course = np.interp(np.arange(n), [of.onset, apex, of.offset], [0, peak, 0])
    aus = np.zeros((n, len(AU_NUMBERS)), np.float32)
    aus[:, [AU_INDEX[4], AU_INDEX[14]]] = rest
    for au in EMOTIONS[of.emotion][1]:
        aus[:, AU_INDEX[au]] += course.astype(np.float32)
    aus[list(failed)] = np.nan
    frames = np.arange(n, dtype=np.int32)
    return Track(f"{of.subject}/{of.clip}", frames, aus, np.ones(n, np.float32), "openface", "2.2.0")


def tracks(clips: list[Clip]) -> dict[str, Track]:
    found = [track(of) for of in clips]
    return {one.clip: one for one in found}


def render(name: str, aus: AUArray) -> np.ndarray:
    """Frames of 2 × 2 pixels whose gray is the movement."""
    gray = np.clip(aus.sum((1, 2)) * 40, 0, 255).astype(np.uint8)
    return np.repeat(gray, 12).reshape(-1, 2, 2, 3)


def encode(frame: np.ndarray, suffix: str) -> bytes:
    return bytes([frame.flat[0]]) + suffix.encode()
