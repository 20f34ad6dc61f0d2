"""Errors that say what was asked, what was expected, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

if TYPE_CHECKING:  # whoever passes an error of pydantic has loaded it
    from pydantic import ValidationError

Choice = TypeVar("Choice", bound=str)
NOTHING = "nothing"
NAMED = 5  # most names in a text


class MiexError(Exception):
    """Base of all errors that a user can act on. Its text has up to four lines.

    Args:
        asked: what was being done, and with which value.
        expected: what would have been right.
        found: what was found instead: value, path, row.
        do: what to do now.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, asked: str, *, expected: str = "", found: str = "", do: str = "") -> None:
        self.asked, self.expected, self.found, self.do = asked, expected, found, do
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = (("expected", self.expected), ("found", self.found), ("what to do", self.do))
        return "\n".join([self.asked, *(f"  {name}: {text}" for name, text in parts if text)])

    def __reduce__(self) -> tuple[object, ...]:
        # exceptions are pickled between processes, which keeps only positional arguments; attributes of subclasses and
        # notes are passed on as state
        return _rebuild, (type(self), self.asked, self.expected, self.found, self.do), vars(self)


def _rebuild(kind: type[MiexError], asked: str, expected: str, found: str, do: str) -> MiexError:
    return kind(asked, expected=expected, found=found, do=do)


class UsageError(MiexError):
    """The call itself is wrong: an unknown name, a value out of range."""

    exit_code = 2


class InputError(MiexError):
    """A file or folder named in the call is missing, broken, or not what it should be."""

    exit_code = 3


class DamagedError(InputError):
    """Something that miex stored is missing, or is not what was stored: its bytes are wrong. What could not be asked
    for its bytes (permission, network, a broken disk) is not: it may be whole."""


class PartialFailureError(MiexError):
    """Some samples could not be made; all others were."""

    exit_code = 4


class OutputError(MiexError):
    """The output folder cannot be written to, is in use, or belongs to another plan."""

    exit_code = 5


class InUseError(OutputError):
    """Another process of miex holds the output folder."""


class RequirementError(MiexError):
    """A set does not meet what is required of it."""

    exit_code = 6


class ScaleError(InputError):
    """An AU intensity that is not on the scale it claims."""


def some_of(names: Sequence[str]) -> str:
    """Names in a text: all, or the first few and how many more there are."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")


def one_of(value: str, choices: Iterable[Choice], asked: str) -> Choice:
    """The choice that equals `value`.

    Raises:
        UsageError: there is none. Its text begins with `asked`, and lists the choices.
    """
    known = tuple(choices)
    for choice in known:
        if choice == value:
            return choice
    raise UsageError(f"{asked} {value!r}", expected="one of " + ", ".join(known))


class Wrong(NamedTuple):
    """What is wrong with a value: its dotted name, what was expected, and what was found, or NOTHING."""

    where: str
    expected: str
    found: str


def first_wrong(error: ValidationError) -> Wrong:
    """The first thing that pydantic found wrong, worded like a MiexError."""
    first = error.errors()[0]
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if first["type"] == "missing":
        expected = "a value"
    elif first["type"] == "model_type":
        expected = "values by name"
    found = NOTHING if first["type"] == "missing" else repr(first["input"])[:80]
    return Wrong(".".join(map(str, first["loc"])), expected, found)
