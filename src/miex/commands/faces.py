"""The commands `miex faces …`: folders of photos."""

from pathlib import Path
from typing import Annotated, Any

import typer

from miex.commands import console
from miex.commands import options as o
from miex.commands.group import Group

app = Group("Index, compare, list and choose photos of faces.")

Photos = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of photos.")]


@app.command("index")
def index(
    folder: Photos,
    out: Annotated[Path | None, typer.Option(help="File to write the index to, .parquet or .csv.")] = None,
    faces_csv: o.FacesCSV = None,
    faces_column: o.FacesColumn = None,
    min_inter_ocular: o.MinInterOcular = 30,
    quality: o.Quality = None,
    licence_allow: o.LicenceAllow = None,
    workers: o.Workers = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Find the faces in a folder, list the photos that cannot be used and why, and tell how even the others are."""
    from miex.api import faces as api
    from miex.faces.balance import balance_rows

    with console.bars() as progress:
        found = api.index(
            folder, faces_csv=faces_csv, faces_columns=o.columns(faces_column), min_inter_ocular=min_inter_ocular,
            quality=o.limits(quality), licence_allow=licence_allow, workers=workers,
            landmarker=landmarker, progress=progress, say=console.say,
        )  # fmt: skip
    if out:
        found.save(out)
    refused = found.refused
    lines = [f"{row['path']}: {row['reason']}" + (f" ({row['detail']})" if row["detail"] else "") for row in refused]
    lines += [f"{row['path']}: {row['n_faces']} faces, the largest is taken" for row in found.several]
    lines += [f"{row['path']}: {row['detail']}" for row in found.notes]
    facts: dict[str, Any] = {
        "photos": len(found), "usable": len(found) - len(refused), "refused": refused, "notes": found.notes,
        "passed_over": found.passed_over, "balance": found.balance(),
    }  # fmt: skip
    lines.sort()
    if facts["usable"]:
        lines += [f"{what}: {how}" for what, how in balance_rows(facts["balance"])]
    text = f"{facts['usable']:,} of {facts['photos']:,} photos can be used"
    console.show(as_json, facts, "\n".join([*lines, text]))


@app.command("duplicates")
def duplicates(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER…", help="Folders of photos: faces to train and to test on, for example."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="File to write the pairs to, .csv or .parquet. Default: print them.")
    ] = None,
    workers: o.Workers = None,
    landmarker: o.Landmarker = None,
    sface: o.SFace = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Find photos that are one picture, or show one person, within folders and across them."""
    from miex.api import faces as api

    with console.bars() as progress:
        found = api.duplicates(
            *folders, workers=workers, landmarker=landmarker, sface=sface, progress=progress, say=console.say
        )
    if out:
        found.save(out)
    rows, counts = found.table.to_pylist(), found.counts()
    lines = [] if out else [_pair(row) for row in rows]
    for where, of_kind in counts.items():
        told = ", ".join(f"{n:,} {kind}" for kind, n in of_kind.items() if n)
        shown = {"within": "within a folder", "across": "across folders", "contradictions": "against their names"}
        lines.append(f"{shown[where]}: {told or 'none'}")
    lines.append(f"{found.compared:,} of {found.photos:,} photos compared" + (f": {out}" if out else ""))
    facts = {"photos": found.photos, "compared": found.compared, **counts, "pairs": rows}
    console.show(as_json, facts, "\n".join(lines))


def _pair(row: dict[str, Any]) -> str:
    """A pair of photos as a line."""
    photos = " = ".join(str(Path(row[pool]) / row[photo]) for pool, photo in _SIDES)
    far = ", ".join(f"{name} {row[name]:.3f}" for name in ("picture", "person") if row[name] is not None)
    return f"{row['kind']}: {photos} ({far})" + (", named differently" if row["named"] == "different" else "")


_SIDES = (("pool", "photo"), ("other_pool", "other_photo"))


@app.command("list")
def list_photos(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of CelebA, FFHQ, LFW, EmotioNet, or any other photos.")
    ],
    out: Annotated[Path, typer.Option(help="List to write, a .txt file; --faces takes it.")],
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Condition on a photo: partition=train, or an attribute of CelebA, such as Smiling=no. Repeatable.",
        ),
    ] = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Write a list of the photos in a folder that meet conditions."""
    from miex.api import faces as api

    chosen, of, title = api.write_list(folder, out, dict(o.pairs(where, "where", "NAME=VALUE")))
    facts = {"out": str(out), "chosen": chosen, "photos": of}
    console.show(as_json, facts, f"{chosen:,} of {of:,} photos of {title}: {out}")


@app.command("frontal")
def frontal(
    folder: Photos,
    n: Annotated[int, typer.Option("--ids", help="Number of faces.")],
    out: Annotated[
        Path | None, typer.Option(help="List to write, a .txt file; --faces takes it. Default: print it.")
    ] = None,
    query: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PHOTO",
            help="Query photo, by its path in FOLDER. Repeatable. Default: the ten most frontal photos.",
        ),
    ] = None,
    min_inter_ocular: o.MinInterOcular = 30,
    workers: o.Workers = None,
    landmarker: o.Landmarker = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    log: o.Log = None,
) -> None:
    """Choose frontal faces, as the paper does. Their landmarks are nearest to those of the query photos."""
    from miex.api import faces as api

    with console.bars() as progress:
        paths = api.frontal(
            folder, n, out=out, query=query, min_inter_ocular=min_inter_ocular, workers=workers,
            landmarker=landmarker, progress=progress, say=console.say,
        )  # fmt: skip
    console.show(as_json, {"faces": paths}, f"{len(paths):,} faces: {out}" if out else "\n".join(paths))
