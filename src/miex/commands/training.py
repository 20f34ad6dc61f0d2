"""The commands that train, test and compare: train, evaluate, predict, compare, experiment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.group import Group
from miex.errors import UsageError

experiment_app = Group("What synthetic sets teach, measured on real motion.")

RecipeName = Annotated[str, typer.Option("--recipe", help="A recipe's name, or a TOML file.")]
RecognizerName = Annotated[
    str | None,
    typer.Option("--recognizer", help="ststnet, off_apexnet, htnet, flow_resnet18, hoof_svm; else the recipe's."),
]
Side = Annotated[int | None, typer.Option(help="Side of the maps. Default: the recipe's.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs, instead of the recipe's length.")]
FlowMethod = Annotated[
    str | None, typer.Option("--flow", help="dis, tvl1 or farneback, where flow is computed. Default: the recipe's.")
]
NoApexName = Annotated[
    str, typer.Option("--no-apex", help="Clips of corpora without an apex: refuse, drop, or middle (as MiE-X did).")
]
Device = Annotated[list[str] | None, typer.Option(help="cpu, cuda, cuda:0 …; several CUDA devices share batches.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of torch. Another number, other last digits.")]
Independent = Annotated[
    list[str] | None, typer.Option(help="A corpus of your own, whose people are in no other: you vouch for it.")
]
Store = Annotated[Path, typer.Option(help="Folder of results; what is there is not computed again.")]
Out = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        help="Folder that the tables are also written to, as Markdown, LaTeX, CSV and JSON, and the picture as PNG.",
    ),
]


def add_training(app: Group) -> None:
    """Add the commands to the program."""
    for command in (train, evaluate, predict, compare):
        app.command()(command)
    app.add_typer(experiment_app, name="experiment")


def train(
    samples: Annotated[
        list[str], typer.Argument(help="Flow files (.npz), folders of sets, corpora as NAME=PATH; several are joined.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of log, checkpoint and recognizer; the same command resumes.")],
    recipe: RecipeName = "fixed",
    recognizer: RecognizerName = None,
    side: Side = None,
    epochs: Epochs = None,
    mixed_precision: Annotated[bool | None, typer.Option("--mixed-precision/--full-precision")] = None,
    start: Annotated[
        Path | None, typer.Option(help="A recognizer (or its folder) to fine-tune; other classes get a new head.")
    ] = None,
    joint_with: Annotated[
        str | None, typer.Option("--joint", help="Real samples, drawn as often as the others.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights and draws.")] = 0,
    flow: FlowMethod = None,
    no_apex: NoApexName = "refuse",
    device: Device = None,
    threads: Threads = 1,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Train a recognizer."""
    from miex.api.train import train as fit

    with console.bars() as progress:
        made = fit(
            samples, recognizer, out=out, recipe=recipe, side=side, epochs=epochs,
            mixed_precision=mixed_precision, start=start, joint=joint_with, seed=seed, flow=flow, no_apex=no_apex,
            device=device, threads=threads, workers=workers, progress=progress, say=console.say,
        ).recognizer  # fmt: skip
    from miex.recognition.recognizer import MODEL

    facts = {
        "out": str(out / MODEL), "samples": made.history["n"], "parameters": made.method.parameter_count,
        "recipe": made.recipe.digest, "loss": made.history["loss"], "epochs": made.history["epochs"],
    }  # fmt: skip
    console.show(as_json, facts, f"{facts['samples']:,} samples, loss {facts['loss']:.3f}: {out / MODEL}")


def evaluate(
    samples: Annotated[
        str, typer.Argument(help="Real samples to test: a corpus as NAME=PATH, or a flow file with corpus and subject.")
    ],
    protocol: Annotated[
        str,
        typer.Option(help="3-fold, 5-fold …, loso (on CompMiE: MEGC's CDE), loco (corpora), published lists, a CSV."),
    ] = "3-fold",
    mode: Annotated[str, typer.Option(help="real, direct, fine-tune or joint.")] = "real",
    extra: Annotated[list[str] | None, typer.Option(help="What else is trained on: flow files, sets, corpora.")] = None,
    model: Annotated[Path | None, typer.Option(help="Test this recognizer as it is, without training.")] = None,
    recipe: RecipeName = "fixed",
    recognizer: RecognizerName = None,
    side: Side = None,
    epochs: Epochs = None,
    pretrain: Annotated[str | None, typer.Option(help="Recipe of pre-training. Default: the same.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Seeds; k-fold takes other folds for each.")] = 3,
    best_on_test: Annotated[
        bool, typer.Option(help="Also report the epoch the test part likes best, under that name.")
    ] = False,
    accept_unknown: Annotated[
        bool, typer.Option(help="Train on rows whose provenance the leak guard cannot know; they are counted.")
    ] = False,
    independent: Independent = None,
    store: Store = Path("results"),
    out: Out = None,
    flow: FlowMethod = None,
    no_apex: NoApexName = "refuse",
    device: Device = None,
    threads: Threads = 1,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Train and test over folds and repeats, with the leak guard; or test a trained recognizer."""
    from miex.api import evaluate as api

    if model is not None:
        with console.bars() as progress:
            tested = api.evaluate_recognizer(
                model, samples, accept_unknown=accept_unknown, independent=independent or (),
                no_apex=no_apex, workers=workers, progress=progress, say=console.say,
            )  # fmt: skip
        console.show_result(tested, as_json, out)
        return
    with console.bars() as progress:
        found = api.evaluate(
            samples, extra=extra or None, mode=mode, recognizer=recognizer, folds=protocol, recipe=recipe, side=side,
            epochs=epochs, pretrain=pretrain, repeats=repeats, best_on_test=best_on_test,
            accept_unknown=accept_unknown, independent=independent or (), store=store, flow=flow, no_apex=no_apex,
            device=device, threads=threads, workers=workers, progress=progress, say=console.say,
        )  # fmt: skip
    between = found.interval
    console.show_result(
        found, as_json, out,
        f"UF1 {between.value:.3f}, 95 % over subjects {between.low:.2f} … {between.high:.2f}. "
        f"Leak guard: {found.refused} training rows refused, {found.unchecked} unchecked.",
    )  # fmt: skip


def predict(
    model: Annotated[Path, typer.Argument(help="recognizer.safetensors of miex train, or its folder.")],
    clip: Annotated[list[Path], typer.Argument(help="Onset and apex image; a folder of frames; a video; or an .npz.")],
    onset: Annotated[int, typer.Option(min=0, help="Frame of the onset, 0-based.")] = 0,
    apex: Annotated[
        int | None, typer.Option(min=1, help="Frame of the apex, 0-based; needed for folder and video.")
    ] = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """The class of a clip of your own, with probabilities. It says what a face did, not what anybody felt."""
    from miex.api.predict import predict as look

    found = look(model, *clip, onset=onset, apex=apex, landmarker=landmarker, say=console.say)
    rows = [
        {"sample": p.sample, "class": p.label, "probabilities": {k: round(v, 4) for k, v in p.probabilities.items()}}
        for p in found
    ]
    console.show(as_json, {"predictions": rows}, "\n".join(map(str, found)))


def compare(
    a: Annotated[Path, typer.Argument(help="Folder of a set.")],
    b: Annotated[Path, typer.Argument(help="Folder of another set, of the same plan or of another.")],
    real: Annotated[
        list[str] | None, typer.Option(help="Real samples to test on too: a corpus as NAME=PATH, or a flow file.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=2, help="Samples whose frames are looked at.")] = 200,
    seed: Annotated[int, typer.Option(help="Of their choice.")] = 0,
    learn: Annotated[bool, typer.Option("--learn/--no-learn", help="Train the recipe on each set.")] = True,
    recipe: RecipeName = "fixed",
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds.")] = 3,
    store: Store = Path("results"),
    out: Out = None,
    faces: Annotated[
        Path | None, typer.Option(help="Folder of the photos. Default: where each plan found them.")
    ] = None,
    flow: FlowMethod = None,
    no_apex: NoApexName = "refuse",
    independent: Independent = None,
    device: Device = None,
    landmarker: o.Landmarker = None,
    threads: Threads = 1,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Compare two sets, sample by sample where they share samples: motion, AUs, likeness, and what is learned."""
    from miex.api.compare import compare as look

    with console.bars() as progress:
        found = look(
            a, b, real=real or None, n=n, seed=seed, learn=learn, recipe=recipe, seeds=seeds, store=store, faces=faces,
            flow=flow, no_apex=no_apex, independent=independent or (), device=device, landmarker=landmarker,
            threads=threads, workers=workers, progress=progress, say=console.say,
        )  # fmt: skip
    console.show_result(found, as_json, out)


@experiment_app.callback()
def experiment() -> None:
    """What synthetic sets teach, measured on real motion."""
    # With a callback typer keeps a group of one command a group.


@experiment_app.command("realflow")
def realflow(
    sets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Flow files or sets: A.npz B.npz, one setting of several seeds; NAME=A.npz,B.npz names one."
        ),
    ] = None,
    real: Annotated[Path, typer.Option(envvar="MIEX_REAL_FLOW", help="Folder of the lent real maps.")] = Path(
        "real-flow"
    ),
    store: Store = Path("results"),
    out: Out = None,
    modes: Annotated[str, typer.Option(help="Of direct, fine-tune, joint, real.")] = "direct,fine-tune,joint,real",
    protocol: Annotated[str, typer.Option(help="Of 3-fold, loso (subjects), loco (corpora).")] = "3-fold",
    recipe: RecipeName = "fixed",
    alternatives: Annotated[
        str | None,
        typer.Option(help="Recipes to try instead: chosen on one half of the subjects, reported on the other."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds.")] = 3,
    references: Annotated[
        bool, typer.Option(help="Also sign rule, bumps, shuffled labels, real maps of the other corpus and view.")
    ] = True,
    only_estimate: Annotated[
        bool, typer.Option("--only-estimate", help="Train nothing; say what is left to do and about how long it takes.")
    ] = False,
    flow: FlowMethod = None,
    threads: Threads = 1,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Train on synthetic sets, test on two views of 309 real flow maps of CASME II and SMIC, beside references."""
    from miex.api.experiments import realflow as run

    with console.bars() as progress:
        found = run(
            _settings(sets or ()), real, store=store, modes=modes.split(","), folds=protocol.split(","),
            recipe=recipe, alternatives=alternatives.split(",") if alternatives else None, seeds=seeds,
            references=references, only_estimate=only_estimate, flow=flow, threads=threads, workers=workers,
            progress=progress, say=console.say,
        )  # fmt: skip
    console.show_result(found, as_json, out)
    if found.choice is None and found.unchecked:
        console.say(
            f"{found.unchecked:,} training rows do not say where their AUs come from: "
            "the leak guard could not check them"
        )


def _settings(given: Sequence[str]) -> dict[str, list[Path]]:
    named: dict[str, list[Path]] = {}
    for text in given:
        name, sign, files = text.partition("=")
        if sign:
            named.setdefault(name, []).extend(Path(part) for part in files.split(","))
        else:
            named.setdefault("", []).append(Path(text))
    if "" in named:
        stem = named[""][0].stem
        if stem in named:
            raise UsageError(
                f"`sets` {stem}", expected="one setting of that name", found="one named so, and files without a name",
                do=f"give both names: one={stem}.npz other=…",
            )  # fmt: skip
        named = {name or stem: paths for name, paths in named.items()}
    return named
