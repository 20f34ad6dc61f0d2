"""The commands that train, test, spot and compare."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.group import Group
from miex.errors import UsageError

experiment_app = Group("Measure on real motion what synthetic sets teach.")

_RECIPES = (
    "Recipe of the training: fixed, fixed-56, fixed-htnet, epochs-80, the name of a recognizer that has its own, or a "
    "TOML file."
)
RecipeName = Annotated[str, typer.Option("--recipe", help=_RECIPES, rich_help_panel=o.TRAINING)]
OwnRecipeName = Annotated[
    str | None,
    typer.Option("--recipe", help=f"{_RECIPES} Default: that of the recognizer, or fixed.", rich_help_panel=o.TRAINING),
]
RecognizerName = Annotated[
    str | None,
    typer.Option(
        "--recognizer", help="Recognizer; miex recognizers lists them. Default: the recipe's.",
        rich_help_panel=o.TRAINING,
    ),
]  # fmt: skip
BackboneName = Annotated[
    str | None,
    typer.Option(
        "--backbone", help="Backbone of branches or apexme: resnet18, vgg16 or efficientnet-lite0; elrcn has vgg16. "
        "Default: that of --start, or the recognizer's own.", rich_help_panel=o.TRAINING,
    ),
]  # fmt: skip
Side = Annotated[
    int | None,
    typer.Option(
        help="Side of the recognizer's input (such as flow maps), in pixels. Default: the recipe's.",
        rich_help_panel=o.TRAINING,
    ),
]
Epochs = Annotated[
    int | None, typer.Option(help="Number of epochs. Default: the recipe's length.", rich_help_panel=o.TRAINING)
]
FlowMethod = Annotated[
    str | None,
    typer.Option(
        "--flow", help="Optical flow method: dis, tvl1 or farneback; flow files keep theirs. Default: the recipe's.",
        rich_help_panel=o.TRAINING,
    ),
]  # fmt: skip
ClassesName = Annotated[
    str | None,
    typer.Option(
        "--classes", metavar="NAME", help="Mapping that gives the classes (see miex corpora list --mappings): megc2019 "
        "(negative, positive, surprise), emotion (7 classes), mmew-6, samm-5 …; samples of sets go by their emotion. "
        "Default: megc2019; flow files have their own classes.",
        rich_help_panel=o.DATA,
    ),
]  # fmt: skip
Device = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DEVICE", help="Device of the networks, such as cpu, cuda or cuda:0. Repeatable: several CUDA devices "
        "share each batch. Default: cpu.", rich_help_panel=o.RUN,
    ),
]  # fmt: skip
Threads = Annotated[
    int,
    typer.Option(
        min=1,
        help="Number of torch's threads; another number changes the last digits of results.",
        rich_help_panel=o.RUN,
    ),
]
AcceptUnknown = Annotated[
    bool,
    typer.Option(
        help="Whether to also train on samples of unknown origin, which the leak guard cannot check; they are counted.",
        rich_help_panel=o.DATA,
    ),
]
Independent = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="Name of a corpus that shares no people with any other corpus: your own, or one whose "
        "laboratory filmed several, such as casme; the leak guard relies on your word. Repeatable.",
        rich_help_panel=o.DATA,
    ),
]  # fmt: skip
Store = Annotated[
    Path,
    typer.Option(
        help="Folder of the stored runs; runs that are already there are not repeated.", rich_help_panel=o.OUTPUT
    ),
]


def _proven(out: Path | None) -> Path | None:
    if out is not None:
        from miex.api.work import path
        from miex.storage.local import prove_folder

        prove_folder(path(out))  # what is computed may take days
    return out


Out = Annotated[
    Path | None,
    typer.Option(
        file_okay=False, help="Folder for the tables, as Markdown, LaTeX, CSV and JSON, with a picture or page where "
        "there is one. Default: they are only printed.",
        rich_help_panel=o.OUTPUT,
        callback=_proven,
    ),
]  # fmt: skip
Start = Annotated[
    str | None,
    typer.Option(
        help="Weights trained on ImageNet that networks with a backbone start from: imagenet (EfficientNet-Lite0, "
        "which is fetched) or a file of torchvision (.pth). Default: random weights.",
        rich_help_panel=o.TRAINING,
    ),
]
OnlyEstimate = Annotated[
    bool,
    typer.Option(
        "--only-estimate",
        help="Make and train nothing; print what is missing, and about how long it takes.",
        rich_help_panel=o.RUN,
    ),
]
FPS = Annotated[
    float | None,
    typer.Option(min=1, help="Frames per second, to spot events. Default: as the video says; a folder does not."),
]
Seeds = Annotated[int, typer.Option(min=1, help="Number of training seeds.", rich_help_panel=o.TRAINING)]


def add_training(app: Group) -> None:
    """Add the commands to the program."""
    for command in (recognizers, train, evaluate, predict, spot, compare):
        app.command()(command)
    app.add_group("experiment", experiment_app)


def recognizers(out: Out = None, as_json: o.AsJson = False, quiet: o.Quiet = False, log: o.Log = None) -> None:
    """List the recognizers: what they take, their parameters, and their papers."""
    from miex.api.recognizers import recognizers as known

    console.show_result(known(), as_json, out)


def train(
    samples: Annotated[
        list[str],
        typer.Argument(
            metavar="SAMPLES",
            help="Samples to train on: flow files (.npz), folders of sets, or corpora as NAME=PATH. Several are "
            "joined.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the recognizer, its log and a checkpoint. Run the same command again to resume.",
            rich_help_panel=o.OUTPUT,
        ),
    ],
    classes: ClassesName = None,
    recipe: OwnRecipeName = None,
    recognizer: RecognizerName = None,
    backbone: BackboneName = None,
    side: Side = None,
    epochs: Epochs = None,
    mixed_precision: Annotated[
        bool | None,
        typer.Option(
            "--mixed-precision/--full-precision",
            help="Whether to compute in 16-bit (on CPUs bfloat16, on CUDA devices float16) or in 32-bit floating "
            "point. Default: the recipe's.",
            rich_help_panel=o.TRAINING,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="What to start from: a trained recognizer to fine-tune (its file or folder; if the classes differ, it "
            "gets a new last layer), or weights trained on ImageNet for the backbone: imagenet (EfficientNet-Lite0, "
            "which is fetched) or a file of torchvision (.pth). Default: random weights.",
            rich_help_panel=o.TRAINING,
        ),
    ] = None,
    joint_with: Annotated[
        str | None,
        typer.Option(
            "--joint",
            metavar="SAMPLES",
            help="Real samples to train on as well, given like SAMPLES; they are drawn as often as the others.",
            rich_help_panel=o.DATA,
        ),
    ] = None,
    where: o.Where = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Render the frames of plans while training, and store nothing: SAMPLES may be folders that miex plan "
            "wrote.",
            rich_help_panel=o.DATA,
        ),
    ] = False,
    new_draws: Annotated[
        bool,
        typer.Option(
            "--new-draws",
            help="With --stream, draw AUs, motion and nuisances anew in each epoch.",
            rich_help_panel=o.DATA,
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Random seed of the initial weights and of all draws.", rich_help_panel=o.TRAINING)
    ] = 0,
    flow: FlowMethod = None,
    no_apex: o.NoApex = "refuse",
    on_error: o.OnDamage = "raise",
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
            samples, recognizer, out=out, classes=classes, recipe=recipe, backbone=backbone, side=side, epochs=epochs,
            mixed_precision=mixed_precision, start=start, joint=joint_with, where=where, stream=stream,
            new_draws=new_draws, seed=seed, flow=flow, no_apex=no_apex, on_error=on_error, device=device,
            threads=threads, workers=workers, progress=progress, say=console.say,
        ).trained  # fmt: skip
    from miex.recognition.recognizer import MODEL

    facts = {
        "out": str(out / MODEL), "samples": made.history["n"], "parameters": made.method.parameter_count,
        "recipe": made.recipe.digest, "loss": made.history["loss"], "epochs": made.history["epochs"],
        "skipped": made.history.get("skipped", []),
    }  # fmt: skip
    console.show(as_json, facts, f"{facts['samples']:,} samples, loss {facts['loss']:.3f}: {out / MODEL}")
    console.say_skipped(facts["skipped"])


def evaluate(
    samples: Annotated[
        str,
        typer.Argument(
            metavar="SAMPLES",
            help="Real samples to test on: a corpus as NAME=PATH, or a flow file (.npz) with corpus and subject.",
        ),
    ],
    protocol: Annotated[
        str,
        typer.Option(
            help="Folds: 3-fold, 5-fold …; loso (leave one subject out; on CompMiE this is the CDE of MEGC 2019); loco "
            "(leave one corpus out); a folder of the MiE-X authors' lists; or a CSV with columns sample_id and fold.",
            rich_help_panel=o.DATA,
        ),
    ] = "3-fold",
    mode: Annotated[
        str,
        typer.Option(
            help="What to train on: real (the folds' real samples), direct (only --extra), fine-tune (--extra, then "
            "real ones) or joint (both at once).",
            rich_help_panel=o.TRAINING,
        ),
    ] = "real",
    extra: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SAMPLES",
            help="Samples to train on besides the real ones: flow files, sets or corpora. Repeatable.",
            rich_help_panel=o.DATA,
        ),
    ] = None,
    classes: ClassesName = None,
    where: o.Where = None,
    extra_classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Mapping that gives other classes to --extra, with mode fine-tune, which then starts a new last "
            "layer. Default: --classes.",
            rich_help_panel=o.DATA,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Trained recognizer to test as it is: its file, or its folder. Nothing is trained, and options of "
            "training have no effect.",
            rich_help_panel=o.TRAINING,
        ),
    ] = None,
    recipe: OwnRecipeName = None,
    recognizer: RecognizerName = None,
    backbone: BackboneName = None,
    side: Side = None,
    epochs: Epochs = None,
    start: Start = None,
    pretrain: Annotated[
        str | None,
        typer.Option(
            help="Recipe of the pre-training with mode fine-tune. Default: the same as --recipe.",
            rich_help_panel=o.TRAINING,
        ),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of repeats, each with its own seed; k-fold also draws new folds for each.",
            rich_help_panel=o.TRAINING,
        ),
    ] = 3,
    best_on_test: Annotated[
        bool,
        typer.Option(
            help="Also report the epoch that scores best on the test part, as best_on_test; it is never the result.",
            rich_help_panel=o.OUTPUT,
        ),
    ] = False,
    accept_unknown: AcceptUnknown = False,
    independent: Independent = None,
    store: Store = Path("results"),
    out: Out = None,
    flow: FlowMethod = None,
    no_apex: o.NoApex = "refuse",
    on_error: o.OnDamage = "raise",
    device: Device = None,
    threads: Threads = 1,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Train and test a recognizer over folds and repeats, or test a trained one.

    A leak guard refuses training samples whose AUs come from a person who is tested.
    """
    from miex.api import evaluate as api

    if model is not None:
        with console.bars() as progress:
            tested = api.evaluate_recognizer(
                model, samples, classes=classes, accept_unknown=accept_unknown, independent=independent or (),
                no_apex=no_apex, on_error=on_error, workers=workers, progress=progress, say=console.say,
            )  # fmt: skip
        console.show_result(tested, as_json, out)
        return
    with console.bars() as progress:
        found = api.evaluate(
            samples, extra=extra or None, where=where, mode=mode, classes=classes, extra_classes=extra_classes,
            recognizer=recognizer, folds=protocol, recipe=recipe, backbone=backbone, side=side, epochs=epochs,
            start=start, pretrain=pretrain, repeats=repeats, best_on_test=best_on_test, accept_unknown=accept_unknown,
            independent=independent or (), store=store, flow=flow, no_apex=no_apex, on_error=on_error,
            device=device, threads=threads, workers=workers, progress=progress, say=console.say,
        )  # fmt: skip
    between = found.interval
    console.show_result(
        found, as_json, out,
        f"UF1 {between.value:.3f}, 95 % over subjects {between.low:.2f} … {between.high:.2f}. "
        f"Leak guard, at most in a run: {found.refused} training rows refused, {found.unchecked} unchecked.",
    )  # fmt: skip


def predict(
    clip: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CLIP",
            help="Clip: an onset and an apex image, a folder of frames, a video, or a flow file (.npz).",
        ),
    ] = None,
    recognizer: Annotated[
        Path | None,
        typer.Option(
            help="Trained recognizer: its file, or its folder. Default: the one that comes with miex (see --card).",
        ),
    ] = None,
    card: Annotated[
        bool,
        typer.Option(
            "--card",
            help="Print the card of the recognizer that comes with miex: what it was trained on, what it reads of real "
            "clips, and what it must not be used for.",
        ),
    ] = False,
    onset: Annotated[
        int | None, typer.Option(min=0, help="Index of the onset frame. Default: the first frame, 0.")
    ] = None,
    apex: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Index of the apex frame; the first frame is 0. Default, without --onset: onset and apex of "
            "the strongest event that is spotted.",
        ),
    ] = None,
    offset: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Index of the offset frame, for recognizers that see whole clips. Default: the last.",
        ),
    ] = None,
    fps: FPS = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Print the class of a clip, with probabilities. They say what a face did, not what the person felt."""
    from miex.api.predict import load_recognizer
    from miex.api.predict import predict as look

    if card:
        if clip or recognizer:
            raise UsageError("--card", expected="no CLIP and no --recognizer: it is of the one that comes with miex")
        console.show_result(load_recognizer().card, as_json, None)
        return
    if recognizer is None:
        console.say("the recognizer that comes with miex: miex predict --card says what it must not be used for")
    with console.bars() as progress:
        found = look(
            *(clip or ()), recognizer=recognizer, onset=onset, apex=apex, offset=offset, fps=fps,
            landmarker=landmarker, progress=progress, say=console.say,
        )  # fmt: skip
    rows = [
        {
            "sample": p.sample, "class": p.label, "probabilities": {k: round(v, 4) for k, v in p.probabilities.items()},
            "onset": p.onset, "apex": p.apex, "offset": p.offset,
        }
        for p in found
    ]  # fmt: skip
    console.show(as_json, {"predictions": rows}, "\n".join(map(str, found)))


def spot(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video, or a folder of its frames.")],
    fps: FPS = None,
    min_duration: Annotated[
        float, typer.Option(min=0, help="Shortest event, from onset to offset, in seconds.", rich_help_panel=o.MOTION)
    ] = 0.04,
    max_duration: Annotated[
        float,
        typer.Option(
            min=0,
            help="Longest event, in seconds; with 4, macro-expressions are spotted too.",
            rich_help_panel=o.MOTION,
        ),
    ] = 0.5,
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="CSV for the events, as MEGC 2022 takes submissions: vid, pred_onset, pred_offset "
            "(frames counted from 1), type.",
            rich_help_panel=o.OUTPUT,
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="PNG for the strength of the motion over time, with the events.",
            rich_help_panel=o.OUTPUT,
        ),
    ] = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Spot the micro-expressions in a video: onset, apex and offset of each, and how strong it is.

    What is spotted is motion of the face that begins and ends within --max-duration; speaking moves a face as well.
    """
    from miex.api.spot import spot as look

    with console.bars() as progress:
        found = look(
            video, fps=fps, min_duration=min_duration, max_duration=max_duration, landmarker=landmarker,
            progress=progress, say=console.say,
        )  # fmt: skip
    if as_json:
        console.show(True, found.plain(), "")
    else:
        console.show_table(found.table())
    for file, write in ((out, found.save), (picture, found.picture)):
        if file is not None:
            write(file)
            console.say(f"written: {file}")


def compare(
    a: Annotated[Path, typer.Argument(metavar="SET", help="Folder of a set.")],
    b: Annotated[
        Path,
        typer.Argument(metavar="SET", help="Folder of the other set, made from the same plan or from another one."),
    ],
    real: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SAMPLES",
            help="Real samples to test on as well: a corpus as NAME=PATH, or a flow file. Repeatable.",
            rich_help_panel=o.DATA,
        ),
    ] = None,
    where: o.Where = None,
    n: Annotated[
        int,
        typer.Option(
            "--n",
            min=2,
            help="Number of samples whose frames are measured; measures stored in the sets are compared for all "
            "samples.",
            rich_help_panel=o.DATA,
        ),
    ] = 200,
    seed: Annotated[int, typer.Option(help="Random seed of the choice of these samples.", rich_help_panel=o.DATA)] = 0,
    learn: Annotated[
        bool,
        typer.Option(
            "--learn/--no-learn", help="Whether to train a recognizer on each set.", rich_help_panel=o.TRAINING
        ),
    ] = True,
    classes: ClassesName = None,
    recipe: RecipeName = "fixed",
    seeds: Seeds = 3,
    store: Store = Path("results"),
    out: Out = None,
    faces: Annotated[
        Path | None,
        typer.Option(help="Folder of the photos. Default: where each plan found them.", rich_help_panel=o.DATA),
    ] = None,
    flow: FlowMethod = None,
    no_apex: o.NoApex = "refuse",
    on_error: o.OnDamage = "raise",
    independent: Independent = None,
    device: Device = None,
    landmarker: o.Landmarker = None,
    sface: o.SFace = None,
    threads: Threads = 1,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Compare two sets: motion, AUs, sharpness, identity kept, and what a recognizer learns from each."""
    from miex.api.compare import compare as look

    with console.bars() as progress:
        found = look(
            a, b, where=where, real=real or None, n=n, seed=seed, learn=learn, classes=classes, recipe=recipe,
            seeds=seeds, store=store, faces=faces, flow=flow, no_apex=no_apex, on_error=on_error,
            independent=independent or (), device=device, landmarker=landmarker, sface=sface, threads=threads,
            workers=workers, progress=progress, say=console.say,
        )  # fmt: skip
    console.show_result(found, as_json, out)


@experiment_app.callback()
def experiment() -> None:
    """Measure on real motion what synthetic sets teach."""
    # With a callback typer keeps a group of one command a group.


@experiment_app.command("realflow")
def realflow(
    sets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SET",
            help="Flow files or folders of sets, each with the same settings and another seed. NAME=A.npz,B.npz names "
            "the settings, so that several can be compared.",
        ),
    ] = None,
    real: Annotated[
        Path,
        typer.Option(
            envvar="MIEX_REAL_FLOW",
            help="Folder of the real flow maps, which do not come with miex.",
            rich_help_panel=o.DATA,
        ),
    ] = Path("real-flow"),
    store: Store = Path("results"),
    out: Out = None,
    modes: Annotated[
        str,
        typer.Option(
            help="What to train on, separated by commas: direct, fine-tune, joint, real.", rich_help_panel=o.TRAINING
        ),
    ] = "direct,fine-tune,joint,real",
    protocol: Annotated[
        str,
        typer.Option(
            help="Folds, separated by commas: 3-fold, loso (leave one subject out), loco (leave one corpus out).",
            rich_help_panel=o.DATA,
        ),
    ] = "3-fold",
    recipe: RecipeName = "fixed",
    alternatives: Annotated[
        str | None,
        typer.Option(
            help="Recipes to try in place of --recipe, separated by commas: the best on one half of the subjects is "
            "reported on the other half.",
            rich_help_panel=o.TRAINING,
        ),
    ] = None,
    seeds: Seeds = 3,
    references: Annotated[
        bool,
        typer.Option(
            help="Whether to add references: a rule without training, hand-made maps, shuffled labels, and real maps "
            "of the other corpus and of the other view.",
            rich_help_panel=o.OUTPUT,
        ),
    ] = True,
    only_estimate: OnlyEstimate = False,
    flow: FlowMethod = None,
    threads: Threads = 1,
    workers: o.Workers = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Train on synthetic sets and test on two views of 309 real flow maps of CASME II and SMIC."""
    from miex.api.experiments import realflow as run

    with console.bars() as progress:
        found = run(
            _settings(sets or ()), real, store=store, modes=modes.split(","), folds=protocol.split(","),
            recipe=recipe, alternatives=alternatives.split(",") if alternatives else None, seeds=seeds,
            references=references, only_estimate=only_estimate, flow=flow, threads=threads, workers=workers,
            progress=progress, say=console.say,
        )  # fmt: skip
    console.show_result(found, as_json, out)


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
                f"`sets` {stem}", expected="one setting of that name", found="a named setting and files without a name",
                do=f"name both settings, such as one={stem}.npz other=B.npz",
            )  # fmt: skip
        named = {name or stem: paths for name, paths in named.items()}
    return named
