"""What recognizers are trained on and tested with, whatever form it comes in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from miex.api.corpora import Clips, read
from miex.api.work import PathLike, Say, Stages, Workers, executor, landmark_model, path, stage, unsaid
from miex.dataset.reader import Dataset
from miex.errors import UsageError, one_of

if TYPE_CHECKING:
    from miex.recognition.recipe import Recipe
    from miex.recognition.samples import Samples
    from miex.recognition.train import Machine

    # A set or its folder, clips of a corpus or NAME=PATH of one, a flow file, or samples made before.
    Data = PathLike | Dataset | Clips | Samples


def examples(
    data: Data | Sequence[Data],
    *,
    side: int = 28,
    flow: str = "dis",
    no_apex: str = "refuse",
    workers: Workers = 1,
    landmarker: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Samples:
    """Labelled flow maps, with who stands behind each.

    Args:
        data: a set or its folder, clips of a corpus or NAME=PATH of one, a flow file (.npz); a list of these is joined.
        side: of the maps, pixels.
        flow: method of the optical flow: dis, tvl1 or farneback.
        no_apex: what becomes of clips without an apex: refuse, drop, or middle.
        workers, landmarker, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: data of another form, another method or treatment.
        InputError: what lies there cannot be read; a clip without frames, or without a face in its onset.
    """
    from miex.recognition import samples as made
    from miex.recognition.flow import METHODS

    method, treatment = one_of(flow, METHODS, "flow"), one_of(no_apex, made.NO_APEX, "treatment of clips without apex")
    work, doing = executor(workers), stage(progress, "computing flow")

    def one(given: Data) -> Samples:
        if isinstance(given, made.Samples):
            return given.at(side)
        if isinstance(given, Dataset):
            return made.of_set(given, method=method, side=side, executor=work, progress=doing)
        if not isinstance(given, Clips):
            name, sign, where = str(given).partition("=")
            if not sign or path(given).exists():
                return made.load_samples(path(given), method=method, side=side, executor=work, progress=doing)
            given = read(name, where)
        model = landmark_model(landmarker, say)
        return made.of_clips(
            given.reading.clips, model=model, method=method, side=side, no_apex=treatment, executor=work,
            progress=doing,
        )  # fmt: skip

    if isinstance(data, list | tuple):
        return reduce(lambda a, b: a.joined(b), [one(given) for given in data])
    return one(cast("Data", data))


def recipe_of(
    name: str | Recipe,
    *,
    recognizer: str | None = None,
    side: int | None = None,
    epochs: int | None = None,
    mixed_precision: bool | None = None,
) -> Recipe:
    """A recipe, by its name or TOML file, with what is to be another way.

    Raises:
        UsageError: no such recipe, or a value that cannot be.
        InputError: a file that is none.
    """
    from miex.recognition.recipe import Recipe, load_recipe

    changes = {"recognizer": recognizer, "side": side, "epochs": epochs, "mixed_precision": mixed_precision}
    return (name if isinstance(name, Recipe) else load_recipe(name)).but(**changes)


def machine_of(device: str | Sequence[str] | None, threads: int) -> Machine:
    """Where networks run: a device or several, and torch's threads."""
    from miex.recognition.train import Machine

    devices = (device,) if isinstance(device, str) else tuple(device or ("cpu",))
    return Machine(devices, threads)


def need_training() -> None:
    """Raises UsageError where the packages that train are not installed."""
    missing = [name for name in ("torch", "safetensors", "sklearn", "tensorboardX") if find_spec(name) is None]
    if missing:
        raise UsageError(
            "training and recognizing",
            expected="torch, safetensors, scikit-learn and tensorboardX",
            found=f"no {', no '.join(missing)}",
            do="pip install 'miex[train]' (see the README)",
        )
