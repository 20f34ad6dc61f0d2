"""Check arguments before work begins: an argument means the same wherever its name is used."""

from __future__ import annotations

import inspect
import os
import reprlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

from miex.errors import UsageError

Function = TypeVar("Function", bound=Callable[..., Any])
_EVERYTHING = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


@dataclass(frozen=True)
class Kind:
    """The values that an argument may have.

    Attributes:
        expected: these values in words, for messages.
        take: turns a given value into the one to use; raises TypeError or ValueError if it is not allowed.
    """

    expected: str
    take: Callable[[Any], Any]

    def __or__(self, other: Kind) -> Kind:
        def take(value: Any) -> Any:
            try:
                return self.take(value)
            except (TypeError, ValueError) as error:
                try:
                    return other.take(value)
                except TypeError:
                    raise error from None

        return Kind(f"{self.expected}, or {other.expected}", take)

    def checked(self, name: str, value: Any) -> Any:
        """The value to use. Raises UsageError, which names the argument, if the given one is not allowed."""
        try:
            return self.take(value)
        except (TypeError, ValueError) as error:
            found = f"of type {type(value).__name__}" if isinstance(error, TypeError) else ""
            raise UsageError(f"`{name}` {_shown(value)}", expected=self.expected, found=found) from None


def checking(**own: Kind) -> Callable[[Function], Function]:
    """Check the arguments of a function before it runs, each by the kind of its name in KINDS, or in `own`.

    Each value in `*several` and `**options` is checked. None is allowed where it is the default.
    """
    kinds = {**KINDS, **own}

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        parameters = signature.parameters

        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            try:
                given = signature.bind(*args, **options)
            except TypeError:  # too many, too few, or an unknown name: Python says that best
                return function(*args, **options)

            def value_of(name: str, value: Any, default: Any = inspect.Parameter.empty) -> Any:
                known = name in kinds and not (value is None and default is None)
                return kinds[name].checked(name, value) if known else value

            for name, value in given.arguments.items():
                several, named = (parameters[name].kind is kind for kind in _EVERYTHING)
                if several:
                    given.arguments[name] = tuple(value_of(name, one) for one in value)
                elif named:
                    given.arguments[name] = {option: value_of(option, one) for option, one in value.items()}
                else:
                    given.arguments[name] = value_of(name, value, parameters[name].default)
            return function(*given.args, **given.kwargs)

        return call  # type: ignore[return-value]

    return decorate


def whole(least: int, most: int | None = None, *, step: int = 1) -> Kind:
    """A whole number in that range."""

    def take(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TypeError
        number = int(value)
        if number < least or (most is not None and number > most) or number % step:
            raise ValueError
        return number

    what = "a whole number" if step == 1 else f"a multiple of {step}"
    return Kind(f"{what}, {least} or more" if most is None else f"{what} from {least} to {most}", take)


def choice(*names: str) -> Kind:
    """One of these texts."""

    def take(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        if value not in names:
            raise ValueError
        return value

    return Kind("one of " + ", ".join(names), take)


def number(least: float = -float("inf"), most: float = float("inf")) -> Kind:
    """A number in that range."""

    def take(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError
        plain = int(value) if isinstance(value, Integral) else float(value)
        if not (least <= plain <= most and abs(plain) <= sys.float_info.max):
            raise ValueError
        return plain

    above = f", {least:g} or more" if least > -float("inf") else ""
    return Kind(f"a number from {least:g} to {most:g}" if most < float("inf") else f"a number{above}", take)


def instance_of(expected: str, *places: str) -> Kind:
    """An object of one of these classes, each "module:Class". A class whose module is not loaded has no objects."""

    def take(value: Any) -> Any:
        for place in places:
            module, _, name = place.partition(":")
            if module in sys.modules and isinstance(value, getattr(sys.modules[module], name)):
                return value
        raise TypeError

    return Kind(expected, take)


def many(kind: Kind, expected: str, *, least: int = 0) -> Kind:
    """Several values of a kind, given as any iterable but text, and passed on as a list."""

    def take(value: Any) -> list[Any]:
        if isinstance(value, str | bytes | os.PathLike | Mapping) or not isinstance(value, Iterable):
            raise TypeError
        found = [kind.take(one) for one in value]
        if len(found) < least:
            raise ValueError
        return found

    return Kind(expected, take)


def called_with(*names: str) -> Kind:
    """A function that can be called with that many values."""

    def take(value: Any) -> Any:
        if not callable(value):
            raise TypeError
        try:
            inspect.signature(value).bind(*names)
        except TypeError as error:
            raise ValueError from error
        except ValueError:  # some functions written in C have no signature
            return value
        return value

    return Kind(f"a function of ({', '.join(names)})", take)


def _is(*kinds: type) -> Callable[[Any], Any]:
    def take(value: Any) -> Any:
        if not isinstance(value, kinds):
            raise TypeError
        return value

    return take


def _take_path(value: Any) -> Any:
    if not isinstance(value, str | os.PathLike):
        raise TypeError
    if "\0" in str(os.fspath(value)):
        raise ValueError
    return value if isinstance(value, str | Path) else Path(value)


def _take_named(value: Any) -> Any:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise TypeError
    return value


def _take_texts(value: Any) -> Any:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise TypeError
    return value


def shown(value: object, most: int = 200) -> str:
    """A value as Python writes it, for messages; a long text is shortened in its middle."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = most
    return short.repr(value)


def _shown(value: Any) -> str:
    return " ".join(shown(value, 60).split())


NONE = Kind("None", _is(type(None)))
TEXT = Kind("text", _is(str))
PATH = Kind("a path, as text or pathlib.Path", _take_path)
YES_NO = Kind("True or False", _is(bool))
COUNT, PLACE = whole(1), whole(0)
MAPPING = Kind("a dict", _is(Mapping))
NAMED = Kind("a dict of values by name", _take_named)
NAMES = many(TEXT, "a list of names")
PATHS = many(PATH, "a list of at least one path", least=1)
TEXT_BY_TEXT = Kind("a dict from text to text", _take_texts)
_EXECUTOR = "miex.executors.base:Executor"
# Arguments with the same meaning in every function; others are given to `checking` where the function is defined.
KINDS = {
    "workers": COUNT | Kind("None for one per processor", NONE.take) | instance_of("an executor", _EXECUTOR),
    "progress": called_with("what", "done", "total", "note"),
    "say": called_with("text"),
    "seed": whole(0, 2**63 - 1),
    "size": whole(32, 1024, step=4),
    "max_failed": number(0, 1),
    "spread": number(0, 1),
    "threads": whole(1, 1024),
    "epochs": whole(1, 10**6),
    "min_inter_ocular": number(0),
    "device": TEXT | NAMES,
    "folds": Kind("text, such as 3-fold or loso", TEXT.take),
}
_SAME = [
    (COUNT, "block n pairs repeats samples side world"),
    (PLACE, "apex audit offset onset rank"),
    (number(), "amount mu noise nu"),
    (YES_NO, "accept_unknown best_on_test mixed_precision new_draws recovered shuffle sides stream"),
    (PATH, "faces faces_csv file folder landmarker openface out parts path photo sface store table weights"),
    (
        TEXT,
        "backbone corpus flow format_name generator kind mapping mode name no_apex on_error origin recognizer to tree",
    ),
    (TEXT, "attribution licence version what where"),
    (NAMES, "independent licence_allow query window without"),
    (NAMED, "generator_options options quality"),
    (TEXT_BY_TEXT, "columns faces_columns labels"),
]
KINDS.update({name: kind for kind, names in _SAME for name in names.split()})
