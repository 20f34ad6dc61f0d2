"""From declared rows to lines that the engine of studies runs; and stand-ins for data that is not there yet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from miex.dataset.schema import ROWS_SCHEMA
from miex.evaluation.folds import Protocol
from miex.executors.machine import Machine
from miex.experiments.modes import Fit
from miex.experiments.paper.declared import Data, Made, Part, Row
from miex.experiments.study import Line
from miex.recognition.imagenet import ImageNetWeights
from miex.recognition.inputs.base import Input
from miex.recognition.recipe import Recipe
from miex.recognition.view import MARKS, View


@dataclass(frozen=True)
class Setting:
    """What all lines of a table have in common.

    Attributes:
        view: the examples of a set or corpus, by the classes of a mapping, as a recipe's recognizer takes them.
        recipe: recipe of a recognizer, and what its training starts from.
        folds: folds of each repeat for the view of a tested corpus, by their name.
        models: folder of trainings that lines have in common; None: they are not kept.
        machine: where networks run.
        independent: corpora that share no people with others, by the user's word.
        people: photos of a set that show people of a corpus, and whom.
    """

    view: Callable[[Data, str, Recipe], View]
    recipe: Callable[[str], tuple[Recipe, ImageNetWeights | None]]
    folds: Callable[[Row, View], dict[str, list[Protocol]]]
    models: Path | None
    machine: Machine
    independent: Collection[str] = ()
    people: Callable[[Data | None], Mapping[str, tuple[str, str | None]]] = lambda data: {}


def lines_of(row: Row, setting: Setting) -> list[Line]:
    """The line of a row, for each kind of folds."""
    recipe, start = setting.recipe(row.recognizer)
    tested = row.tested
    real = setting.view(tested.corpus, tested.classes, recipe)
    # what is fine-tuned gets a new last layer: MiE-X has three classes, whatever is tested
    classes = "megc2019" if row.mode == "fine-tune" else tested.classes
    other = None if row.other is None else setting.view(row.other, classes, recipe)
    beside = None if row.beside is None else setting.view(row.beside, tested.classes, recipe)
    fit = Fit(
        row.mode, real, recipe, other, start=start, best_on_test=row.best, models=setting.models,
        machine=setting.machine, beside=beside,
    )  # fmt: skip
    how: Any = {"independent": setting.independent, "faces": setting.people(row.other)}
    return [
        Line(row.name, name, [fit.cell(f"{row.name}, {recipe.name}", folds, **how)])
        for name, folds in setting.folds(row, real).items()
    ]


def chosen(part: Part, rows: pa.Table) -> npt.NDArray[np.int64]:
    """Positions of the samples of a part among the rows of its set, int64 [n]."""
    keep = np.ones(len(rows), bool)
    if part.sources is not None:
        keep &= np.isin(np.asarray(rows["source"].to_pylist(), np.str_), part.sources)
    if part.rounds is not None:  # ids of samples end with their round
        keep &= np.array([int(name.rsplit("-", 1)[1]) < part.rounds for name in rows["sample_id"].to_pylist()], bool)
    return np.flatnonzero(keep)


@dataclass(frozen=True, eq=False)
class StandIn:
    """Examples of a set that is not made yet: rows like those that it will have, and inputs of zeros, in no memory.

    A study of them is estimated like that of the set: as many trainings, as long.

    Attributes:
        of: the set.
        classes: number of classes.
        takes: the input of the recognizer.
        people: corpus and subject of each clip that z^MiE is drawn from.
    """

    of: Made
    classes: int
    takes: Input
    people: Sequence[tuple[str, str]]

    @property
    def array(self) -> npt.NDArray[Any]:
        return np.broadcast_to(np.zeros((), self.takes.dtype), (self.of.size, *self.takes.shape))

    @cached_property
    def rows(self) -> pa.Table:
        """Rows of ROWS_SCHEMA: rounds of identities, sources and classes, as in plans; people take turns."""
        made, several = self.of, self.people or [("casme2", "1")]
        columns: dict[str, list[Any]] = {name: [] for name in ROWS_SCHEMA.names}
        each = len(made.sources) * self.classes
        for i in range(made.size):
            source = made.sources[i % each // self.classes]
            corpus, subject = several[i % len(several)] if source == "real_mie" else ("ckplus", str(1 + i % 123))
            known = source != "expert"
            round_number = i // (each * made.ids)
            values = {
                "sample_id": f"{made.name}-{i}-{round_number:04d}", "label": i % self.classes,
                "source": source, "corpus": corpus if known else None, "subject": subject if known else None,
                "photo": str(i // each % made.ids),
            }  # fmt: skip
            for name, column in columns.items():
                column.append(values[name])
        return pa.table(columns, schema=ROWS_SCHEMA)

    @property
    def marks(self) -> pa.ListArray:
        return pa.array([[]] * self.of.size, MARKS.type)

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"stand-in {self.of} {self.takes!r}".encode()).hexdigest()

    def release(self) -> None:
        """Nothing: it takes no memory."""
