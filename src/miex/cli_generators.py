"""The commands `miex generators …`: what moves the faces, in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miex import console
from miex.errors import UsageError

if TYPE_CHECKING:
    from miex.faces.crop import AlignedFace

app = typer.Typer(no_args_is_help=True, help="Look at what moves the faces.")


@app.command("show")
def show(
    out: Annotated[Path, typer.Option(help="The picture, ending in .png.")],
    photo: Annotated[Path | None, typer.Argument(help="A photo with a face. Default: the embedded face.")] = None,
    au: Annotated[list[str] | None, typer.Option(help="AU or AU=INTENSITY: 12, L12=0.2. Default: intensity 1.")] = None,
    sheet: Annotated[bool, typer.Option("--sheet", help="All AUs, at three intensities, both sides and each.")] = False,
    faces: Annotated[Path | None, typer.Option(help="Folder of photos for the sheet, or a .txt list of them.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many of those photos, evenly spread.")] = 6,
    size: Annotated[int | None, typer.Option(min=64, help="Side of a face. Default: 512, on a sheet 192.")] = None,
    landmarker: Annotated[Path | None, typer.Option(help="The landmark model's file.")] = None,
) -> None:
    """Draw the field of AUs on a face, or a sheet of all AUs."""
    if sheet == bool(au):
        raise UsageError("generators show", expected="either --au 12 or --sheet", found="both" if au else "neither")
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}", expected="a name that ends in .png")
    if photo and faces:
        raise UsageError(f"{photo} and --faces {faces}", expected="one of them")
    import cv2
    import numpy as np

    from miex.aus.vector import N_AUS, parse
    from miex.generators.muscle.pictures import field_picture, sheet_rows
    from miex.storage.local import write_whole

    size = size or (192 if sheet else 512)
    aligned = _faces(photo, faces, n if sheet else 1, size, landmarker)
    if sheet:
        rows = []
        with console.bar("drawing", "AUs") as move:
            for done, (number, row) in enumerate(sheet_rows(aligned, size), 1):
                rows.append(row)
                move(done, N_AUS, f"AU {number}")
        picture = np.vstack(rows)
    else:
        settings = [text if "=" in text else f"{text}=1" for text in au or []]
        picture = field_picture(aligned[0], parse(settings), "AU " + " ".join(settings))
    write_whole(out, cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
    print(out)


def _faces(photo: Path | None, folder: Path | None, n: int, size: int, landmarker: Path | None) -> list[AlignedFace]:
    from miex.faces.align import align_photo
    from miex.faces.crop import CropOptions
    from miex.faces.landmarks import find_model
    from miex.faces.photos import default_pool, list_photos, photos_root

    if photo:
        paths = [photo]
    else:
        folder = folder or default_pool()
        names = list_photos(folder)
        step = max(1, len(names) // n)
        paths = [photos_root(folder) / name for name in names[::step][:n]]
    model = find_model(landmarker, say=console.say)
    return [align_photo(path, model, CropOptions(size)) for path in paths]
