"""The commands that train and test: train, evaluate, predict, experiment. Heavy imports wait, as in `cli`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miex import console
from miex.errors import InputError, UsageError, one_of
from miex.executors.base import Progress

if TYPE_CHECKING:
    from miex.evaluation.folds import Protocol
    from miex.evaluation.protocol import Evaluation
    from miex.experiments.realflow import Row
    from miex.recognition.machine import Machine
    from miex.recognition.recipe import Recipe
    from miex.recognition.view import View

experiment_app = typer.Typer(no_args_is_help=True, help="Tables and figures of the paper, and real flow.")

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
Workers = Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per processor.")]
Independent = Annotated[
    list[str] | None, typer.Option(help="A corpus of your own, whose people are in no other: you vouch for it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")]
Store = Annotated[Path, typer.Option(help="Folder of results; what is there is not computed again.")]


def add_training(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (train, evaluate, predict):
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
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Train a recognizer."""
    _need_extra()
    from functools import reduce

    from miex.recognition.recognizer import MODEL, load_recognizer
    from miex.recognition.train import joint
    from miex.recognition.train import train as train_recognizer

    chosen = _recipe(recipe, recognizer, side, epochs, mixed_precision, flow)
    data = reduce(lambda a, b: a.joined(b), [_samples(name, chosen, workers, no_apex) for name in samples])
    if joint_with:
        data = joint(_samples(joint_with, chosen, workers, no_apex), data, seed)
    with console.bar(f"training {chosen.recognizer}", "steps") as move:
        made = train_recognizer(
            data, chosen, seed=seed, start=load_recognizer(start) if start else None,
            folder=out, machine=_machine(device, threads),
            progress=move,
        )  # fmt: skip
    facts = {
        "out": str(out / MODEL), "samples": len(data), "parameters": made.method.parameter_count,
        "recipe": chosen.digest, "loss": made.history["loss"], "epochs": made.history["epochs"],
    }  # fmt: skip
    console.show(as_json, facts, f"{len(data):,} samples, loss {facts['loss']:.3f}: {out / MODEL}")


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
    flow: FlowMethod = None,
    no_apex: NoApexName = "refuse",
    device: Device = None,
    threads: Threads = 1,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Train and test over folds and repeats, with the leak guard; or test a trained recognizer."""
    _need_extra()
    from miex.evaluation.protocol import evaluate as run_folds
    from miex.evaluation.results import Results
    from miex.experiments.fit import MODES, Fit

    if model is not None:
        _evaluate_model(model, samples, no_apex, accept_unknown, independent or (), as_json)
        return
    if mode not in MODES:
        raise UsageError(f"--mode {mode}", expected="one of " + ", ".join(MODES))
    from functools import reduce

    chosen = _recipe(recipe, recognizer, side, epochs, flow=flow)
    real = _samples(samples, chosen, workers, no_apex)
    parts = [_samples(name, chosen, workers, no_apex) for name in extra or []]
    other = reduce(lambda a, b: a.joined(b), parts) if parts else None
    fit = Fit(
        mode, real, chosen, other, _recipe(pretrain, flow=flow) if pretrain else None, best_on_test, store / "models",
        _machine(device, threads),
    )  # fmt: skip
    folds = _protocols(protocol, real, repeats)
    with _many_bars() as bars:
        found = run_folds(
            f"{chosen.name}, {mode}", real.rows, folds, fit, what=fit.what, store=Results(store),
            classes=len(real.label_names), extra=None if other is None else other.rows,
            train_on_folds=fit.uses_folds, accept_unknown=accept_unknown, independent=independent or (),
            executor=console.executor(workers),
            progress=bars(f"{chosen.name}, {mode}, {protocol}"),
        )  # fmt: skip
    console.say(f"{found.computed} runs computed, the others were in {store}; folds of seed 0: {folds[0].digest[:12]}")
    epochs_kept = ("last", "best_on_test") if best_on_test else ("last",)
    console.show(as_json, _plain(found, real, epochs_kept, folds), "") if as_json else _table(found, real, epochs_kept)


def predict(
    model: Annotated[Path, typer.Argument(help="recognizer.safetensors of miex train, or its folder.")],
    clip: Annotated[list[Path], typer.Argument(help="Onset and apex image; a folder of frames; a video; or an .npz.")],
    onset: Annotated[int, typer.Option(min=0, help="Frame of the onset, 0-based.")] = 0,
    apex: Annotated[
        int | None, typer.Option(min=1, help="Frame of the apex, 0-based; needed for folder and video.")
    ] = None,
    landmarker: Annotated[
        Path | None, typer.Option(help="The landmark model's file. Default: found or fetched.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The class of a clip of your own, with probabilities. It says what a face did, not what anybody felt."""
    _need_extra()
    from miex.faces.landmarks import Landmarker, find_model
    from miex.images import read_clip, read_image
    from miex.recognition.flow_file import read_flow
    from miex.recognition.places import aligned
    from miex.recognition.recognizer import load_recognizer

    loaded = load_recognizer(model)
    if len(clip) == 1 and clip[0].suffix == ".npz":
        given = read_flow(clip[0])
        seen, names = given.array(loaded.recipe.takes), given.rows["sample_id"].to_pylist()
    else:
        if len(clip) == 2:
            pair = (read_image(clip[0]), read_image(clip[1]))
        elif len(clip) == 1 and apex is not None:
            frames = read_clip(clip[0])
            if not onset < apex < len(frames):
                raise InputError(
                    f"clip {clip[0]}", expected=f"0 ≤ onset < apex < {len(frames)}", found=f"onset {onset}, apex {apex}"
                )
            pair = (frames[onset], frames[apex])
        else:
            raise UsageError(
                "predict", expected="an onset and an apex image, or one folder or video with --apex",
                found=f"{len(clip)} files, apex {apex}", do="say which frame shows the expression at its strongest",
            )  # fmt: skip
        with Landmarker(find_model(landmarker, say=console.say)) as ready:
            seen = loaded.recipe.takes.of(aligned(pair.__getitem__, 2, 1, ready, name=f"clip {clip[0]}"))[None]
        names = [str(clip[0])]
    found = loaded.probabilities(seen)
    rows = [
        {
            "sample": name,
            "class": loaded.label_names[int(p.argmax())],
            "probabilities": {k: round(float(v), 4) for k, v in zip(loaded.label_names, p, strict=True)},
        }
        for name, p in zip(names, found, strict=True)
    ]
    lines = (
        f"{row['sample']}: {row['class']} (" + ", ".join(f"{k} {v:.2f}" for k, v in row["probabilities"].items()) + ")"
        for row in rows
    )
    console.show(as_json, {"predictions": rows}, "\n".join(lines))


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
    modes: Annotated[str, typer.Option(help="Of direct, fine-tune, joint, real.")] = "direct,fine-tune,joint,real",
    protocol: Annotated[str, typer.Option(help="Of 3-fold, loso (subjects), loco (corpora).")] = "3-fold",
    recipe: RecipeName = "fixed",
    alternatives: Annotated[
        str | None,
        typer.Option(help="Recipes to try instead: chosen on one half of the subjects, reported on the other."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds.")] = 3,
    references: Annotated[bool, typer.Option(help="Also sign rule, bumps, shuffled labels, the other corpus.")] = True,
    flow: FlowMethod = None,
    threads: Threads = 1,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Train on synthetic sets, test on 309 real flow maps of CASME II and SMIC, beside the references."""
    _need_extra()
    from functools import partial

    from miex.experiments import realflow as experiment
    from miex.experiments.fit import MODES
    from miex.recognition.flow_file import load_examples

    wrong = [name for name in modes.split(",") if name not in MODES]
    if wrong:
        raise UsageError(f"--modes {wrong[0]}", expected="of " + ", ".join(MODES))
    kinds = [mode for mode in MODES if mode in modes.split(",")]
    maps = experiment.read_real(real)
    base = _recipe(recipe, flow=flow)
    given = {name: [load_examples(path) for path in paths] for name, paths in _settings(sets or []).items()}
    with _many_bars() as bars:
        table = partial(
            experiment.realflow, given, maps, store, seeds=seeds, machine=_machine(None, threads),
            executor=console.executor(workers), progress=bars,
        )  # fmt: skip
        if alternatives is None:
            rows = table(modes=kinds, protocols=protocol.split(","), recipe=base, references=references)
            choice = None
        else:
            if len(given) > 1 or len(kinds) != 1:
                raise UsageError("--alternatives", expected="one setting and one of --modes")
            recipes = [_recipe(name, flow=flow) for name in alternatives.split(",")]
            choice = experiment.choose(
                recipes,
                lambda one: table(modes=kinds, protocols=[protocol], recipe=one, references=False)[0],
            )
            rows = [choice.report]
    if as_json:
        chosen = None if choice is None else {"choose": dict(choice.choose), "best": choice.best}
        console.show(True, {"rows": [row.plain() for row in rows], "choice": chosen}, "")
        return
    if choice is not None:
        _print_choice(choice)
        return
    _print_rows(rows)
    unchecked = max((row.unchecked for row in rows), default=0)
    if unchecked:
        console.say(
            f"{unchecked:,} training rows do not say where their AUs come from: the leak guard could not check them"
        )


def _need_extra() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("torch", "safetensors", "sklearn", "tensorboardX") if find_spec(name) is None]
    if missing:
        raise UsageError(
            "training and recognizing",
            expected="torch, safetensors, scikit-learn and tensorboardX",
            found=f"no {', no '.join(missing)}",
            do="pip install 'miex[train]' (see the README)",
        )


def _print_rows(rows: Sequence[Row]) -> None:
    from miex.evaluation.significance import stars

    names = list(rows[0].parts)
    columns = ["trained on", "test", "runs", *(f"{name} ({rows[0].parts[name].n})" for name in names)]
    columns += ["95 % over subjects", "UAR", "against real", "refused"]
    lines = []
    for row in rows:
        tests = [p for p in (row.against.p if row.against else None, row.paired_p) if p is not None]
        against = f"{row.against.value:+.3f} {' / '.join(map(stars, tests))}" if row.against else ""
        uf1 = [_spread(row.parts[n].uf1, row.parts[n].uf1_std, row.runs) for n in names]
        uar = _spread(row.parts["all"].uar, row.parts["all"].uar_std, row.runs)
        interval = f"{row.interval.low:.2f} … {row.interval.high:.2f}"
        lines.append([row.name, row.protocol, str(row.runs), *uf1, interval, uar, against, str(row.refused)])
    _print_table("UF1 on real flow maps (n), mean ± std over runs; recipe and folds are in the store", columns, lines)
    print(
        "against real: difference of UF1 to training on the real maps alone; n.s. > .05, * > .01, ** > .001, *** by a "
        "bootstrap over subjects / a corrected paired test over seeds × folds, each after Holm. Differences under .03 "
        "are noise on a set of this size."
    )


def _print_choice(choice: Any) -> None:
    lines = [[name, f"{uf1:.3f}", "←" if name == choice.best else ""] for name, uf1 in choice.choose.items()]
    _print_table(f"{len(lines)} settings, UF1 on the half `choose`", ["recipe", "UF1", "chosen"], lines)
    part, row = choice.report.parts["report"], choice.report
    print(
        f"{choice.best} on the half `report` ({part.n} samples, {row.runs} runs, chosen among {len(lines)}): "
        f"UF1 {part.uf1:.3f} ± {part.uf1_std:.3f}, UAR {part.uar:.3f} ± {part.uar_std:.3f}"
    )


def _evaluate_model(
    model: Path, name: str, no_apex: str, accept_unknown: bool, independent: Sequence[str], as_json: bool
) -> None:
    import numpy as np
    import pyarrow as pa

    from miex.evaluation.leakage import Verdict, verdicts
    from miex.evaluation.metrics import confusion, score
    from miex.evaluation.significance import bootstrap, by_subject
    from miex.recognition.recognizer import load_recognizer

    loaded = load_recognizer(model)
    samples = _samples(name, loaded.recipe, None, no_apex)
    origins = loaded.history.get("origins", [[None] * 3])
    table = pa.table({n: [o[i] for o in origins] for i, n in enumerate(("source", "corpus", "subject"))})
    columns = (samples.rows[name].to_pylist() for name in ("corpus", "subject"))
    people = {pair for pair in zip(*columns, strict=True) if pair[1]}
    found = [verdict for verdict in verdicts(table, people, independent=independent) if verdict is not Verdict.allowed]
    if [v for v in found if not (accept_unknown and v is Verdict.unknown)]:
        raise InputError(
            f"testing {model} on {name}", expected="a recognizer that was trained on none of the people tested",
            found=f"of {len(origins)} origins of its training {len(found)} are not allowed: {found[0]}",
            do="evaluate over folds, or test other people",
        )  # fmt: skip
    p = loaded.predict(samples).argmax(1)
    k = len(loaded.label_names)
    scores = score(confusion(samples.labels, p, k))
    interval = bootstrap([by_subject(samples.labels, p, np.asarray(samples.people), k)])
    facts = {
        "n": scores.n, "uf1": scores.uf1, "uar": scores.uar, "accuracy": scores.accuracy,
        "uf1_95": [interval.low, interval.high], "confusion": scores.confusion.tolist(),
    }  # fmt: skip
    text = f"{scores.n} samples: UF1 {scores.uf1:.3f} ({interval.low:.2f} … {interval.high:.2f} over subjects)"
    console.show(as_json, facts, f"{text}, UAR {scores.uar:.3f}, accuracy {scores.accuracy:.3f}")


def _table(found: Evaluation, real: View, epochs: Sequence[str]) -> None:
    import numpy as np

    from miex.evaluation.significance import bootstrap

    lines = []

    def line(name: str, scores: Sequence[tuple[int, float, float, float]]) -> None:
        columns = np.asarray(scores)[:, 1:].T
        lines.append(
            [name, str(scores[0][0]), *(_spread(column.mean(), column.std(), len(scores)) for column in columns)]
        )

    for epoch in epochs:
        note = "" if epoch == "last" else f" {epoch}"
        whole = found.scores(epoch)
        line(f"pooled{note}", [(s.n, s.uf1, s.uar, s.accuracy) for s in whole])
        for corpus in found.corpora():
            part = found.scores(epoch, only=found.of_corpus(corpus))
            line(f"  {corpus}{note}", [(s.n, s.uf1, s.uar, s.accuracy) for s in part])
        line(f"fold mean{note}", [(whole[0].n, *means) for means in found.fold_means(epoch)])
    title = f"{found.name}, {found.protocol}, {len(found.repeats)} repeats (± std over them, ddof 0)"
    _print_table(title, ["", "n", "UF1", "UAR", "accuracy"], lines)
    interval = bootstrap(found.subject_counts())
    counts = np.sum([s.confusion for s in found.scores()], axis=0)
    names = real.label_names
    rows = [[name, *(str(n) for n in row)] for name, row in zip(names, counts, strict=True)]
    _print_table("confusion, all repeats (rows: truth)", ["", *names], rows)
    print(
        f"UF1 {interval.value:.3f}, 95 % over subjects {interval.low:.2f} … {interval.high:.2f}. "
        f"Leak guard: {found.fact('refused')} training rows refused, {found.fact('unchecked')} unchecked."
    )


def _spread(mean: float, std: float, runs: int) -> str:
    return f"{mean:.3f} ± {std:.3f}" if runs > 1 else f"{mean:.3f}"


def _plain(found: Evaluation, real: View, epochs: Sequence[str], folds: Sequence[Protocol]) -> dict[str, Any]:
    from miex.evaluation.significance import bootstrap

    def plain(scores: Any) -> list[dict[str, Any]]:
        return [{"n": s.n, "uf1": s.uf1, "uar": s.uar, "accuracy": s.accuracy} for s in scores]

    return {
        "name": found.name, "protocol": found.protocol, "computed": found.computed,
        "folds": [one.digest for one in folds], "label_names": list(real.label_names),
        "refused": found.fact("refused"), "unchecked": found.fact("unchecked"),
        **{
            epoch: {
                "pooled": plain(found.scores(epoch)),
                "corpora": {c: plain(found.scores(epoch, only=found.of_corpus(c))) for c in found.corpora()},
                "fold_mean": [
                    dict(zip(("uf1_fold_mean", "uar_fold_mean", "accuracy_fold_mean"), means, strict=True))
                    for means in found.fold_means(epoch)
                ],
                "confusion": [s.confusion.tolist() for s in found.scores(epoch)],
                "interval": vars(bootstrap(found.subject_counts(epoch))),
            }
            for epoch in epochs
        },
    }  # fmt: skip


def _protocols(name: str, real: View, repeats: int) -> list[Protocol]:
    import re

    from miex.evaluation.folds import (
        clip_key,
        k_fold,
        leave_one_corpus_out,
        leave_one_subject_out,
        persons,
        published,
        read_table,
    )

    corpus, subject = (real.rows[key].to_pylist() for key in ("corpus", "subject"))
    of = persons(corpus, subject)
    number = re.fullmatch(r"(\d+)-fold", name)
    if number:
        return [k_fold(of, int(number[1]), seed) for seed in range(repeats)]
    if name.lower() in {"loso", "cde"}:
        return [leave_one_subject_out(of)] * repeats
    if name.lower() == "loco":
        return [leave_one_corpus_out(of)] * repeats
    path, ids = Path(name), real.rows["sample_id"].to_pylist()
    if path.is_dir():
        clips = [i.split("/")[2] if i.count("/") >= 2 else i for i in ids]
        return [published([clip_key(*who) for who in zip(corpus, subject, clips, strict=True)], path)] * repeats
    if path.suffix == ".csv":
        return [read_table(ids, of, path)] * repeats
    raise UsageError(f"--protocol {name}", expected="3-fold, 5-fold …, loso, cde, loco, a folder of lists, or a .csv")


def _settings(given: Sequence[str]) -> dict[str, list[Path]]:
    named: dict[str, list[Path]] = {}
    for text in given:
        name, sign, files = text.partition("=")
        if sign:
            named.setdefault(name, []).extend(Path(part) for part in files.split(","))
        else:
            named.setdefault("", []).append(Path(text))
    return {name or paths[0].stem: paths for name, paths in named.items()}


def _recipe(
    name: str,
    recognizer: str | None = None,
    side: int | None = None,
    epochs: int | None = None,
    mixed_precision: bool | None = None,
    flow: str | None = None,
) -> Recipe:
    from miex.recognition.recipe import load_recipe

    return load_recipe(name).but(
        recognizer=recognizer, side=side, epochs=epochs, mixed_precision=mixed_precision, method=flow
    )


def _samples(name: str, recipe: Recipe, workers: int | None, no_apex: str = "refuse") -> View:
    """A set, a flow file, or the clips of a corpus given as NAME=PATH, as the recipe's recognizer looks at them."""
    from miex.corpora.catalog import read
    from miex.faces.landmarks import find_model
    from miex.recognition.examples import input_cache
    from miex.recognition.flow_file import load_examples
    from miex.recognition.places import NO_APEX, of_clips

    treatment = one_of(no_apex, NO_APEX, "treatment of clips without apex")
    corpus, sign, path = name.partition("=")
    if sign and not Path(name).exists():
        clips = read(corpus, path).clips
        examples = of_clips(clips, model=find_model(say=console.say), no_apex=treatment)
    else:
        examples = load_examples(Path(name))
    with console.bar("reading examples", "samples") as move:
        return examples.through(recipe.takes, input_cache(), executor=console.executor(workers), progress=move)


def _machine(devices: list[str] | None, threads: int) -> Machine:
    from miex.recognition.machine import Machine

    return Machine(tuple(devices or ("cpu",)), threads)


def _print_table(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, title=title, title_justify="left")
    for line in lines:
        table.add_row(*line)
    # a table that is piped into a file must not be cut to the width of a terminal that is not there
    Console(width=None if sys.stdout.isatty() else 240).print(table)


@contextmanager
def _many_bars() -> Iterator[Callable[[str], Progress]]:
    """One bar per setting on the terminal's error stream, with the loss of the run that ended last."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeElapsedColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Bars(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bars:

        def start(name: str) -> Progress:
            task = bars.add_task(name, total=None, note="")

            def move(done: int, total: int, note: str) -> None:
                bars.update(task, completed=done, total=total, note=note)

            return move

        yield start
