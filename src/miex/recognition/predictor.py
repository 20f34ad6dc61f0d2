"""What predicts: a recognizer that was trained by torch, or the one that comes with miex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from miex.errors import InputError
from miex.recognition.inputs.base import Input


@dataclass(frozen=True)
class Limits:
    """What a recognizer was made for, as far as it is known. A limit that is None refuses nothing.

    Attributes:
        turn: largest yaw and pitch of the head in onset and apex, degrees.
        shift: furthest that the head moves between them, inter-ocular distances.
        eyes: smallest distance between the eyes in the onset as it was given, pixels.
    """

    turn: float | None = None
    shift: float | None = None
    eyes: float | None = None


class Predictor(Protocol):
    """A recognizer, as far as predicting goes.

    Attributes:
        label_names: names of its classes, in the order of its outputs.
        takes: its input.
        limits: what its frames may show.
    """

    @property
    def label_names(self) -> tuple[str, ...]: ...

    @property
    def takes(self) -> Input: ...

    @property
    def limits(self) -> Limits: ...

    def probabilities(self, examples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Probability of each class, float32 [n, classes], of examples [n, …] of its input.

        Raises:
            InputError: the examples have another shape or type.
        """
        ...

    def facts(self) -> list[str]:
        """What it is, in short texts."""
        ...


def prove_form(examples: npt.NDArray[Any], takes: Input) -> None:
    """Raises InputError if examples [n, …] have another shape or type than an input's."""
    if examples.dtype != takes.dtype or examples.shape[1:] != takes.shape:
        raise other_form(takes, f"{examples.dtype} {list(examples.shape)}")


def other_form(takes: Input, found: str) -> InputError:
    """The error for examples of another form than an input's."""
    size = " × ".join(map(str, takes.shape))
    return InputError(
        f"predicting with a recognizer whose input is {takes.name} of {size}",
        expected=f"examples {takes.dtype} [n, {', '.join(map(str, takes.shape))}]",
        found=found, do="make the examples with Examples.through(takes, …), where takes is the recognizer's input",
    )  # fmt: skip
