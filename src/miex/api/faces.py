"""Folders of photos: which photos can be used, lists of photos, duplicates, and the choice of frontal faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miex.api.work import (
    PathLike,
    Say,
    Stages,
    Workers,
    executor,
    landmark_model,
    measuring_models,
    path,
    stage,
    unsaid,
)
from miex.arguments import PATH, TEXT_BY_TEXT, checking
from miex.errors import UsageError
from miex.executors.base import Executor

if TYPE_CHECKING:
    import pyarrow as pa

    from miex.faces.credits import FaceCSV
    from miex.faces.index import Quality


@dataclass(frozen=True, repr=False)
class FaceIndex:
    """The photos of a folder, and what was found in each.

    Attributes:
        table: one row per photo: path, faces, landmarks, pose, licence, and the reason if it cannot be used. Each file
            of the folder has a row or is counted in `passed_over`.
    """

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def refused(self) -> list[dict[str, Any]]:
        """The photos that cannot be used: path, reason, detail."""
        rows: list[dict[str, Any]] = self.table.select(["path", "reason", "detail"]).to_pylist()
        return [row for row in rows if row["reason"]]

    @property
    def passed_over(self) -> dict[str, int]:
        """{kind, such as ".csv" or "hidden": number of files in the folder that are no photos}."""
        from miex.faces.index import passed_over

        return passed_over(self.table)

    def balance(self) -> dict[str, Any]:
        """How even the photos that can be used are, see `faces.balance.balance_of`."""
        import pyarrow.compute as pc

        from miex.faces.balance import balance_of

        return balance_of(self.table.filter(pc.equal(self.table["reason"], "")))

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What should be known of photos that can be used, such as no row in faces.csv: path, detail."""
        rows: list[dict[str, Any]] = self.table.select(["path", "detail", "reason"]).to_pylist()
        return [{"path": row["path"], "detail": row["detail"]} for row in rows if row["detail"] and not row["reason"]]

    @property
    def several(self) -> list[dict[str, Any]]:
        """The photos with several faces, of which the largest is used: path, n_faces."""
        rows: list[dict[str, Any]] = self.table.select(["path", "n_faces", "reason"]).to_pylist()
        return [
            {"path": row["path"], "n_faces": row["n_faces"]} for row in rows if row["n_faces"] > 1 and not row["reason"]
        ]

    def __repr__(self) -> str:
        return f"{len(self):,} photos, {len(self) - len(self.refused):,} of them can be used"

    @checking()
    def save(self, out: PathLike) -> None:
        """Write it as .parquet, or as .csv without the landmarks. Raises UsageError for any other name."""
        from miex.faces.index import write_index

        write_index(self.table, path(out))


@checking()
def index(
    folder: PathLike,
    *,
    faces_csv: PathLike | None = None,
    faces_columns: Mapping[str, str] | None = None,
    min_inter_ocular: float = 30,
    quality: Mapping[str, float | None] | None = None,
    licence_allow: Sequence[str] | None = None,
    workers: Workers = 1,
    landmarker: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> FaceIndex:
    """Find the faces in a folder of photos; the landmarks found are kept in the user's cache.

    Args:
        folder: folder of photos, or a .txt file that lists them.

    The other arguments are those of `miex.synthesize`.

    Raises:
        InputError: there is no such folder, or no photo in it.
    """
    from miex.faces.index import quality_of

    work, limits = executor(workers), quality_of(min_inter_ocular, quality or {}, licence_allow or ())
    table = csv_of(path(folder), faces_csv, faces_columns or {})
    return FaceIndex(find_faces(path(folder), table, limits, work, landmarker, progress, say))


@checking(where=TEXT_BY_TEXT)
def write_list(folder: PathLike, out: PathLike, where: Mapping[str, str] | None = None) -> tuple[int, int, str]:
    """Write a list of the photos in a folder that meet conditions.

    Args:
        folder: folder of CelebA, FFHQ, LFW, EmotioNet, or any other photos.
        out: list to write, a .txt file; it can be given as `faces`. One outside the folder names it in its first line.
        where: value of each condition, such as {"partition": "train"}, or an attribute of CelebA.

    Returns:
        The number of photos listed, the number of all photos, and the name of the layout.

    Raises:
        UsageError: the layout has no such condition, or the list is no .txt file.
    """
    from miex.faces import photos as files

    found = files.look_through(path(folder))
    photos, pools = found.photos, found.pools
    if where and not pools:
        raise UsageError(
            f"`where` {', '.join(where)}", expected="a folder in the layout of CelebA or FFHQ", found=str(folder)
        )
    chosen = sorted(photo for pool in pools for photo in pool.select(photos, where)) if where else photos
    files.write_list(chosen, path(folder), path(out))
    return len(chosen), len(photos), " and ".join(sorted({pool.layout.title for pool in pools})) or str(folder)


@checking()
def frontal(
    folder: PathLike,
    n: int,
    *,
    out: PathLike | None = None,
    query: Sequence[str] | None = None,
    min_inter_ocular: float = 30,
    workers: Workers = 1,
    landmarker: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> list[str]:
    """Choose frontal faces as the paper does: those with landmarks nearest to a few query faces.

    Args:
        folder: folder of photos.
        n: number of faces.
        out: list to write, a .txt file, as `write_list` does; None: no list.
        query: query photos, relative to the folder. Default: the ten most frontal.

    Returns:
        The photos' paths, relative to the folder.

    Raises:
        UsageError: there are fewer usable faces, or a query is not among the photos.
    """
    from miex.faces import photos as files
    from miex.faces.index import Quality
    from miex.faces.pose import choose_frontal, rows_of

    work = executor(workers)
    table = find_faces(path(folder), None, Quality(min_inter_ocular), work, landmarker, progress, say)
    chosen = choose_frontal(table, n, rows_of(table, list(query)) if query else None)
    paths = [str(table["path"][row].as_py()) for row in chosen]
    if out is not None:
        files.write_list(paths, path(folder), path(out))
    return paths


@dataclass(frozen=True, repr=False)
class Duplicates:
    """Pairs of photos that are one picture, or show one person.

    Attributes:
        table: one row per pair, see `faces.duplicates.DUPLICATES_SCHEMA`.
        compared, photos: photos that were compared, and all photos.
    """

    table: pa.Table
    compared: int
    photos: int

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def counts(self) -> dict[str, dict[str, int]]:
        """{"within" pools or "across" pools: {kind: pairs}}, and of these the "contradictions" of names: photos of one
        picture or person that are named differently, and photos of one name in which SFace sees two people."""
        from miex.faces.duplicates import KINDS, NAME

        found = {where: dict.fromkeys(KINDS, 0) for where in ("within", "across", "contradictions")}
        for row in self.table.select(["kind", "pool", "other_pool", "named"]).to_pylist():
            found["within" if row["pool"] == row["other_pool"] else "across"][row["kind"]] += 1
            if row["kind"] == NAME or row["named"] == "different":
                found["contradictions"][row["kind"]] += 1
        return found

    def __repr__(self) -> str:
        return f"{len(self):,} pairs among {self.compared:,} photos"

    @checking()
    def save(self, out: PathLike) -> None:
        """Write the table as .csv or .parquet. Raises UsageError for any other name."""
        from miex.faces.index import write_index

        write_index(self.table, path(out))


@checking(folders=PATH)
def duplicates(
    *folders: PathLike,
    workers: Workers = 1,
    landmarker: PathLike | None = None,
    sface: PathLike | None = None,
    progress: Stages | None = None,
    say: Say = unsaid,
) -> Duplicates:
    """Find photos that are one picture (the same bytes, or the same face encoded, resized, cropped or lit anew), and
    photos that show one person, within each folder and across folders.

    Args:
        folders: folders of photos, or .txt files that list them: faces to train on and faces to test on, for example.
        sface: file of SFace, the face recognition network that persons are compared by. Default: the copy in the cache,
            fetched if it is missing; where there is none, persons are not compared.

    The other arguments are those of `miex.synthesize`. People whom a faces.csv names are compared with what is seen.

    Raises:
        UsageError: no folder, or one folder twice.
        InputError: there is no such folder, or no photo in it.
    """
    from miex.faces.duplicates import Pool, find_duplicates
    from miex.faces.index import Quality
    from miex.faces.photos import photos_root

    work, given = executor(workers), [path(one) for one in folders]
    if not given or len({one.resolve() for one in given}) < len(given):
        raise UsageError("`folders` " + ", ".join(map(str, given)), expected="one folder of photos or more, each once")
    pools = []
    for one in given:
        index = find_faces(one, None, Quality(), work, landmarker, progress, say)
        pools.append(Pool(str(one), photos_root(one), index))
    _, network = measuring_models(landmarker, sface, say, "persons are not compared", "persons are not compared")
    found = find_duplicates(pools, network, executor=work, progress=stage(progress, "comparing photos"))
    refused = sum(reason != "" for pool in pools for reason in pool.index["reason"].to_pylist())
    photos = sum(pool.index.num_rows for pool in pools)
    return Duplicates(found, photos - refused, photos)


def find_faces(
    folder: Path,
    table: FaceCSV | None,
    quality: Quality,
    work: Executor,
    landmarker: PathLike | None,
    progress: Stages | None,
    say: Say,
) -> pa.Table:
    """The index of a folder of photos: table of `faces.index.INDEX_SCHEMA`."""
    from miex.faces.index import index_photos

    return index_photos(
        folder, model=lambda: landmark_model(landmarker, say), table=table, quality=quality, executor=work,
        progress=stage(progress, "finding faces"), say=say,
    )  # fmt: skip


def csv_of(folder: Path, given: PathLike | None, columns: Mapping[str, str]) -> FaceCSV | None:
    """The CSV of licences of a folder that is given, or whose columns are; None: the index looks for those beside the
    photos.

    Raises:
        UsageError: such a CSV has no column of that name, or columns are named but there is no CSV.
    """
    from miex.faces.credits import CSV_COLUMNS, FaceCSV, csv_beside
    from miex.faces.photos import photos_root

    wrong = [name for name in columns if name not in CSV_COLUMNS]
    if wrong:
        raise UsageError(f"`faces_column` {wrong[0]}", expected="one of " + ", ".join(CSV_COLUMNS))
    beside = csv_beside(photos_root(folder).resolve(), any_columns=True) if columns and given is None else None
    file = path(given) if given is not None else (beside.path if beside else None)
    if columns and file is None:
        raise UsageError(
            "`faces_column`",
            expected="a CSV of the photos",
            found=f"no faces.csv beside {folder}",
            do="give its path with `faces_csv`",
        )
    return FaceCSV(file, dict(columns)) if file else None
