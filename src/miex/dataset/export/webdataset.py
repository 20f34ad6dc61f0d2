"""A set as WebDataset shards, in an order to train in."""

from __future__ import annotations

import pyarrow.compute as pc

from miex.dataset.export.features import members_of
from miex.dataset.export.parts import MOST_BYTES, Target, in_parts, sizes_of, write_card
from miex.dataset.frames import SUFFIX
from miex.dataset.reader import Dataset
from miex.dataset.shard import Sample, member, members, tar_end
from miex.executors.base import Progress, silent
from miex.stable import sample_rng
from miex.storage import Place


def export_webdataset(dataset: Dataset, place: Place, *, seed: int = 0, progress: Progress = silent) -> int:
    """Write `00000.tar`, `00001.tar` …, and README.md, which says how `webdataset` and `datasets` read them.

    Members of a sample: `<id>.000.png` (onset), `<id>.001.png` …, byte for byte as stored; `<id>.cls`, the label (0
    negative, 1 positive, 2 surprise); `<id>.json`, AU vectors of every frame, apex, provenance, licence, attribution.
    Samples are shuffled, since readers of tars read in order, and a set is ordered by photo and identity.

    Args:
        dataset: the set, or a selection of it.
        place: a new or empty folder, or one in a bucket.
        seed: of the order.
        progress: called with samples done and samples in all.

    Returns:
        How many frames were written.

    Raises:
        OutputError: the folder is not empty, or cannot be written to.
        InputError: the set is damaged, or an id cannot be part of a file's name.
    """
    shuffled = dataset[sample_rng(seed, "export").permutation(len(dataset))]
    ids, labels = (shuffled.table[name].to_pylist() for name in ("sample_id", "label"))
    suffix = SUFFIX[dataset.record["settings"]["frame_format"]]
    number, frames = 0, 0
    with Target(dataset, place) as out:
        for number, shard in enumerate(in_parts(sizes_of(shuffled), MOST_BYTES)):
            with out.writing(f"{number:05d}.tar") as draft:
                size = 0
                for i in shard:
                    stored = shuffled.stored(i)
                    sample = Sample(ids[i], stored.frames, suffix, stored.description, {})
                    for name, content in (*members(sample), (f"{ids[i]}.cls", str(labels[i]).encode())):
                        size += draft.write(member(name, content))
                    frames += len(stored.frames)
                    progress(i + 1, len(shuffled), "")
                draft.write(tar_end(size))
        last = f"{{00000..{number:05d}}}" if number else "00000"
        opened = [
            "import webdataset",
            "",
            f'samples = webdataset.WebDataset("FOLDER/{last}.tar", shardshuffle=100).decode("rgb8")',
            "for sample in samples:",
            f'    frames = [sample[name] for name in sorted(sample) if name.endswith("{suffix}")]  # onset first',
            '    apex, label = frames[sample["json"]["apex"]], sample["cls"]',
        ]
        most = pc.max(pc.list_value_length(dataset.table["aus"])).as_py() or 0
        write_card(
            out, dataset, "*.tar", opened, members_of(dataset.record["settings"]["frame_format"], most, labels=True)
        )
    return frames
