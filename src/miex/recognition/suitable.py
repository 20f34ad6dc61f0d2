"""Whether an onset and an apex are what recognizers are made for: what else is shown is refused, not read.

A recognizer knows no answer but its classes. Of a hand before the mouth, a cut, or noise it says one of them, and with
no less confidence. So before a clip is predicted its onset and apex are looked at:

- each shows a face, in one place, and it is one face that could be followed from one to the other: no recognizer reads
  a cut, or one person and then another (`spotting.Reference.moved`);
- in the onset no other face is nearly as large, since then nobody can tell whose expression was asked for. Frames may
  stand any way up: they are turned as the face in the onset is;
- for inputs that tell where a face moves and not how much (`Input.relative`), something on it moves: in a flow map
  noise is stretched to the full range like any expression. Blur, compression and light that change between the frames
  are read as motion, too, so motion has to explain what changes (`spotting.Reference.explained`);
- for a recognizer that says so (`Limits`, which the one that comes with miex has), the face is not smaller than it was
  found to bear, the head is not turned further than in what it was trained on, and does not move further between the
  frames than it was found to bear. Who trains a recognizer of profiles or of moving heads knows better, so others have
  no such limit.

Evaluation refuses nothing: a hard sample left out would be a better score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miex.errors import InputError
from miex.faces.crop import inter_ocular
from miex.faces.landmarks import Landmarker
from miex.images import Image
from miex.recognition.inputs.base import Input
from miex.recognition.predictor import Limits, Predictor
from miex.recognition.spotting import Reference

# What counts as motion, without the head's and the eyes': displacements of `spotting.regions`, summed, inter-ocular
# distances. One frame twice, with noise and JPEG between, has less; expressions have more, even at the lowest intensity
# that sets have by default. The card of the recognizer that comes with miex says how many of each.
LEAST_MOTION = 0.03
# Share of what changes in the detail of the face, beside the head's motion, that the motion of its skin explains. Still
# faces that are sharper, blurred, compressed, noisier, lighter or darker have less, expressions more: see the card.
LEAST_EXPLAINED = 0.3
# Correlation of the gray levels of its skin, without the lips, that a face keeps from onset to apex. Of 2,865 pairs of
# two people, aligned, none has more than 0.964; of 102 pairs of a default set none less than 0.997, of 23 of a real
# smile 0.984. Spotting asks for less, since it follows a head that moves further.
SAME_FACE = 0.97

# Of the distance between the eyes of the largest face: a face with less stands behind it.
ANOTHER_AS_LARGE = 0.5

REASONS = ("no face", "turned", "another face", "moved", "nothing moves", "another picture")


@dataclass(frozen=True)
class Refusal:
    """Why a recognizer is not asked about a pair: one of REASONS, and what an error says."""

    reason: str
    where: str
    expected: str
    found: str
    do: str


def prove_alone(onset: Image, limits: Limits, landmarker: Landmarker, *, name: str) -> None:
    """Prove that it is clear whose face a clip is of, and that enough of it is seen.

    Args:
        onset: as it was given, uint8 RGB [h, w, 3], with a face.
        limits: of what is asked.
        landmarker: finds the faces.
        name: of the clip, for messages.

    Raises:
        InputError: another face is nearly as large as the largest, or that is too small.
    """
    largest, *others = sorted((inter_ocular(face) for face in landmarker.detect(onset).landmarks), reverse=True)
    if others and others[0] > ANOTHER_AS_LARGE * largest:
        raise InputError(
            f"{name}: its onset frame", expected="one face, or one that is far larger than the others",
            found=f"two, with {largest:.0f} and {others[0]:.0f} pixels between the eyes",
            do="cut out the face that you mean, from all frames alike",
        )  # fmt: skip
    if limits.eyes is not None and largest < limits.eyes:
        raise InputError(
            f"{name}: its onset frame", expected=f"a face with at least {limits.eyes:g} pixels between the eyes",
            found=f"{largest:.0f}", do="use the clip in its original size; a picture made larger shows no more",
        )  # fmt: skip


def prove_suitable(onset: Image, apex: Image, predictor: Predictor, landmarker: Landmarker, *, name: str) -> None:
    """Prove that a recognizer can be asked about a pair of frames.

    Args:
        onset, apex: uint8 RGB [size, size, 3], aligned by the face in the onset.
        predictor: what is asked.
        landmarker: finds the face.
        name: of the clip, for messages.

    Raises:
        InputError: a frame shows no face, the face in the apex is another one or elsewhere, nothing moves, or the head
            is turned or moves further than the recognizer knows.
    """
    if (no := refusal(onset, apex, predictor.takes, predictor.limits, landmarker)) is not None:
        raise InputError(f"{name}: {no.where}", expected=no.expected, found=no.found, do=no.do)


def refusal(onset: Image, apex: Image, takes: Input, limits: Limits, landmarker: Landmarker) -> Refusal | None:
    """Why a recognizer with this input and these limits is not asked about a pair of frames, or None.

    Onset, apex and landmarker are those of `prove_suitable`.
    """
    found = {"onset": landmarker.detect(onset, 0), "apex": landmarker.detect(apex, 0)}
    for which, seen in found.items():
        if not seen.sure:
            return Refusal(
                "no face", f"its {which} frame", "a face, where the onset has it", "none",
                "choose another frame, in which nothing is before the face",
            )  # fmt: skip
    for which, seen in found.items():
        yaw, pitch, _ = np.abs(seen.pose[seen.largest]).tolist()
        if limits.turn is not None and max(yaw, pitch) > limits.turn:
            return Refusal(
                "turned", f"its {which} frame", f"a face from the front, turned by at most {limits.turn:g}°",
                f"turned by {yaw:.0f}° sideways, and {pitch:.0f}° up or down",
                "choose frames that show the face from the front, or a recognizer that knows other views",
            )  # fmt: skip
    mesh = found["onset"].landmarks[found["onset"].largest]
    reference = Reference(onset, np.asarray(mesh, np.float64))
    motion, shift, followed = reference.moved(apex, SAME_FACE, lips=False)
    if not followed:
        return Refusal(
            "another face", "its onset and apex", "one face, in one shot", "faces that no motion connects",
            "choose frames between which there is no cut, no other person, nothing that comes before the face, and no "
            "more than a micro-expression: a broad smile or another light is too much",
        )  # fmt: skip
    if limits.shift is not None and shift > limits.shift:
        return Refusal(
            "moved", "from onset to apex",
            f"a head that moves by at most {limits.shift:g} of the distance between the eyes", f"{shift:.2f}",
            "choose an onset nearer to the apex, or stabilize the clip by the head",
        )  # fmt: skip
    strength = float(np.linalg.norm(motion, axis=1).sum())
    if takes.relative and strength < LEAST_MOTION:
        return Refusal(
            "nothing moves", "from onset to apex",
            f"an expression: motion of at least {LEAST_MOTION:g} distances between the eyes, summed over {len(motion)} "
            "regions of the face outside the eyes", f"{strength:.3f}, no more than noise makes",
            "choose as apex the frame in which the expression is strongest, and as onset the one before it begins",
        )  # fmt: skip
    if takes.relative and (explained := reference.explained(apex)) < LEAST_EXPLAINED:
        return Refusal(
            "another picture", "from onset to apex",
            f"frames that differ by motion, which explains at least {LEAST_EXPLAINED:.0%} of what changes in the face",
            f"{max(0, explained):.0%}: one is sharper, more compressed, noisier or in another light",
            "choose frames of one clip, taken and stored alike",
        )  # fmt: skip
    return None
