"""The commands that make the tables and figures of the paper again: one of each, all with the same options."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.training import Device, Epochs, Independent, OnlyEstimate, Out, Start, Store, Threads, experiment_app

# what each command's help says
PAPER = {
    "table1": "Table 1 of MiE-X: pre-training, fine-tuning and direct use, tested on CompMiE.",
    "table2": "Table 2 of MiE-X: recognizers on MMEW and SAMM, with and without MiE-X.",
    "table3": "Table 3 of MiE-X: with and without side faces.",
    "fig1": "Figure 1 of MiE-X: sizes of data sets, and the accuracy that they give.",
    "fig4": "Figure 4 of MiE-X: apex frames, synthetic ones beside your real ones.",
    "fig5": "Figure 5 of MiE-X: every choice of the three sources of AUs.",
    "fig6": "Figure 6 of MiE-X: numbers of AU triplets, identities and samples.",
    "fig7": "Figure 7 of MiE-X: windows of macro-expressions, and intensities of expert AUs.",
}


def add_paper() -> None:
    """Add the commands to `miex experiment`."""
    for name, says in PAPER.items():
        experiment_app.command(name, help=f"{says} Beside the printed numbers.")(_command(name))


def _command(name: str) -> Callable[..., None]:
    def command(
        corpus: Annotated[
            list[str] | None,
            typer.Option(
                metavar="NAME=PATH",
                help="Corpus and its folder: casme2, samm and smic (which are CompMiE), ckplus, "
                "mmew, casme. Repeatable.",
                rich_help_panel=o.DATA,
            ),
        ] = None,
        faces: Annotated[
            Path | None, typer.Option(help="Folder of photos, 5,000 or more.", rich_help_panel=o.FACES)
        ] = None,
        real_mie: Annotated[
            Path | None,
            typer.Option(
                metavar="POOL",
                help="AU pool of CompMiE (see miex aus pool). Default: AUs of its clips, by the extractor of miex.",
                rich_help_panel=o.AUS,
            ),
        ] = None,
        early_mae: Annotated[
            Path | None,
            typer.Option(metavar="POOL", help="AU pool of CK+. Default: likewise.", rich_help_panel=o.AUS),
        ] = None,
        generator: o.GeneratorName = "muscle",
        weights: o.Weights = None,
        start: Start = None,
        folds: Annotated[
            str,
            typer.Option(
                help="Folds, separated by commas: paper (new subject-disjoint ones, as many as in the paper), loso "
                "(leave one subject out).",
                rich_help_panel=o.DATA,
            ),
        ] = "paper",
        lists: Annotated[
            list[str] | None,
            typer.Option(
                metavar="NAME=FOLDER",
                help="The authors' fold lists of compmie, mmew or samm, in place of new folds. Repeatable.",
                rich_help_panel=o.DATA,
            ),
        ] = None,
        independent: Independent = None,
        scale: Annotated[
            float,
            typer.Option(
                help="Factor of all sizes of sets, for those who have fewer photos.", rich_help_panel=o.OUTPUT
            ),
        ] = 1.0,
        side: Annotated[
            int | None,
            typer.Option(
                help="Side of the frames that recognizers see, in pixels; smaller ones are faster, and not the "
                "paper's. Default: that of each recipe.",
                rich_help_panel=o.TRAINING,
            ),
        ] = None,
        epochs: Epochs = None,
        cells: Annotated[
            int | None,
            typer.Option(min=1, help="Number of lines to make, the first ones. Default: all.", rich_help_panel=o.RUN),
        ] = None,
        missing: Annotated[
            str,
            typer.Option(
                help="Lines whose ingredients were not given: refuse (an error) or skip (they are left out).",
                rich_help_panel=o.DATA,
            ),
        ] = "refuse",
        dry_run: Annotated[
            bool,
            typer.Option(
                "--dry-run",
                help="Go through every line in minutes, on fakes of what was not given; all output is "
                "marked as a dry run.",
                rich_help_panel=o.RUN,
            ),
        ] = False,
        only_estimate: OnlyEstimate = False,
        store: Store = Path("results"),
        work: Annotated[
            Path, typer.Option(help="Folder of the sets, which several tables share.", rich_help_panel=o.OUTPUT)
        ] = Path("paper"),
        out: Out = None,
        landmarker: o.Landmarker = None,
        device: Device = None,
        threads: Threads = 1,
        workers: o.Workers = None,
        as_json: o.AsJson = False,
        quiet: o.Quiet = False,
        log: o.Log = None,
    ) -> None:
        from miex.api.paper import paper

        with console.bars() as progress:
            found = paper(
                name, corpora=o.named(corpus, "corpus", "NAME=PATH"), faces=faces, real_mie=real_mie,
                early_mae=early_mae, generator=generator, weights=weights, start=start, folds=folds.split(","),
                lists=o.named(lists, "lists", "NAME=FOLDER"), independent=independent or (), scale=scale,
                side=side, epochs=epochs, cells=cells, missing=missing, dry_run=dry_run, only_estimate=only_estimate,
                store=store, work=work, landmarker=landmarker, device=device, threads=threads, workers=workers,
                progress=progress, say=console.say,
            )  # fmt: skip
        console.show_result(found, as_json, out)

    return command
