"""Write gallery.html, README.md with its picture, and croissant.json beside a set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pyarrow as pa

from miex.dataset import Dataset
from miex.dataset import open as open_set
from miex.dataset.choose import choose
from miex.dataset.description import generator_text
from miex.dataset.frames import MIME, encode_frame
from miex.dataset.pages import CROISSANT, GALLERY, PICTURE, README, REPORT, write_sums
from miex.dataset.samples import SampleRows
from miex.images import decode_image
from miex.labels import Label
from miex.quality.audit import describe_audit
from miex.report.card import dataset_card, frames_of
from miex.report.card_picture import card_picture
from miex.report.croissant import croissant
from miex.report.gallery import GallerySample, render_gallery
from miex.report.gathered import gathered
from miex.report.statistics import statistics_of
from miex.storage import Place, storage_at

if TYPE_CHECKING:
    from miex.quality.audit import Audit
    from miex.quality.gate import Verdict

MOST_BYTES = 14 * 10**6  # of the cards of a page, which all its pictures are part of: mail and browsers take it
MOST_SHOWN = 12  # frames of a sequence on the sheet
MOST_SIDE, MOST_SIDE_OF_SEQUENCES = 256, 128  # of a picture, pixels; larger ones are shrunk
_CARD_BYTES = 4000  # about, without its pictures


def write_report(
    place: Place,
    *,
    n: int = 60,
    seed: int = 0,
    where: str | None = None,
    audit: Audit | None = None,
    verdicts: Sequence[Verdict] = (),
) -> Path | str:
    """Write the files, and their digests; returns the gallery's path, or its address in a bucket.

    Args:
        place: of a finished set.
        n: samples on the sheet: a stratified random choice; fewer, if more do not fit into MOST_BYTES.
        seed: of that choice.
        where: query that the samples on the sheet meet (see `Dataset.where`); None: all may be chosen.
        audit: what `quality.audit.audit_set` measured; None: the files say that it is still to be measured.
        verdicts: on requirements (`quality.gate`), of which README.md tells.

    Raises:
        InputError: the set is not finished, or damaged.
        OutputError: they cannot be written.
    """
    out = storage_at(place)
    rows = SampleRows(out)
    samples = gathered(rows.blocks())
    dataset, statistics = Dataset(out, samples.made), statistics_of(samples)
    measured = describe_audit(audit) if audit else None
    card, picture, described = (
        dataset_card(dataset, samples, statistics, measured, verdicts),
        card_picture(statistics),
        croissant(dataset),
    )
    if where is None:
        shown = _that_fit(samples.made, lambda chosen: Dataset(out, rows.take(samples.places[chosen])), n, seed)
    else:
        part = open_set(out).where(where)
        shown = _that_fit(part.table, part.__getitem__, n, seed)
    settings, config = dataset.record["settings"], dataset.record["config"]
    facts = {
        "samples": f"{len(dataset):,}",
        "identities": f"{dataset.identities.num_rows:,}",
        "classes": ", ".join(config["classes"]),
        "sequence": frames_of(samples, config),
        "frames": f"{settings['size']} × {settings['size']} px, {settings['frame_format']}",
        "generator": generator_text(settings),
        "sources": ", ".join(config["sources"]),
        "seed": str(config["seed"]),
        "plan": dataset.record["digests"]["plan"],
        **({} if where is None else {"shown": where}),
    }
    html = render_gallery(title=out.name, facts=facts, samples=shown, statistics=statistics, measured=measured)
    # all are made before the first is written: a sample that cannot be read leaves every page as it was
    for name, text in ((README, card), (PICTURE, picture), (CROISSANT, described), (GALLERY, html)):
        out.write(name, text.encode())
    write_sums(out, REPORT)
    return out.place(GALLERY)


def _that_fit(made_rows: pa.Table, read: Callable[[list[int]], Dataset], n: int, seed: int) -> list[GallerySample]:
    """A choice of n samples, or of the most below n that one page holds; at least one."""
    made: dict[int, GallerySample] = {}
    while True:
        chosen, room = choose(made_rows, n, seed), MOST_BYTES
        dataset = read(chosen)
        for fit, i in enumerate(chosen):
            made[i] = made.get(i) or gallery_sample(dataset, fit)
            room -= _bytes_of(made[i])
            if room < 0 and fit:
                n = fit  # chosen anew, so that no class is left out
                break
        else:
            return [made[i] for i in chosen]


def _bytes_of(sample: GallerySample) -> int:
    pictures = sum(-(-len(frame) // 3) * 4 for frame in sample.frames)  # base64
    return pictures + _CARD_BYTES + 12 * len(sample.licence + sample.attribution)  # at most "\ud83d\ude00" for a letter


def gallery_sample(dataset: Dataset, i: int) -> GallerySample:
    """Sample i as the gallery shows it: of a long sequence MOST_SHOWN frames, and the apex; large pictures shrunk."""
    row = dataset.table.slice(i, 1).to_pylist()[0]
    stored = dataset.stored(i)
    n, apex = len(stored.frames), row["apex"]
    shown = sorted({apex, *np.linspace(0, n - 1, min(n, MOST_SHOWN)).round().astype(int).tolist()})
    side = dataset.record["settings"]["size"]
    most = MOST_SIDE if n == 2 else MOST_SIDE_OF_SEQUENCES
    frames = tuple(stored.frames[k] for k in shown)
    return GallerySample(
        sample_id=row["sample_id"],
        identity=row["identity"],
        virtual=bool(stored.description["virtual"]),
        label=Label(row["label"]).name,
        emotion=row["emotion"],
        source=row["source"],
        frames=frames if side <= most else tuple(_shrunk(frame, most, row["sample_id"]) for frame in frames),
        shrunk=side > most,
        mime=stored.mime if side <= most else MIME[".png"],
        apex=shown.index(apex),
        aus=np.asarray(row["aus"], np.float32)[shown],
        also_seen=tuple(stored.description["also_seen"]),
        motion_mean_px=row["motion_mean_px"],
        motion_p95_px=row["motion_p95_px"],
        motion_mean_iod=row["motion_mean_iod"],
        motion_p95_iod=row["motion_p95_iod"],
        psnr=float("inf") if row["psnr"] is None else row["psnr"],  # grays are equal, colors are not
        ssim=row["ssim"],
        licence=stored.description.get("licence", ""),
        attribution=stored.description.get("attribution", ""),
    )


def _shrunk(frame: bytes, side: int, sample_id: str) -> bytes:
    picture = cv2.resize(decode_image(frame, sample_id), (side, side), interpolation=cv2.INTER_AREA)
    return encode_frame(np.asarray(picture, np.uint8), "png")
