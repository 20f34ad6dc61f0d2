"""Samples to train and test recognizers with, whatever form they come in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from miex.api.corpora import Clips, read
from miex.api.work import PathLike, Say, Stages, Workers, executor, landmark_model, path, stage, unsaid
from miex.arguments import PATH, TEXT, checking, instance_of, many
from miex.dataset.reader import Dataset
from miex.errors import InputError, UsageError, one_of

if TYPE_CHECKING:
    from miex.recognition.examples import Examples
    from miex.recognition.machine import Machine
    from miex.recognition.recipe import Recipe
    from miex.recognition.view import View

    # A set or its folder, clips of a corpus or NAME=PATH of one, a flow file, or examples made before.
    Data = PathLike | Dataset | Clips | Examples

ONE_DATA = PATH | instance_of(
    "a set, clips of a corpus, or examples", "miex.dataset.reader:Dataset", "miex.api.corpora:Clips",
    "miex.recognition.examples:Examples",
)  # fmt: skip
DATA = ONE_DATA | many(ONE_DATA, "a list of at least one of these", least=1)
RECIPE = TEXT | instance_of("a recipe", "miex.recognition.recipe:Recipe")


@checking(data=ONE_DATA)
def examples(data: Data, *, no_apex: str = "refuse", landmarker: PathLike | None = None, say: Say = unsaid) -> Examples:
    """Labeled examples: who is behind each, and where its frames are. No frame is decoded yet.

    Args:
        data: a set or its folder, clips of a corpus or NAME=PATH of one, or a flow file (.npz).
        no_apex: treatment of clips without an apex: refuse (an error), drop, or middle (the middle frame is the apex).
        landmarker, say: as in `miex.synthesize`.

    Raises:
        UsageError: data of another kind, or another treatment.
        InputError: the data cannot be read, or a clip has no frames.
    """
    from miex.recognition import places
    from miex.recognition.examples import Examples
    from miex.recognition.flow_file import load_examples

    treatment = one_of(no_apex, places.NO_APEX, "`no_apex`")
    if isinstance(data, Examples):
        return data
    if isinstance(data, Dataset):
        return places.of_set(data)
    if not isinstance(data, Clips):
        name, sign, where = str(data).partition("=")
        if not sign or path(data).exists():
            return load_examples(path(data))
        data = read(name, where)
    return places.of_clips(data.reading.clips, model=landmark_model(landmarker, say), no_apex=treatment)


def view_of(
    data: Data | Sequence[Data],
    recipe: Recipe,
    *,
    no_apex: str = "refuse",
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> View:
    """The inputs that the recipe's recognizer takes, computed once and kept in the user's cache; a list is joined.

    Arguments and errors are those of `examples`, and InputError if there is no example at all, or a frame cannot be
    read or shows no face.
    """
    from miex.recognition.examples import input_cache

    several = data if isinstance(data, list | tuple) else [data]
    work, doing = executor(workers), stage(progress, "reading examples")
    made = [examples(one, no_apex=no_apex, say=say) for one in cast("Sequence[Data]", several)]
    if not any(map(len, made)):
        raise InputError("examples", expected="at least one with a label", found="none in what was given")
    views = [one.through(recipe.takes, input_cache(), executor=work, progress=doing) for one in made]
    return reduce(lambda a, b: a.joined(b), views)


def recipe_of(
    name: str | Recipe | None,
    *,
    recognizer: str | None = None,
    backbone: str | None = None,
    side: int | None = None,
    epochs: int | None = None,
    mixed_precision: bool | None = None,
    flow: str | None = None,
) -> Recipe:
    """A recipe by its name or TOML file, with some values replaced; None: that of the recognizer, else "fixed".

    Raises:
        UsageError: there is no such recipe or recognizer, or a value is out of range.
        InputError: the file is not a recipe.
    """
    from miex.recognition.method import method_class
    from miex.recognition.recipe import Recipe, load_recipe

    own = "fixed" if recognizer is None else method_class(recognizer).recipe
    base = name if isinstance(name, Recipe) else load_recipe(own if name is None else name)
    return base.but(
        recognizer=recognizer, backbone=backbone, side=side, epochs=epochs, mixed_precision=mixed_precision,
        method=flow,
    )  # fmt: skip


def machine_of(device: str | Sequence[str] | None, threads: int) -> Machine:
    """Where networks run: one or several devices, and the number of torch's threads."""
    from miex.recognition.machine import Machine

    devices = (device,) if isinstance(device, str) else tuple(device or ("cpu",))
    return Machine(devices, threads)


def need_training() -> None:
    """Raises UsageError if the packages needed for training are not installed."""
    missing = [name for name in ("torch", "safetensors", "sklearn", "tensorboardX") if find_spec(name) is None]
    if missing:
        raise UsageError(
            "training and recognizing",
            expected="torch, safetensors, scikit-learn and tensorboardX",
            found=f"no {', no '.join(missing)}",
            do="pip install 'miex[train]' (see the README)",
        )
