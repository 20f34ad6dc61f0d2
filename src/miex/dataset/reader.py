"""A finished set as a sequence of samples, in numpy; or as a torch dataset, if torch is installed."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from importlib import import_module
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miex.aus.vector import AU_NUMBERS, SIDES, AUArray
from miex.dataset.plan_file import FACES_FILE, read_identities, read_plan, read_record
from miex.dataset.samples import made_samples
from miex.dataset.schema import AU_COLUMNS, rendered_aus
from miex.dataset.shard import StoredSample, read_shard_record, read_stored, record_name
from miex.errors import DamagedError, InputError, UsageError, one_of
from miex.images import Image, decode_image
from miex.labels import Label
from miex.storage import Place, storage_at
from miex.storage.base import Storage

if TYPE_CHECKING:
    from miex.dataset.epochs import StoredStream
    from miex.executors.base import Progress

ON_ERROR = ("raise", "skip")  # treatments of damaged samples

# what a sample tells beside its provenance
_TOLD = frozenset(
    {"sample_id", "label", "label_index", "emotion", "source", "identity", "apex", "au_numbers", *AU_COLUMNS}
)
_Choice = str | int | PurePath | Iterable[str | int | PurePath] | None


@dataclass(frozen=True, eq=False, repr=False)  # comparing and printing arrays is left out
class SampleData:
    """One sample.

    Attributes:
        sample_id: its id.
        frames: uint8 RGB [n, size, size, 3]; the first is the onset.
        apex: index of the apex frame.
        aus: coded AUs, as their source drew them: intensities in [0, 1] of every frame, float32 [n, 17].
        rendered: the AUs that the face performs, float32 [n, 17, 2] in [0, 1]; the last axis is the person's left and
            right side. They are the coded ones as nuisances change them (blinks, other muscles, uneven sides).
        also_seen: what is seen beside the coded AUs, in words and numbers: blinks, other AUs from onset to apex,
            residual motion, the head, light … (`dataset.also`).
        label: its class, negative, positive or surprise.
        emotion: the finer category that was drawn, such as happiness.
        source: source of the AUs: real_mie, early_mae, coded_mie or expert.
        identity: the face that is shown.
        provenance: everything else that is known: photo (shared by virtual identities made from it), corpus, subject,
            clip and frames of real AUs, virtual, licence, attribution, generator, the nuisances as drawn, also_seen;
            and sides (as in the plan) where some coded AU is on one side alone.
    """

    sample_id: str
    frames: Image
    apex: int
    aus: AUArray
    rendered: AUArray
    also_seen: tuple[str, ...]
    label: str
    emotion: str
    source: str
    identity: str
    provenance: dict[str, Any]

    @property
    def pair(self) -> tuple[Image, Image]:
        """(onset, apex), each uint8 RGB [size, size, 3]."""
        return self.frames[0], self.frames[self.apex]

    def __repr__(self) -> str:
        n, side = self.frames.shape[:2]
        also = f" · also seen: {'; '.join(self.also_seen)}" if self.also_seen else ""
        return (
            f"{self.sample_id}: {self.label} ({self.emotion}), {_aus_text(self.aus[self.apex])}{also} · "
            f"{n} frames of {side} px, apex {self.apex}"
        )

    def _repr_html_(self) -> str:
        from miex.dataset import show

        kinds = {"coded": self.aus, **{side: self.rendered[..., k] for k, side in enumerate(SIDES)}}
        ends = {
            f"{name}, {when}": show.aus_that_are_on(aus[i])
            for name, aus in kinds.items()
            for when, i in (("onset", 0), ("apex", self.apex))
        }
        on = sorted({au for end in ends.values() for au in end})
        rows = {f"AU{au}": [end.get(au, 0) for end in ends.values()] for au in on}
        return show.figure(show.flicker(*self.pair), repr(self)) + show.table(rows, tuple(ends))

    def show(self) -> Path:
        """Show onset and apex flickering: in a notebook below the cell, otherwise in the web browser.

        Returns:
            The picture, a temporary WebP file that is not deleted.
        """
        from miex.dataset import show

        return show.show(*self.pair, repr(self))


class Dataset(Sequence[SampleData]):
    """The samples of a set, read on demand.

    Attributes:
        storage: location of the set.
        table: the rows of samples.parquet whose samples were made (status ok) and are selected.
        part: whether they are some of the set's samples, or all in another order.
    """

    part = False

    def __init__(self, storage: Storage, table: pa.Table) -> None:
        self.storage, self.table = storage, table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        from miex.dataset.description import generator_text

        record = self.record
        n = pc.count_distinct(self.table["identity"]).as_py()
        parts = [
            f"{len(self):,} samples",
            f"{n:,} identities",
            generator_text(record["settings"]),
            f"plan {record['digests']['plan'][:4]}…",
        ]
        return " · ".join(parts)

    def _repr_html_(self) -> str:
        from html import escape

        from miex.dataset import show
        from miex.dataset.choose import choose

        text = f"<p>{escape(self.storage.name)}: {escape(repr(self))}</p>"
        shown = choose(self.table, show.SHOWN, 0) if len(self) else []
        captions = (f"{Label(self.table['label'][i].as_py()).name}, {self.table['identity'][i]}" for i in shown)
        pictures = (show.figure(show.flicker(*self.pair(i)), c) for i, c in zip(shown, captions, strict=True))
        return text + "".join(pictures)

    def __getitem__(self, i: Any) -> Any:
        """The sample at i; a Dataset for a slice, a list or array of places, or a mask. Raises IndexError."""
        if isinstance(i, slice | list | np.ndarray):
            every = np.arange(len(self))
            chosen = Dataset(self.storage, self.table.take(pa.array(every[i], pa.int64())))
            chosen.record = self.record  # or each selection would read it again
            chosen.part = self.part or not np.array_equal(every[i], every)
            return chosen
        row = self._row(operator.index(i))
        stored = self._stored(row)
        frames = np.stack([decode_image(frame, row["sample_id"]) for frame in stored.frames])
        return sample_of(row, frames, stored.description)

    def __iter__(self) -> Iterator[SampleData]:
        return (self[i] for i in range(len(self)))

    def stored(self, i: int) -> StoredSample:
        """The encoded frames and the description of sample i, as stored in the shard."""
        return self._stored(self._row(i))

    def pair(self, i: int) -> tuple[Image, Image]:
        """(onset, apex) of sample i, each uint8 RGB [size, size, 3], without decoding the frames in between."""
        row = self._row(i)
        frames = self._stored(row).frames
        return decode_image(frames[0], row["sample_id"]), decode_image(frames[row["apex"]], row["sample_id"])

    def _row(self, i: int) -> dict[str, Any]:
        if not -len(self) <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        row: dict[str, Any] = self.table.slice(i % len(self), 1).to_pylist()[0]
        return row

    def _stored(self, row: dict[str, Any]) -> StoredSample:
        from miex.dataset.description import prove_stored

        shard, sample_id, place = row["shard"], row["sample_id"], (row["offset"], row["bytes"], row["crc32"])
        try:
            stored = read_stored(self.storage, shard, *place, sample_id)
        except DamagedError:
            # a repair that was cut short has moved it, and samples.parquet does not know it yet
            moved = _place(self.storage, shard, sample_id)
            if moved is None or moved == place:
                raise
            stored = read_stored(self.storage, shard, *moved, sample_id)
        prove_stored(stored, row, self.record["settings"], self.storage.address)
        return stored

    def readable(self, *, progress: Progress | None = None) -> tuple[Dataset, dict[str, str]]:
        """The samples that can be read, and the others: {sample_id: what was found in its place}.

        Every sample is read and compared with its checksum, which proves pixels and description; no frame is decoded.
        A shard that is missing is damage of each of its samples; one that cannot be read (permission, network, a broken
        disk) is none: it may be whole. If nothing is damaged, these are the same samples.

        Args:
            progress: called with samples read and samples in all.

        Raises:
            DamagedError: there are samples, and all are damaged.
            InputError: a shard cannot be read.
        """
        unread: dict[str, DamagedError] = {}
        good = []
        for i, sample_id in enumerate(self.table["sample_id"].to_pylist()):
            try:
                self.stored(i)
            except DamagedError as error:
                unread[sample_id] = error
            else:
                good.append(i)
            if progress is not None:
                progress(i + 1, len(self), "")
        if unread and not good:
            first, why = next(iter(unread.items()))
            raise DamagedError(
                f"samples of {self.storage.address}", expected="at least one that can be read",
                found=f"none of {len(self):,}; of {first}, {why.found}",
                do="run miex verify to list the damaged shards, and miex repair to make them again",
            ) from why  # fmt: skip
        return (self[good] if unread else self), {name: error.found for name, error in unread.items()}

    def select(
        self,
        *,
        label: _Choice = None,
        source: _Choice = None,
        emotion: _Choice = None,
        identity: _Choice = None,
        photo: _Choice = None,
    ) -> Dataset:
        """The samples that meet every condition; a condition is one value or several. `where` takes any column.

        To split a set by people, split by photo: virtual identities made from one photo are one person to a
        face recognizer.

        Raises:
            UsageError: no sample has such a value; the message lists existing values.
        """
        from miex.dataset.where import Rows

        choices = {"label": label, "source": source, "emotion": emotion, "identity": identity, "photo": photo}
        given = {name: _several(choice) for name, choice in choices.items() if choice is not None}
        asked = ", ".join(f"{name} {reprlib.repr(values)[1:-1]}" for name, values in given.items())
        rows = Rows(self, f"{asked} of {self.storage.address}")
        conditions = [rows.one_of(name, values) for name, values in given.items()]
        return rows.matching(reduce(operator.and_, conditions)) if conditions else self

    def where(self, query: str) -> Dataset:
        """The samples that meet a query, such as "label == 'positive' and source != 'expert' and AU12 >= 0.2".

        A query compares columns with values, or with one another: `==`, `!=`, `<`, `<=`, `>`, `>=` (also `0.1 < AU12 <
        0.3`), `in` and `not in` a list; comparisons are joined by `and`, `or`, `not` and parentheses. Columns are the
        single values of samples.parquet and, for the sample's identity, of faces.parquet (`licence`, `virtual`, `yaw`
        …), and AU1 … AU45, the coded intensities at the apex. Texts stand in quotes; a label is its name or number.
        What is unknown equals no value, and `corpus is None` finds it. `sample_id in @marked.txt` takes the values from
        a text file, one a line (`@'my list.txt'` if its name has spaces). A query is read, never run; one with @ opens
        files that you can read.

        Raises:
            UsageError: it is no query, names another column, compares with another kind of value, or with a text that
                no sample has; the message says where, and lists what there is.
        """
        from miex.arguments import TEXT, shown
        from miex.dataset.where import Rows

        rows = Rows(self, f"`where` {shown(TEXT.checked('where', query))} of {self.storage.address}")
        return rows.matching(rows.query(query))

    def export(
        self,
        out: str | Path,
        *,
        to: str = "folder",
        seed: int = 0,
        on_error: str = "raise",
        progress: Progress | None = None,
    ) -> dict[str, str]:
        """Write these samples for other programs. Frames stay byte for byte as stored, each marked as synthetic.

        Args:
            out: a new or empty folder, or one in a bucket.
            to: folder: every frame as an image file, and a table that can be read as a corpus; huggingface: Parquet
                files for `datasets.load_dataset`; webdataset: shuffled tars.
            seed: of the order, for webdataset.
            on_error: treatment of damaged samples: raise, or skip (leave them out; see `readable`).
            progress: called with samples done and samples in all.

        Returns:
            The samples that were left out: {sample_id: what was found in its place}.

        Raises:
            UsageError: another form (`miex.export` also writes flow maps).
            OutputError: the folder is not empty, or cannot be written to.
            DamagedError: a sample is damaged; with skip, all are.
            InputError: one cannot be read.
        """
        from miex.arguments import KINDS, PATH
        from miex.dataset.export.forms import FORMS, export_as
        from miex.executors.base import silent

        order = KINDS["seed"].checked("seed", seed)
        form = one_of(to, FORMS, "`to`")
        skip = one_of(on_error, ON_ERROR, "`on_error`") == "skip"
        found, skipped = self.readable() if skip else (self, {})
        export_as(form, found, PATH.checked("out", out), seed=order, progress=progress or silent)
        return skipped

    @property
    def faces(self) -> pa.Table:
        """The identities of the set, with licences and attributions: table of FACES_SCHEMA.

        Raises:
            InputError: faces.parquet is damaged, that of another plan, or lacks an identity of these samples.
        """
        return self._showing(read_plan(self.storage).faces)

    @cached_property
    def identities(self) -> pa.Table:
        """`faces` without the landmarks, which are nearly all of it."""
        return self._showing(read_identities(self.storage))

    def _showing(self, faces: pa.Table) -> pa.Table:
        """The same, proven to have every identity that is shown."""
        shown = self.table["identity"].unique()
        lacking = shown.filter(pc.invert(pc.is_in(shown, faces["identity"])))
        if len(lacking):
            raise InputError(
                f"{FACES_FILE} of {self.storage.address}", expected="every identity that its samples show",
                found=f"no {lacking[0].as_py()}", do="do not use the set: it was not made by miex",
            )  # fmt: skip
        return faces

    @cached_property
    def record(self) -> dict[str, Any]:
        """plan.json: config, settings, digests, versions."""
        return read_record(self.storage)

    def torch(self) -> Any:
        """A map-style torch dataset: dicts of frames uint8 [n, 3, size, size], aus (coded) float32 [n, 17], rendered
        (what each side performs) float32 [n, 17, 2], label int64 (0 negative, 1 positive, 2 surprise), apex int64 and
        sample_id. It can be pickled, so DataLoader may use workers; batches of sequences of different
        lengths (frames "all") need your own `collate_fn`. `stream().torch()` is an iterable one.

        Raises:
            UsageError: torch is not installed.
        """
        return needing_torch("torch_dataset").TorchDataset(self)

    def stream(
        self, *, shuffle: bool = True, seed: int = 0, rank: int | None = None, world: int | None = None
    ) -> StoredStream:
        """These samples in epochs, read one after the other, and shared among ranks and the workers of loaders without
        repeats. (`miex.stream` renders those of a plan instead.)

        Args:
            shuffle: in random order, another one in each epoch.
            seed: random seed of the order.
            rank, world: which share of how many; together they give each sample once, and their sizes differ by one
                sample at most. Default: those of torch.distributed if it is initialized, else 0 of 1.

        Returns:
            An iterable of `SampleData`: iterating gives an epoch, and the next time the next one. Its `state_dict` and
            `load_state_dict` resume it; its `torch` is an iterable torch dataset, and its `loader` a DataLoader.

        Raises:
            UsageError: a value is out of range.
        """
        from miex.arguments import KINDS
        from miex.dataset.epochs import StoredStream, rank_and_world, share

        given = {"shuffle": shuffle, "seed": seed, "rank": rank, "world": world}
        for name, value in given.items():
            if value is not None:
                KINDS[name].checked(name, value)
        return StoredStream(self, seed if shuffle else None, *share(0, len(self), *rank_and_world(rank, world)))


def needing_torch(name: str) -> Any:
    """A module of this room that imports torch. Raises UsageError if torch is not installed."""
    try:
        return import_module(f"miex.dataset.{name}")
    except ImportError as error:
        raise UsageError(
            "a torch dataset",
            expected="torch",
            found=str(error),
            do="pip install 'miex[train]' (see docs/tutorials.md)",
        ) from error


def _place(storage: Storage, shard: int, sample_id: str) -> tuple[int, int, int] | None:
    """Where the record of a shard has a sample: offset, bytes and crc32; None if it has none, or is damaged."""
    try:
        return _places(storage, shard, storage.size(record_name(shard))).get(sample_id)
    except DamagedError:
        return None


@lru_cache(maxsize=1)  # samples of one damaged shard are read one after the other
def _places(storage: Storage, shard: int, size: int | None) -> dict[str, tuple[int, int, int]]:
    record = read_shard_record(storage, shard) if size else None
    there = record.samples if record else []
    return {sample["sample_id"]: (sample["offset"], sample["bytes"], sample["crc32"]) for sample in there}


def sample_of(row: Mapping[str, Any], frames: Image, description: Mapping[str, Any]) -> SampleData:
    """A sample.

    Args:
        row: of its plan.
        frames: uint8 RGB [n, size, size, 3].
        description: what the .json member of the sample holds.
    """
    return SampleData(
        sample_id=row["sample_id"],
        frames=frames,
        apex=row["apex"],
        aus=np.asarray(row["aus"], np.float32),
        rendered=rendered_aus(row),
        also_seen=tuple(description["also_seen"]),
        label=Label(row["label"]).name,
        emotion=row["emotion"],
        source=row["source"],
        identity=row["identity"],
        provenance={key: value for key, value in description.items() if key not in _TOLD},
    )


def _several(choice: _Choice) -> list[Any]:
    """The values of a condition: one, or each of several; of photos also as paths."""
    values: list[Any] = [choice] if isinstance(choice, str) or not isinstance(choice, Iterable) else list(choice)
    return [str(value) if isinstance(value, PurePath) else value for value in values]


def _aus_text(aus: AUArray) -> str:
    """The AUs that are on, of a vector float32 [17]."""
    on = np.flatnonzero(aus)
    return ", ".join(f"AU{AU_NUMBERS[i]} {aus[i]:.2f}" for i in on) or "no AU"


def open_dataset(place: Place) -> Dataset:
    """Open a finished set.

    Raises:
        InputError: there is no set, or it is not finished.
    """
    storage = storage_at(place)
    return Dataset(storage, made_samples(storage))
