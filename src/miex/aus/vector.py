"""The 17 action units: numbers, names, order, sides and scale (OpenFace 2 order; FACS, Ekman & Friesen 1978)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from miex.errors import ScaleError, UsageError

AU_NAMES: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    25: "lips part",
    26: "jaw drop",
    45: "blink",
}
AU_NUMBERS: tuple[int, ...] = tuple(AU_NAMES)  # the order of every AU vector in miex
N_AUS = len(AU_NUMBERS)
AU_INDEX: dict[int, int] = {au: i for i, au in enumerate(AU_NUMBERS)}
SIDES: tuple[str, str] = ("left", "right")  # the person's own sides, as in FACS: "L12" is at the right of the picture

AUArray = npt.NDArray[np.float32]


def au_index(au: int, *, where: str = "") -> int:
    """Position of an AU number in the vector. Raises UsageError if it is not one of the 17."""
    try:
        return AU_INDEX[au]
    except KeyError:
        raise UsageError(
            f"AU {au}" + (f" in {where}" if where else ""),
            expected="one of " + ", ".join(map(str, AU_NUMBERS)),
            do="leave it out, or use one of these in its place (such as AU 23 for AU 24)",
        ) from None


def checked(values: npt.ArrayLike, *, where: str = "AU vector") -> AUArray:
    """The values as float32, checked to be intensities.

    Args:
        values: shape [..., 17], or [..., 17, 2] with the person's left and right side apart.
        where: what the values are called in the message (file, row).

    Returns:
        float32 array of the same shape, every value in [0, 1].

    Raises:
        ScaleError: wrong shape, a value that is not finite, or one outside [0, 1].
    """
    with np.errstate(over="ignore"):  # values too large for float32 are refused like any other
        array = np.asarray(values, dtype=np.float32)
    _prove(array, 1, where, "values from 0 to 5 (OpenFace AUxx_r) go through from_facs5")
    return array


def from_facs5(values_facs5: npt.ArrayLike, *, where: str = "AU vector") -> AUArray:
    """Intensities in [0, 1] from FACS/OpenFace intensities in [0, 5] (divided by 5, as in the paper).

    Args:
        values_facs5: shape [..., 17] or [..., 17, 2], as in `checked`.
        where: names the values in the message.

    Raises:
        ScaleError: wrong shape, or a value outside [0, 5].
    """
    array = np.asarray(values_facs5, dtype=np.float64)
    _prove(array, 5, where, "FACS intensities are 0 to 5 (A to E are 1 to 5)")
    return (array / 5).astype(np.float32)


def _prove(array: npt.NDArray[np.floating], top: int, where: str, do: str) -> None:
    if array.ndim == 0 or not (array.shape[-1] == N_AUS or array.shape[-2:] == (N_AUS, len(SIDES))):
        raise ScaleError(where, expected=f"shape [..., {N_AUS}] or [..., {N_AUS}, 2]", found=f"shape {array.shape}")
    bad = ~((array >= 0) & (array <= top))
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        au = AU_NUMBERS[at[-1] if array.shape[-1] == N_AUS else at[-2]]
        raise ScaleError(
            f"{where}: AU{au:02d} = {float(array[at]):g} at {list(at)}",
            expected=f"intensities in [0, {top}]",
            found=f"{int(bad.sum())} of {array.size} values outside",
            do=do,
        )


def from_mapping(intensities: Mapping[int, float], *, where: str = "AU vector") -> AUArray:
    """A vector float32 [17] from {AU number: intensity}; AUs not named are 0.

    Raises:
        UsageError: an AU that is not one of the 17.
        ScaleError: an intensity outside [0, 1].
    """
    vector = np.zeros(N_AUS)
    for au, value in intensities.items():
        vector[au_index(au, where=where)] = value
    return checked(vector, where=where)


def to_mapping(vector: npt.ArrayLike) -> dict[int, float]:
    """{AU number: intensity} of the AUs that are not 0; vector has shape [17]."""
    return {au: float(z) for au, z in zip(AU_NUMBERS, np.asarray(vector, np.float32), strict=True) if z}


def on_sides(aus: npt.ArrayLike, alone: npt.ArrayLike | None) -> AUArray:
    """Intensities of both sides, float32 [..., 17, 2].

    Args:
        aus: intensities, [..., 17].
        alone: for each AU how far one side moves alone, from −1 (the person's right) over 0 (both move alike) to 1 (the
            left), [17] or as `aus`; None: all move alike.
    """
    both = np.repeat(np.asarray(aus, np.float32)[..., None], len(SIDES), axis=-1)
    if alone is not None:
        left = np.asarray(alone, np.float32)
        both = both * np.minimum(1, np.stack([1 + left, 1 - left], -1))
    return both


def parse(settings: Iterable[str], *, alone: float | None = None) -> AUArray:
    """AUs as users type them: `12=0.2` (both sides), `L12=0.2`, `R4=0.5`, with an optional leading `AU`.

    Args:
        settings: one text for each AU.
        alone: intensity of an AU that is given without one (`12`); None: that is refused.

    Returns:
        float32 [17, 2]; the last axis is the person's left and right side.

    Raises:
        UsageError: text of another form, or an AU that is not one of the 17.
        ScaleError: an intensity outside [0, 1].
    """
    vector = np.zeros((N_AUS, len(SIDES)))
    for text in settings:
        match = re.fullmatch(r"\s*([LR]?)(?:AU)?\s*(\d+)\s*(?:=\s*([-+.\deE]+)\s*)?", text, re.IGNORECASE)
        try:
            assert match is not None
            given = alone if match[3] is None else float(match[3])
            assert given is not None
        except (AssertionError, ValueError):
            short = "" if alone is None else f", or NUMBER alone for the intensity {alone:g}"
            raise UsageError(
                f"AU setting {text!r}",
                expected=f"NUMBER=INTENSITY, such as 12=0.2, L12=0.2 or R4=0.5{short}",
                do="give each AU separately",
            ) from None
        side, au, value = match[1].upper(), int(match[2]), given
        if not 0 <= value <= 1:
            raise ScaleError(
                f"AU setting {text!r}", expected="an intensity in [0, 1]", found=f"{value:g}",
                do="divide FACS intensities, which go from 0 to 5, by 5",
            )  # fmt: skip
        sides = {"": slice(None), "L": slice(0, 1), "R": slice(1, 2)}[side]
        vector[au_index(au, where=text), sides] = value
    return checked(vector, where="AU settings")
