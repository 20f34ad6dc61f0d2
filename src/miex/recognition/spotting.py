"""Spotting: when a face moves in a clip or video, from the motion of its regions.

The apex of a clip is found as by D&C-RoIs (Liong, See, Wong, Le Ngo, Oh, Phan, Automatic apex frame spotting in
micro-expression database, ACPR 2015): a feature of regions of the face is compared with that of the onset, frame by
frame, the differences are summed over the regions, and a divide-and-conquer search chooses among the peaks of the sum.
Their features are local binary patterns of three regions: both eyes with their brows, and the mouth. Here the feature
is the displacement of the skin, read from the optical flow, without the motion of the head, in 19 regions. Patterns
change with light and noise too; the eyes proper must be left out, or every blink counts; and displacements can be
compared with those of any other moment, as events in long videos ask for.

What grows with the length of a video is one row of 38 numbers per frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, gaussian_filter1d, label, median_filter

from miex.errors import InputError
from miex.faces.crop import CropOptions, cut, inter_ocular, place_crop, rigid_motions
from miex.faces.landmarks import Landmarker
from miex.faces.mesh import N_LANDMARKS, OVAL, mirror_landmarks
from miex.images import Image, gray

Floats = npt.NDArray[np.float64]

VERSION = 1  # grows whenever the same frames give another apex
SIZE = 256  # of the crop that motion is read in, pixels
BLUR = 5  # side of the square that flow is averaged over at a landmark, pixels of the crop
FINE, COARSE = 1, 8  # standard deviations of the Gaussians between which detail lies, pixels of the crop

# Regions whose motion counts: landmarks of the person's right side (mirrored for the left), and of the midline. The
# lids and the skin next to them are not among them.
SIDE_REGIONS = {
    "inner brow": (107, 55, 66, 65, 9),
    "outer brow": (70, 46, 63, 53, 105, 52),
    "forehead": (104, 69, 108, 67),
    "nose wing": (48, 49, 64, 98, 129, 102),
    "cheek": (50, 101, 36, 205, 187, 123),
    "nasolabial fold": (203, 206, 165, 92, 216),
    "mouth corner": (61, 57, 186, 185, 146, 76),
    "side of the lips": (40, 39, 91, 181),
}
MIDDLE_REGIONS = {
    "upper lip": (0, 37, 267, 164, 11),
    "lower lip": (17, 84, 314, 18, 16),
    "chin": (199, 200, 175, 171, 396),
}
# The eyes proper, of the person's right side: lids, lashes, and the skin that a blink draws along.
_EYE = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 130, 25, 110, 24, 23, 22, 26, 112, 243,
    190, 56, 28, 27, 29, 30, 247, 226, 31, 228, 229, 230, 231, 232, 233, 244, 189, 221, 222, 223, 224, 225, 113,
)  # fmt: skip
_IRISES = range(468, N_LANDMARKS)
# The lips, between which it is dark once they part.
_LIPS = (
    0, 11, 12, 13, 14, 15, 16, 17, 37, 38, 39, 40, 41, 42, 61, 62, 72, 73, 74, 76, 77, 78, 80, 81, 82, 84, 85, 86, 87,
    88, 89, 90, 91, 95, 96, 146, 178, 179, 180, 181, 183, 184, 185, 191,
)  # fmt: skip

# When another frame has to become the one that flow starts from.
MOST_SHIFT = 0.1  # of the head since that frame, inter-ocular distances
# When a frame cannot be connected to the one before it: a cut, another face, a hand before it.
MOST_TORN = 0.06  # median motion of the face's landmarks against each other, inter-ocular distances
ALIKE = 0.9  # correlation of the gray levels of its skin that a followed face keeps; a hand before the mouth breaks it


# How events are told from all else. SMOOTH, REST, ABOVE and FOOT were chosen on half of the fakes of `python -m
# benchmarks.spotting`, the others by eye.
SMOOTH = 0.01  # standard deviation of the Gaussian that displacements are smoothed by, seconds
REST = 3  # length of the window whose median is the face at rest, longest events: one must not fill half of it
AROUND, FEW = 16, 4  # length of the window that the threshold is taken from, at most and at least, longest events
ABOVE = 5  # of an apex above the median strength, in robust standard deviations
LEAST = 0.02  # strength that every apex needs, inter-ocular distances: a thousandth in each region
FOOT = 0.2  # onset and offset are where this share of the apex's strength is left


@dataclass(frozen=True)
class Event:
    """A spotted event.

    Attributes:
        onset, apex, offset: 0-based, inclusive indices of frames; onset < apex < offset.
        strength: of the motion at the apex, see `strength_of`.
    """

    onset: int
    apex: int
    offset: int
    strength: float


@cache
def regions() -> dict[str, tuple[int, ...]]:
    """The landmarks of each of the 19 regions."""
    twin = mirror_landmarks()
    sides = {f"{name}, right": ids for name, ids in SIDE_REGIONS.items()}
    sides |= {f"{name}, left": tuple(twin[i] for i in ids) for name, ids in SIDE_REGIONS.items()}
    return sides | MIDDLE_REGIONS


class Reference:
    """A frame that the displacement of others is measured from."""

    def __init__(self, frame: Image, mesh: npt.NDArray[np.float64]) -> None:
        self._place = place_crop(mesh, CropOptions(SIZE)).photo_from_crop(SIZE)
        linear, shift = self._place[:, :2], self._place[:, 2]
        at = np.column_stack([np.linalg.solve(linear, (mesh[:, :2] - shift).T).T, mesh[:, 2]])
        at[:, 2] /= np.sqrt(np.linalg.det(linear))
        self._points = at[:, :2].astype(np.float32)
        self._unit = inter_ocular(at)
        self._crop = cut(gray(frame), self._place, SIZE)
        # The preset stops at half resolution, which is faster, and in noisy fakes no worse than the full one.
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        twin = mirror_landmarks()
        left_out = {*_EYE, *(twin[i] for i in _EYE), *_IRISES, *OVAL}
        self._skin = [i for i in range(N_LANDMARKS) if i not in left_out]
        lips = {*_LIPS, *(twin[i] for i in _LIPS)}
        self._beside_lips = np.array([i not in lips for i in self._skin])
        self._levels = _levels(self._crop, self._points[self._skin])
        self._rigid = rigid_motions(at).reshape(N_LANDMARKS, 2, 6) / (1, 1, *[self._unit] * 4)
        outline = cv2.convexHull(self._points.astype(np.int32))
        self._face = cv2.fillConvexPoly(np.zeros((SIZE, SIZE), np.uint8), outline, 1) > 0

    @classmethod
    def found_in(cls, frame: Image, landmarker: Landmarker) -> Self | None:
        """With the largest face of a frame; None if there is no face in it."""
        mesh = landmarker.mesh(frame)
        return None if mesh is None else cls(frame, np.asarray(mesh, np.float64))

    def moved(
        self, frame: Image, alike: float = ALIKE, *, lips: bool = True
    ) -> tuple[npt.NDArray[np.float64], float, bool]:
        """Where the skin of this frame is in another one, the head's own motion taken off.

        The head's motion (two shifts, roll, scale, yaw, pitch) is fitted to the skin outside the eyes, by least squares
        with the weights of a Cauchy distribution: most of a face keeps still in a micro-expression, and what moves
        counts little.

        Args:
            frame: uint8 RGB, as large as this one.
            alike: correlation of the gray levels of its skin that a followed face keeps.
            lips: whether the lips are among that skin. Without them a mouth may open, and something that is before the
                mouth alone is not seen.

        Returns:
            Displacement of each region, float64 [19, 2], to the right and down, and the largest displacement by the
            head, both in inter-ocular distances; and whether it is this face that was followed, by MOST_TORN and
            `alike`.
        """
        crop, _, seen, head, left = self._read(frame)
        rest = seen - self._rigid @ head
        region = np.stack([rest[list(ids)].mean(axis=0) for ids in regions().values()])
        there = self._points + (seen * self._unit).astype(np.float32)
        kept = slice(None) if lips else self._beside_lips
        before, levels = self._levels[kept], _levels(crop, there[self._skin])[kept]
        same = levels.std() > 1 and float(np.corrcoef(before, levels)[0, 1]) > alike
        shift = float(np.hypot(*(self._rigid[self._skin] @ head).T).max())
        return region, shift, same and float(np.median(left)) <= MOST_TORN

    def explained(self, frame: Image) -> float:
        """How much of what changes is the skin's motion, in what the head's own motion leaves of it.

        Skin that moves takes its detail along, so that the detail at where the flow leads is again that of this frame.
        Blur, compression, noise and light change it where it is, and what flow is read of that explains little.

        Args:
            frame: as in `moved`.

        Returns:
            The share of the squared difference in the face's detail (FINE to COARSE, brought to mean 0 and standard
            deviation 1) that following the flow takes away, at most 1; below 0 if it adds to it.
        """
        crop, flow, _, head, _ = self._read(frame)
        rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
        place = np.column_stack([self._points[self._skin], np.ones(len(self._skin))])
        plane = np.linalg.lstsq(place, self._rigid[self._skin] @ head * self._unit, rcond=None)[0].astype(np.float32)
        turned = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ plane
        apart = []  # of the detail, once the head's motion is followed, and once all motion is
        for x, y in (cv2.split(turned), cv2.split(flow)):
            back = cv2.remap(crop, columns + x, rows + y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            alike = np.corrcoef(_detail(self._crop)[self._face], _detail(back)[self._face])
            apart.append(1 - float(alike[0, 1]))
        return 1 - apart[1] / max(apart[0], 1e-6)

    def _read(self, frame: Image) -> tuple[Image, npt.NDArray[np.float32], Floats, Floats, Floats]:
        """The crop of another frame; the flow to it, [SIZE, SIZE, 2], pixels; that of the landmarks, [478, 2], the
        motion of the head, [6], and how far each landmark of the skin goes beside it, in inter-ocular distances."""
        none: Any = None
        crop = cut(gray(frame), self._place, SIZE)
        raw = self._flow.calc(self._crop, crop, none)
        flow = np.asarray(cv2.blur(raw, (BLUR, BLUR)), np.float32)
        x, y = self._points[None, :, 0], self._points[None, :, 1]
        planes = (cv2.remap(one, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for one in cv2.split(flow))
        seen = np.stack([plane[0] for plane in planes], axis=1).astype(np.float64) / self._unit
        basis, target = self._rigid[self._skin], seen[self._skin]
        weights: Floats = np.ones(len(target))
        head: Floats = np.zeros(6)
        left: Floats = np.zeros(len(target))
        for _ in range(5):
            weighted = (basis * weights[:, None, None]).reshape(-1, 6)
            head = np.asarray(
                np.linalg.solve(weighted.T @ basis.reshape(-1, 6), weighted.T @ target.ravel()), np.float64
            )
            left = np.linalg.norm(target - basis @ head, axis=1)
            weights = 1 / (1 + (left / (np.median(left) + 1e-6)) ** 2)
        return crop, flow, seen, head, left


def _detail(crop: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    exact = crop.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(exact, (0, 0), FINE) - cv2.GaussianBlur(exact, (0, 0), COARSE), np.float32)


def _levels(crop: Image, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    x, y = points[None, :, 0], points[None, :, 1]
    soft = cv2.blur(crop, (BLUR, BLUR))
    return np.asarray(cv2.remap(soft, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0], np.float64)


def region_motion(frames: Iterable[Image], landmarker: Landmarker) -> npt.NDArray[np.float32]:
    """Displacement of the regions of a face in each frame of a clip or video, since its first.

    Flow starts from the first frame. Once the head has moved by more than MOST_SHIFT, the frame before becomes the one
    that flow starts from, and displacements go on from there: the face is found anew only then, since landmarks that
    are found in every frame jitter more than a micro-expression moves. Two frames and a crop are in memory at a time.

    Args:
        frames: uint8 RGB [h, w, 3] each; the largest face of the first one is followed.
        landmarker: finds the face.

    Returns:
        float32 [n, 19, 2]: to the right and down, in inter-ocular distances, in the order of `regions`. NaN where no
        face is found, and in a frame that cannot be connected to the one before it (a cut, or something before the
        face); after that, displacements start from zero.
    """
    found: list[npt.NDArray[np.float64] | None] = []
    reference: Reference | None = None
    start = np.zeros((len(regions()), 2))
    before: Image | None = None
    for frame in frames:
        where = None
        if before is None or before.shape != frame.shape:
            reference = None
        if reference is not None and before is not None:
            region, shift, followed = reference.moved(frame)
            if shift > MOST_SHIFT or not followed:  # from the frame before it is nearer
                last = found[-1]
                reference = Reference.found_in(before, landmarker)
                if reference is not None and last is not None:
                    start = last
                    region, shift, followed = reference.moved(frame)
            if reference is not None and followed:
                where = start + region
            else:
                reference = None
        elif (reference := Reference.found_in(frame, landmarker)) is not None:
            start = np.zeros_like(start)
            where = start
        found.append(where)
        before = frame
    none = np.full_like(start, np.nan)
    return np.stack([none if one is None else one for one in found]).astype(np.float32)


def apex_of(motion: npt.NDArray[np.floating]) -> int:
    """The apex of a clip, by the divide-and-conquer search of D&C-RoIs.

    The displacement since the onset is summed over the regions. Of its peaks, those in one half of the clip are left
    out, the half in which they sum up to less; the other half is divided again, until one peak is left. (If both halves
    hold as much, the first is kept: a choice of ours.) A peak is higher than the frame before and not lower than the
    one behind; the last frame is one if it is higher than the one before.

    Args:
        motion: see `region_motion`, from onset to offset, [n, 19, 2].

    Returns:
        Index of the frame, from 1 to n - 1; of a clip in which nothing moves, n // 2.

    Raises:
        ValueError: fewer than two frames.
    """
    n = len(motion)
    if n < 2:
        raise ValueError(f"a clip of {n} frames has no apex beside its onset")
    since = np.nan_to_num(np.linalg.norm(motion - motion[0], axis=2).sum(axis=1), nan=0.0)
    after = np.append(since[1:], -np.inf)
    peaks = [i for i in range(1, n) if since[i] > since[i - 1] and since[i] >= after[i]]
    first, end = 0, n
    while len(peaks) > 1:
        middle = (first + end) // 2
        halves = [i for i in peaks if i < middle], [i for i in peaks if i >= middle]
        if sum(since[i] for i in halves[0]) >= sum(since[i] for i in halves[1]):
            peaks, end = halves[0], middle
        else:
            peaks, first = halves[1], middle
    return peaks[0] if peaks else n // 2


def spot_apex(frames: Iterable[Image], landmarker: Landmarker, *, name: str) -> int:
    """The index of the apex of a clip, given from onset to offset; see `apex_of`.

    Args:
        frames: uint8 RGB [h, w, 3] each.
        landmarker: finds the face in the onset.
        name: name of the clip, for messages.

    Raises:
        InputError: fewer than two frames, or the onset shows no face.
    """
    motion = region_motion(frames, landmarker)
    if len(motion) < 2:
        raise InputError(f"apex of {name}", expected="at least two frames from onset to offset", found=f"{len(motion)}")
    if np.isnan(motion[0]).any():
        raise InputError(
            name, expected="a face in its onset frame", found="none", do="check the frame, or leave the clip out"
        )  # fmt: skip
    return apex_of(motion)


def spot_events(
    motion: npt.NDArray[np.floating], fps: float, *, shortest: float = 0.04, longest: float = 0.5
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], list[Event]]:
    """The events in a video.

    Args:
        motion: see `region_motion`, [n, 19, 2].
        fps: frames per second.
        shortest, longest: limits of an event from onset to offset, in seconds. The defaults are those of
            micro-expressions (Yan et al. 2013).

    Returns:
        Of every frame its strength (`strength_of`) and the threshold there (`threshold_of`), float32 [n]; and the
        events (`events_of`).
    """
    strength = strength_of(motion, fps, longest)
    usual, threshold = threshold_of(strength, fps, longest)
    return strength, threshold, events_of(strength, usual, threshold, fps, shortest=shortest, longest=longest)


def strength_of(motion: npt.NDArray[np.floating], fps: float, longest: float) -> npt.NDArray[np.float32]:
    """How far the regions of a face are from where they rest at the time, summed, float32 [n].

    Rest is the median displacement over REST times the longest event, frame by frame: it follows a face that drifts,
    and one that moves to stay, but no event that ends in time. Before its first and behind its last frame a video is
    taken to rest there, so that a clip may begin and end with the event.

    Args:
        motion: see `region_motion`, [n, 19, 2].
        fps: frames per second.
        longest: longest event, in seconds.

    Returns:
        In inter-ocular distances; NaN where the motion is.
    """
    n = len(motion)
    strength = np.full(n, np.nan, np.float32)
    window = 2 * round(REST * longest * fps / 2) + 1
    for (part,) in find_objects(label(~np.isnan(motion).any(axis=(1, 2)))[0]):  # each stretch with a face
        tracks = np.asarray(motion[part], np.float64).reshape(part.stop - part.start, -1)
        tracks = gaussian_filter1d(tracks, SMOOTH * fps, axis=0, mode="nearest")
        # one by one: scipy's filter of one dimension is by far faster
        away = tracks - np.stack([median_filter(track, size=window, mode="nearest") for track in tracks.T], axis=1)
        strength[part] = np.linalg.norm(away.reshape(len(tracks), -1, 2), axis=2).sum(axis=1)
    return strength


def threshold_of(
    strength: npt.NDArray[np.floating], fps: float, longest: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What the strength of an apex has to exceed, at each frame.

    The median strength around it plus ABOVE robust standard deviations (1.4826 times the median deviation from that
    median), over AROUND times the longest event; and at least LEAST. The baselines of MEGC take mean + p · (maximum −
    mean) of the whole video, which finds something in every video, and nothing else in one with a single large motion;
    medians know no maximum, and a stretch of speech or a hand before the face does not count elsewhere. Shorter videos
    are seen as a whole; one shorter than FEW times the longest event is taken to be still outside, as an event may fill
    most of it.

    Args:
        strength: see `strength_of`, [n].
        fps: frames per second.
        longest: longest event, in seconds.

    Returns:
        The median around each frame, and the threshold there, float32 [n] each, in inter-ocular distances.
    """
    curve = np.nan_to_num(np.asarray(strength, np.float64), nan=0.0)
    few, many = (round(times * longest * fps) for times in (FEW, AROUND))
    window = 2 * (min(many, max(few, len(curve))) // 2) + 1
    mode = "reflect" if len(curve) >= few else "constant"
    middle = median_filter(curve, size=window, mode=mode)
    spread = 1.4826 * median_filter(np.abs(curve - middle), size=window, mode=mode)
    threshold = np.maximum(LEAST, middle + ABOVE * spread)
    return np.asarray(middle, np.float32), np.asarray(threshold, np.float32)


def events_of(
    strength: npt.NDArray[np.floating],
    usual: npt.NDArray[np.floating],
    threshold: npt.NDArray[np.floating],
    fps: float,
    *,
    shortest: float,
    longest: float,
) -> list[Event]:
    """The events of a curve of strength, in the order of time.

    The highest frame above its threshold is the apex of an event, which reaches to both sides until FOOT of the apex's
    height above what is usual is left; then the highest of those that are in no event, and so on. Events that are too
    short or too long are left out in the end, and those that a lost face cuts off.

    Args:
        strength: see `strength_of`, [n].
        usual, threshold: see `threshold_of`, [n] each.
        fps: frames per second.
        shortest, longest: limits of an event from onset to offset, in seconds.
    """
    curve = np.nan_to_num(np.asarray(strength, np.float64), nan=-np.inf)
    taken = ~np.isfinite(curve)
    found = []
    for apex in np.argsort(-curve, kind="stable").tolist():
        if taken[apex] or curve[apex] <= threshold[apex]:
            continue
        foot = usual[apex] + FOOT * (curve[apex] - usual[apex])
        onset = offset = apex
        while onset > 0 and not taken[onset - 1] and (onset == apex or curve[onset] > foot):
            onset -= 1
        while offset < len(curve) - 1 and not taken[offset + 1] and (offset == apex or curve[offset] > foot):
            offset += 1
        taken[onset : offset + 1] = True
        # where the face is lost before the motion has ended, something else is going on, such as a hand before it
        lost = [k for k in (onset - 1, offset + 1) if 0 <= k < len(curve) and not np.isfinite(curve[k])]
        if any(curve[onset if k < onset else offset] > foot for k in lost):
            continue
        if onset < apex < offset and shortest <= (offset - onset) / fps <= longest:
            found.append(Event(onset, apex, offset, float(curve[apex])))
    return sorted(found, key=lambda event: event.apex)
