"""Write gallery.html and README.md into the folder of a set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from miex.dataset import Dataset
from miex.dataset import open as open_set
from miex.dataset.choose import choose
from miex.dataset.pages import GALLERY, README, write_sums
from miex.dataset.samples import read_samples
from miex.labels import Label
from miex.quality.audit import describe_audit
from miex.report.card import dataset_card, frames_of
from miex.report.gallery import GallerySample, render_gallery
from miex.storage.local import write_whole

if TYPE_CHECKING:
    from miex.quality.audit import Audit

MOST_SHOWN = 12  # frames of a sequence on the sheet: the page holds every picture of its samples


def report_files(out: Path) -> tuple[Path, Path]:
    """The gallery and the README of a set's folder."""
    return out / GALLERY, out / README


def write_report(out: Path, *, n: int = 60, seed: int = 0, audit: Audit | None = None) -> Path:
    """Write both files, and their digests; returns the gallery's path.

    Args:
        out: folder of a finished set.
        n: samples on the sheet: a stratified random choice.
        seed: of that choice.
        audit: what `quality.audit.audit_set` measured; None: the files say that it is still to be measured.

    Raises:
        InputError: the set is not finished, or damaged.
        OutputError: the folder cannot be written.
    """
    dataset, samples = open_set(out), read_samples(out)
    measured = describe_audit(audit) if audit else None
    gallery, readme = report_files(out)
    write_whole(readme, dataset_card(dataset, samples, measured).encode())
    shown = [gallery_sample(dataset, row) for row in choose(dataset.table, n, seed)]
    settings, config = dataset.record["settings"], dataset.record["config"]
    facts = {
        "samples": f"{len(dataset):,}",
        "identities": f"{dataset.faces.num_rows:,}",
        "classes": ", ".join(config["classes"]),
        "sequence": frames_of(dataset),
        "frames": f"{settings['size']} × {settings['size']} px, {settings['frame_format']}",
        "generator": f"{settings['generator']['name']} {settings['generator']['version']}",
        "sources": ", ".join(config["sources"]),
        "seed": str(config["seed"]),
        "plan": dataset.record["digests"]["plan"],
    }
    html = render_gallery(title=out.resolve().name, facts=facts, samples=shown, table=samples, measured=measured)
    write_whole(gallery, html.encode())
    write_sums(dataset.storage, [GALLERY, README])
    return gallery


def gallery_sample(dataset: Dataset, i: int) -> GallerySample:
    """Sample i as the gallery shows it: of a long sequence MOST_SHOWN frames, and the apex."""
    row = dataset.table.slice(i, 1).to_pylist()[0]
    stored = dataset.stored(i)
    n, apex = len(stored.frames), row["apex"]
    shown = sorted({apex, *np.linspace(0, n - 1, min(n, MOST_SHOWN)).round().astype(int).tolist()})
    return GallerySample(
        sample_id=row["sample_id"],
        identity=row["identity"],
        virtual=bool(stored.description["virtual"]),
        label=Label(row["label"]).name,
        emotion=row["emotion"],
        source=row["source"],
        frames=tuple(stored.frames[k] for k in shown),
        mime=stored.mime,
        apex=shown.index(apex),
        aus=np.asarray(row["aus"], np.float32)[shown],
        motion_mean_px=row["motion_mean_px"],
        motion_p95_px=row["motion_p95_px"],
        motion_mean_iod=row["motion_mean_iod"],
        motion_p95_iod=row["motion_p95_iod"],
        psnr=float("inf") if row["psnr"] is None else row["psnr"],  # grays are equal, colors are not
        ssim=row["ssim"],
        licence=stored.description.get("licence", ""),
        attribution=stored.description.get("attribution", ""),
    )
