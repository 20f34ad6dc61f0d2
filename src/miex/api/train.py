"""Train a recognizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from miex.api.examples import DATA, RECIPE, faces_of, machine_of, need_training, recipe_of, selected, view_of
from miex.api.predict import RECOGNIZER, LoadedRecognizer, load_recognizer
from miex.api.synthesize import place_of
from miex.api.work import PathLike, Say, Stages, Workers, path, processes, stage, unsaid
from miex.arguments import TEXT, checking, instance_of
from miex.dataset.plan_file import Plan
from miex.errors import UsageError

if TYPE_CHECKING:
    from miex.api.examples import Data, Streams
    from miex.recognition.imagenet import ImageNetWeights
    from miex.recognition.recipe import Recipe
    from miex.recognition.recognizer import Recognizer
    from miex.recognition.view import View

_PLAN = instance_of("a plan", "miex.dataset.plan_file:Plan")
RANDOM = "random"  # what users call random initial weights


@checking(data=DATA | _PLAN, classes=TEXT, recipe=RECIPE, start=RECOGNIZER, joint=DATA)
def train(
    data: Data | Plan | Sequence[Data],
    recognizer: str | None = None,
    *,
    out: PathLike | None = None,
    classes: str | None = None,
    recipe: str | Recipe | None = None,
    backbone: str | None = None,
    side: int | None = None,
    epochs: int | None = None,
    mixed_precision: bool | None = None,
    start: LoadedRecognizer | PathLike | None = None,
    joint: Data | None = None,
    where: str | None = None,
    stream: bool = False,
    new_draws: bool = False,
    seed: int = 0,
    flow: str | None = None,
    no_apex: str = "refuse",
    on_error: str = "raise",
    device: str | Sequence[str] | None = None,
    threads: int = 1,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> LoadedRecognizer:
    """Train a recognizer. On CPUs the same arguments give the same weights.

    Args:
        data: training data: sets, corpora or flow files (see `miex.examples`); a list is joined; with `stream` also
            a plan, or its folder.
        recognizer: name of the recognizer, instead of the recipe's.
        out: folder for log, checkpoint and recognizer.safetensors; repeating the call resumes the training. None:
            nothing is kept.
        classes: name of the mapping that gives the classes, as in `miex.examples`.
        recipe: name of a recipe, or a TOML file. Default: that of the recognizer, or "fixed".
        backbone: name of the recognizer's backbone: resnet18, vgg16 or efficientnet-lite0. Default: that of `start`,
            or the recognizer's own.
        side, epochs, mixed_precision: replace those of the recipe.
        start: a recognizer to fine-tune, which gets a new last layer if the classes differ; or weights trained on
            ImageNet for the backbone: "imagenet" (EfficientNet-Lite0, which miex fetches), or a file of torchvision
            (.pth) for resnet18 or vgg16. Default: "random" weights.
        joint: real data to train on as well, drawn as often as the rest.
        where: query that chooses samples of the sets in `data`, such as "source == 'expert' and AU12 >= 0.1" (see
            `Dataset.where`).
        stream: whether folders that hold a plan are streamed: frames are rendered while the recognizer trains, and
            nothing is stored (see `miex.stream`).
        new_draws: with `stream`, whether AUs, motion and nuisances are drawn anew in each epoch; for plans with no
            other source than the expert one, and networks.
        seed: random seed of weights and draws.
        flow: optical flow method, instead of the recipe's.
        no_apex, on_error: as in `miex.examples`.
        device: cpu, cuda, cuda:0 …; each batch is split among several CUDA devices.
        threads: number of torch's threads; another number changes the last digits of results.
        workers, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: torch is not installed, or a value is out of range.
        InputError: the data cannot be read, or do not fit the recipe.
        OutputError: the folder holds another training or other files, or cannot be written to.
    """
    need_training()
    from miex.recognition.method import method_class
    from miex.recognition.recognizer import MODEL
    from miex.recognition.train import joint as joined
    from miex.recognition.train import train as fit
    from miex.storage.training import prove_own

    if stream and where is not None:
        raise UsageError(
            f"`where` {where!r} with `stream`", expected="one of them: a query chooses among samples that are stored",
            do="plan what you want, by classes and sources",
        )  # fmt: skip
    taken: Data | Sequence[Data] = selected(place_of(data).address if isinstance(data, Plan) else data, where)
    chosen = recipe_of(
        recipe, recognizer=recognizer, backbone=backbone, side=side, epochs=epochs, mixed_precision=mixed_precision,
        flow=flow,
    )  # fmt: skip
    begin, chosen = start_of(start, chosen, say)
    machine, folder = machine_of(device, threads), None if out is None else path(out)
    if folder is not None:
        prove_own(folder, MODEL)

    def view(given: Data | Sequence[Data], streams: Streams = None) -> View:
        return view_of(
            given, chosen, classes=classes, no_apex=no_apex, on_error=on_error, streams=streams, workers=workers,
            progress=progress, say=say,
        )  # fmt: skip

    if new_draws and not (stream and method_class(chosen.recognizer).fine_tunes):
        raise UsageError(
            "`new_draws`", expected="`stream`, and a recognizer that is trained step by step",
            found=chosen.recognizer if stream else "no `stream`",
        )  # fmt: skip
    seen = view(taken, streams="new" if new_draws else "same" if stream else None)
    if joint is not None:
        seen = joined(view(joint), seen, seed)
    made = fit(
        seen, chosen, seed=seed, start=begin, folder=folder, machine=machine,
        progress=stage(progress, f"training {chosen.recognizer}"), faces=faces_of(taken) | faces_of(joint),
        workers=processes(workers),
    )  # fmt: skip
    return LoadedRecognizer(made)


def start_of(
    given: LoadedRecognizer | PathLike | None, recipe: Recipe, say: Say
) -> tuple[Recognizer | ImageNetWeights | None, Recipe]:
    """What a training starts from, None for random weights, and the recipe with the backbone of these weights.

    Args:
        given: a recognizer or its file, "imagenet", a file of weights (.pth), "random", or None, which is the same.
        recipe: recipe of the training.
        say: told the start of recognizers that have a backbone.

    Raises:
        UsageError: the weights are of another backbone.
        InputError: the file is missing, unknown or damaged.
    """
    from miex.recognition.imagenet import IMAGENET, find_weights
    from miex.recognition.method import method_class

    if given is None or str(given) == RANDOM:
        if method_class(recipe.recognizer).backbones:
            say(f"{recipe.recognizer} starts from random weights")
        return None, recipe
    if isinstance(given, LoadedRecognizer) or not (str(given) == IMAGENET or path(given).suffix in (".pth", ".pt")):
        start = (given if isinstance(given, LoadedRecognizer) else load_recognizer(given)).trained
        return start, _like(recipe, start.recipe)
    weights = find_weights(path(given), say)
    recipe = weights.recipe(recipe)
    say(f"{recipe.recognizer} starts from {weights}")
    return weights, recipe


def _like(recipe: Recipe, start: Recipe) -> Recipe:
    """The recipe with the backbone of a recognizer that is fine-tuned, and frames scaled for it, if it names none."""
    if recipe.recognizer != start.recognizer or recipe.backbone is not None or start.backbone is None:
        return recipe
    return recipe.but(backbone=start.backbone, normalize=start.input.get("normalize"))
