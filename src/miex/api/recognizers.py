"""List the recognizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from miex.api.examples import need_training
from miex.arguments import checking
from miex.experiments.present import Entry, Result, Table


@dataclass(frozen=True)
class Known:
    """A recognizer that miex knows by name.

    Attributes:
        name: its name.
        input: name and shape of what it takes by its recipe.
        recipe: name of that recipe.
        backbones: names of the backbones that it can have; the first is its own.
        parameters: number of its parameters then, with three classes.
        published: the published number, and why ours differs; or that none is published.
        citation: the paper that it comes from.
    """

    name: str
    input: str
    recipe: str
    backbones: tuple[str, ...]
    parameters: int
    published: str
    citation: str


@dataclass(frozen=True, repr=False)
class Listed(Result):
    """The recognizers, in the order in which they are registered."""

    recognizers: tuple[Known, ...]
    name = "recognizers"

    def tables(self) -> dict[str, Table]:
        """Names, inputs, parameters; and citations beside what is published."""
        counts: list[list[Entry]] = [
            [one.name, one.input, one.recipe, ", ".join(one.backbones) or "–", one.parameters]
            for one in self.recognizers
        ]
        sources: list[list[Entry]] = [[one.name, one.citation, one.published] for one in self.recognizers]
        columns = ["recognizer", "input", "recipe", "backbones", "parameters"]
        return {
            "": Table("Recognizers by their own recipes, with three classes", columns, counts),
            "sources": Table("Where they come from", ["recognizer", "paper", "published parameters"], sources),
        }

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {"recognizers": [vars(one) for one in self.recognizers]}


@checking()
def recognizers() -> Listed:
    """The recognizers that can be trained, with what they take, their parameters, and their papers.

    Raises:
        UsageError: torch is not installed.
        InputError: the recognizer of an installed package cannot be imported or created.
    """
    need_training()
    from miex.recognition.method import METHODS, method_class, parameters_of
    from miex.recognition.recipe import load_recipe

    found = []
    for name in METHODS.names():
        kind = method_class(name)
        recipe = load_recipe(kind.recipe).but(recognizer=name)
        takes = f"{recipe.takes.name} {' × '.join(map(str, recipe.takes.shape))}"
        found.append(
            Known(name, takes, kind.recipe, kind.backbones, parameters_of(recipe, 3), kind.published, kind.citation)
        )
    return Listed(tuple(found))
