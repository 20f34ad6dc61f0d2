"""The command that measures what a set is worth, in real people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.training import (
    AcceptUnknown,
    ClassesName,
    Device,
    FlowMethod,
    Independent,
    OnlyEstimate,
    Out,
    RecipeName,
    Seeds,
    Store,
    Threads,
    experiment_app,
)
from miex.errors import UsageError


def add_worth() -> None:
    """Add the command to `miex experiment`."""
    experiment_app.command("worth")(worth)


def worth(
    sets: Annotated[
        list[str],
        typer.Argument(metavar="SET", help="Folder of a set, or flow file. Several: the same settings, other seeds."),
    ],
    real: Annotated[
        list[str],
        typer.Option(
            metavar="SAMPLES",
            help="Real samples: a corpus as NAME=PATH, or a flow file with corpus and subject. Repeatable; joined, or "
            "several views of the same people, each with a name: first=A.npz second=B.npz, or first=casme2=PATH.",
            rich_help_panel=o.DATA,
        ),
    ],
    counts: Annotated[
        str | None,
        typer.Option(
            help="Numbers of real people to train on, separated by commas. Default: those of 2, 4, 8, 16, 24 that "
            "leave a third of all people to be tested.",
            rich_help_panel=o.DATA,
        ),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(min=1, help="Number of draws of people; more of them continue the same.", rich_help_panel=o.DATA),
    ] = 10,
    seeds: Seeds = 3,
    seed: Annotated[int, typer.Option(help="Random seed of the draws of people.", rich_help_panel=o.DATA)] = 0,
    where: o.Where = None,
    classes: ClassesName = None,
    recipe: RecipeName = "fixed",
    tuning: Annotated[
        str | None,
        typer.Option(
            help="Recipe of the fine-tuning, such as a TOML file with a smaller learning rate. Default: --recipe.",
            rich_help_panel=o.TRAINING,
        ),
    ] = None,
    accept_unknown: AcceptUnknown = False,
    independent: Independent = None,
    store: Store = Path("results"),
    out: Out = None,
    only_estimate: OnlyEstimate = False,
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
    """Measure what a set is worth, in real people: UF1 by how many of them are trained on, with and without the set."""
    from miex.api.worth import worth as run

    with console.bars() as progress:
        found = run(
            sets, _views(real), counts=None if counts is None else _numbers(counts), draws=draws, seeds=seeds,
            seed=seed, where=where, classes=classes, recipe=recipe, tuning=tuning, accept_unknown=accept_unknown,
            independent=independent or (), store=store, only_estimate=only_estimate, flow=flow, no_apex=no_apex,
            on_error=on_error, device=device, threads=threads, workers=workers, progress=progress, say=console.say,
        )  # fmt: skip
    console.show_result(found, as_json, out)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"`counts` {text}", expected="whole numbers, separated by commas, such as 2,4,8") from None


def _views(given: Sequence[str]) -> dict[str, list[str]]:
    """The samples of each view; those without a name are one.

    `NAME=PATH` alone is a corpus; it names a view before a flow file, or before another `NAME=PATH`.
    """
    found: dict[str, list[str]] = {}
    for text in given:
        name, sign, rest = text.partition("=")
        named = sign and not Path(text).exists() and (rest.endswith(".npz") or "=" in rest)
        found.setdefault(name if named else "", []).append(rest if named else text)
    if "" in found and len(found) > 1:
        raise UsageError(
            "`real` " + " ".join(given), expected="a name for every view, or for none",
            found=f"none for {found[''][0]}", do="write --real first=A.npz --real second=B.npz",
        )  # fmt: skip
    return found
