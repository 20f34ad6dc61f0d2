"""The forms of export that are folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from miex.errors import one_of

if TYPE_CHECKING:
    from miex.dataset.reader import Dataset
    from miex.executors.base import Progress
    from miex.storage import Place

FORMS = ("folder", "huggingface", "webdataset")


def export_as(form: str, dataset: Dataset, place: Place, *, seed: int, progress: Progress) -> int:
    """Write a set in one of FORMS into a new or empty folder, or one in a bucket; returns how many frames were written.

    Raises:
        UsageError: another form.
        OutputError: the folder is not empty, or cannot be written to.
        InputError: the set is damaged.
    """
    match one_of(form, FORMS, "`to`"):
        case "huggingface":
            from miex.dataset.export.huggingface import export_huggingface

            return export_huggingface(dataset, place, progress=progress)
        case "webdataset":
            from miex.dataset.export.webdataset import export_webdataset

            return export_webdataset(dataset, place, seed=seed, progress=progress)
    from miex.dataset.export.folder import export_folder

    return export_folder(dataset, place, progress=progress)
