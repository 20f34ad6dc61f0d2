"""A wrong argument is refused by its name, wherever it is given, before any work begins."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import miex
from miex.api.corpora import Clips, SeenAUs
from miex.api.faces import FaceIndex
from miex.api.predict import LoadedRecognizer
from miex.api.synthesize import PlanOptions
from miex.arguments import checking, many, number, whole
from miex.corpora.corpus import Reading
from miex.errors import UsageError
from miex.executors.base import IN_PROCESS

ROOMS = (
    "aus", "compare", "corpora", "evaluate", "examples", "experiments", "export", "faces", "ganimation", "paper",
    "predict", "recognizers", "render", "sources", "spot", "stream", "studio", "synthesize", "train", "worth",
)  # fmt: skip
CLIPS = Clips(Reading("mine", ()))
METHODS = [
    CLIPS.of, CLIPS.extract, SeenAUs(CLIPS, (), "", "").pool, SeenAUs(CLIPS, (), "", "").save, FaceIndex(None).save,
    LoadedRecognizer(None).predict, LoadedRecognizer(None).predict_flow,  # type: ignore[arg-type]
]  # fmt: skip
# What is given for an argument that must be given; where nothing else is said, the name of a file that is not there.
GIVEN: dict[str, Any] = {
    "aus": {12: 0.2}, "tables": ["nowhere"], "paths": ["nowhere"], "n": 1, "amount": 0.1,
    "sets": {"mine": ["nowhere.npz"]}, "worth(sets)": "nowhere.npz",
    "source": miex.sources.expert(), "sources": [miex.sources.expert()],
}  # fmt: skip
NO_FUNCTION = [True, "print", lambda: None]
NO_COUNT = ["a", 0, -1, 1.5, True, [1]]
WRONG: dict[str, list[Any]] = {
    "workers": ["2", 0, -1, 1.5, True, [2]],
    "progress": [*NO_FUNCTION, lambda what: None],
    "say": [*NO_FUNCTION, None],
    "generator_options": ["painted=64", [64], {64: "painted"}, True],
    "options": ["painted=64", [64], {64: "painted"}, True],
    "where": [3, ["label == 'positive'"], b"label"],
    "seed": ["a", -1, 1.5, None, True, 2**64],
    "size": ["256", 1, 130, 2048, None],
    "max_failed": ["a", -0.1, 1.5, float("nan"), None],
    "min_inter_ocular": ["a", -1, None],
    "quality": [3, ["min_mouth"]],
    "licence_allow": ["CC0", [3]],
    "shards": [3, ["0-9"], range(3)],
    "onset": [1.5, None],
    "apex": ["3", -1, 1.5],
    "offset": ["9", -1, 1.5],
    "folds": [3, None],
    "without": ["all", None],
    "independent": ["mine", [3]],
    "window": ["paper", None],
    "query": ["a.jpg", [3]],
    "aus": ["12=0.2", [(12, 0.2)], np.zeros((2, 17)), None],
    "sources": ["expert", [], [None]],
    "tables": ["a.parquet", [], None],
    "paths": ["a.csv", [], [3]],
    "recipe": [None, 3, {}],
    "data": [None, [], [None], np.zeros(3)],
    "real": [None, [None]],
    "out": [3, b"out", ["out"], "a\0b"],
    "generator": [["muscle"], None, 3],
    "landmarker": [3, True],
    "sface": [3, True],
    "device": [3, [0]],
    "columns": [["subject"], {"subject": 3}],
    "mixed_precision": ["yes", 1],
    "best_on_test": [None, "no"],
    **dict.fromkeys(("threads", "repeats", "epochs", "side", "samples", "pairs", "n"), NO_COUNT),
    **{name: ["a", None, True] for name in ("mu", "nu", "amount", "noise")},
}


def functions() -> Iterator[Callable[..., Any]]:
    for room in ROOMS:
        found = vars(import_module(f"miex.api.{room}")).values()
        yield from (one for one in found if isinstance(one, FunctionType) and hasattr(one, "__wrapped__"))
    yield from (getattr(miex.sources, name) for name in miex.sources.__all__ if name.islower())
    yield miex.generators.make_generator
    yield from METHODS


FUNCTIONS = sorted({f"{one.__module__}.{one.__qualname__}": one for one in functions()}.items())


def arguments(function: Callable[..., Any]) -> list[str]:
    asked = inspect.signature(function).parameters
    return [name for name in asked if name != "asked"] + (list(PlanOptions.__annotations__) if "asked" in asked else [])


def given(function: Callable[..., Any], name: str, value: object) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of a call in which one is this value, and the others would do."""
    several, named = [], {name: value}
    for other, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            several = [named.pop(other, "nowhere")]
        elif parameter.default is parameter.empty and other not in ("asked", name):
            named[other] = GIVEN.get(f"{function.__name__}({other})") or GIVEN.get(
                other, [] if "Iterable[Clip]" in str(parameter.annotation) else "nowhere"
            )
    if several:  # what comes before cannot be named
        before = [p for p, q in inspect.signature(function).parameters.items() if q.kind is q.POSITIONAL_OR_KEYWORD]
        several = [named.pop(p) for p in before] + several
    return several, named


def may_be_none(function: Callable[..., Any], name: str) -> bool:
    asked = inspect.signature(function).parameters
    return asked[name].default is None if name in asked else "None" in str(PlanOptions.__annotations__[name])


ALL = [pytest.param(one, name, id=f"{place}({name})") for place, one in FUNCTIONS for name in arguments(one)]
CASES = [
    pytest.param(one, name, value, id=f"{place}({name}={value!r:.20})")
    for place, one in FUNCTIONS
    for name in arguments(one)
    for value in WRONG.get(name, [])
    if value is not None or not may_be_none(one, name)
]


def test_every_name_of_the_door_is_asked() -> None:
    places = {one.__name__ for _, one in FUNCTIONS}
    for room in (miex, miex.corpora, miex.sources):
        offered = {one.__name__ for name in room.__all__ if isinstance(one := getattr(room, name), FunctionType)}
        assert offered - places <= {"open_dataset"}  # it asks for a place, which storage proves
    assert len(ALL) > 200


@pytest.mark.parametrize(("function", "name"), ALL)
def test_what_no_argument_can_be_is_refused_by_its_name(function: Callable[..., Any], name: str) -> None:
    """So does an argument that is added tomorrow."""
    several, named = given(function, name, object())
    with pytest.raises(UsageError, match=f"^`{name}` <object") as caught:
        function(*several, **named)
    assert caught.value.expected


@pytest.mark.parametrize(("function", "name", "value"), CASES)
def test_a_wrong_value_is_refused_by_its_name(function: Callable[..., Any], name: str, value: object) -> None:
    several, named = given(function, name, value)
    with pytest.raises(UsageError, match=f"^`{name}`") as caught:
        function(*several, **named)
    assert "\n" not in caught.value.asked


def test_numbers_of_numpy_and_generators_are_taken_for_what_they_mean() -> None:
    @checking(values=many(number(0, 1), "a list of numbers"), least=whole(1))
    def asked(values: Any, *, least: Any, seed: Any = 0, workers: Any = 1, say: Any = print) -> list[Any]:
        """Its own text."""
        return [values, least, seed, workers]

    found = asked(
        (np.float32(one) for one in (0, 1)), least=np.int64(3), seed=np.uint8(7), workers=IN_PROCESS, say=print
    )
    assert found == [[0.0, 1.0], 3, 7, IN_PROCESS]
    assert [type(one) for one in (*found[0], *found[1:3])] == [float, float, int, int]
    assert asked([], least=1, workers=None)[-1] is None
    assert (asked.__name__, asked.__doc__) == ("asked", "Its own text.")
    assert list(inspect.signature(asked).parameters) == ["values", "least", "seed", "workers", "say"]
    for wrong in ({"least": 1}, {"values": [], "least": 1, "lest": 2}):  # Python says this itself
        with pytest.raises(TypeError, match=r"asked\(\) (missing|got an unexpected)"):
            asked(**wrong)


def test_an_error_shows_what_was_given_in_one_short_line() -> None:
    for value in (np.zeros((300, 300)), "x" * 9999, [[1] * 99] * 99, miex.sources.expert(), {"a": object()}):
        with pytest.raises(UsageError) as caught:
            miex.synthesize(value, workers=value)  # type: ignore[arg-type]
        assert len(str(caught.value)) < 400
        assert len(str(caught.value).splitlines()) <= 4
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (UsageError, str(caught.value))
