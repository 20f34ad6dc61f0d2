"""Train a recognizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from miex.api.examples import DATA, RECIPE, machine_of, need_training, recipe_of, view_of
from miex.api.predict import RECOGNIZER, LoadedRecognizer, load_recognizer
from miex.api.work import PathLike, Say, Stages, Workers, path, stage, unsaid
from miex.arguments import checking

if TYPE_CHECKING:
    from miex.api.examples import Data
    from miex.recognition.recipe import Recipe
    from miex.recognition.view import View


@checking(data=DATA, recipe=RECIPE, start=RECOGNIZER, joint=DATA)
def train(
    data: Data | Sequence[Data],
    recognizer: str | None = None,
    *,
    out: PathLike | None = None,
    recipe: str | Recipe = "fixed",
    side: int | None = None,
    epochs: int | None = None,
    mixed_precision: bool | None = None,
    start: LoadedRecognizer | PathLike | None = None,
    joint: Data | None = None,
    seed: int = 0,
    flow: str | None = None,
    no_apex: str = "refuse",
    device: str | Sequence[str] | None = None,
    threads: int = 1,
    workers: Workers = 1,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> LoadedRecognizer:
    """Train a recognizer. On CPUs the same arguments give the same weights.

    Args:
        data: what it is trained on: sets, corpora, flow files (see `miex.examples`); a list is joined.
        recognizer: its name, in place of the recipe's.
        out: folder of log, checkpoint and recognizer.safetensors; the same call resumes. None: nothing is kept.
        recipe: how, by name or TOML file.
        side, epochs, mixed_precision: in place of the recipe's.
        start: a recognizer to fine-tune; other classes get a new last layer.
        joint: real data, drawn as often as the others.
        seed: of weights and draws.
        flow: method of the optical flow, in place of the recipe's.
        no_apex: as in `miex.examples`.
        device: cpu, cuda, cuda:0 …; several CUDA devices share batches.
        threads: of torch; another number gives other last digits.
        workers, progress, say: as in `miex.synthesize`.

    Raises:
        UsageError: torch is not installed, or a value that cannot be.
        InputError: data that cannot be read, or does not fit the recipe.
        OutputError: the folder holds another training, or something else, or cannot be written.
    """
    need_training()
    from miex.recognition.checkpoints import prove_own
    from miex.recognition.train import joint as joined
    from miex.recognition.train import train as fit

    chosen = recipe_of(
        recipe, recognizer=recognizer, side=side, epochs=epochs, mixed_precision=mixed_precision, flow=flow
    )

    before = None if start is None else start if isinstance(start, LoadedRecognizer) else load_recognizer(start)
    machine, folder = machine_of(device, threads), None if out is None else path(out)
    if folder is not None:
        prove_own(folder)

    def view(given: Data | Sequence[Data]) -> View:
        return view_of(given, chosen, no_apex=no_apex, workers=workers, progress=progress, say=say)

    seen = view(data)
    if joint is not None:
        seen = joined(view(joint), seen, seed)
    made = fit(
        seen, chosen, seed=seed, start=None if before is None else before.recognizer, folder=folder, machine=machine,
        progress=stage(progress, f"training {chosen.recognizer}"),
    )  # fmt: skip
    return LoadedRecognizer(made)
