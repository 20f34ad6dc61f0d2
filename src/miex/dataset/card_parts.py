"""What every dataset card says, of a set or an export of it: header, classes, uses, licences. Markdown."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from miex.labels import Label
from miex.tables.written import visible

if TYPE_CHECKING:
    from miex.dataset.reader import Dataset

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))
USES = (
    "Made for: training recognizers and spotters of micro-expressions and AUs, alone or before and beside real clips;"
    " testing programs that read such data; teaching what AUs look like.",
    "Not for: detecting lies; judging what a person feels, intends or is; deciding anything about a person; identifying"
    " people; passing a frame off as a photo. Nobody made these expressions, and numbers measured on them say nothing"
    " about real faces until they are measured there.",
)


def header(dataset: Dataset, files: str, features: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """The YAML that dataset hubs, and `datasets.load_dataset`, read from a README.md.

    Args:
        dataset: the set, or a selection of it.
        files: pattern of the files that hold the samples.
        features: their columns, where the files do not say them (`export.features`).
    """
    size = next((name for most, name in _SIZES if len(dataset) < most), "n>10M")
    video = dataset.record["config"].get("frames", 2) != 2
    lines = [
        "---",
        f"pretty_name: {visible(json.dumps(dataset.storage.name, ensure_ascii=False))}",
        "license: other  # each photo keeps its own: see Faces",
        "annotations_creators: [machine-generated]",
        "tags: [micro-expressions, facial-action-units, faces, synthetic]",
        f"task_categories: [{'video-classification' if video else 'image-classification'}]",
        f"size_categories: [{json.dumps(size)}]",
        "configs:",
        "- config_name: default",
        f"  data_files: [{{split: train, path: {json.dumps(files)}}}]",
    ]
    if features:  # JSON is YAML
        lines += ["dataset_info:", "  features:", *(f"  - {json.dumps(feature)}" for feature in features)]
    return [*lines, "---", ""]


def label_lines(table: pa.Table) -> list[str]:
    """How many samples each label, emotion and source has."""
    names = ("label", "emotion", "source")
    counts = sorted(Counter(zip(*(table[name].to_pylist() for name in names), strict=True)).items())
    return [
        "| label | emotion | source of AUs | samples |",
        "|---|---|---|---|",
        *(
            f"| {Label(label).name} | {cell(emotion)} | {cell(source)} | {n:,} |"
            for (label, emotion, source), n in counts
        ),
        "",
    ]


def source_lines(sources: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where real AUs came from, and under which terms; nothing if all are drawn from tables."""
    rows = [(name, facts) for name, settings in sources.items() for facts in settings.get("corpora", ())]
    if not rows:
        return []
    return [
        "## Where real AUs came from",
        "",
        "Each sample names the corpus, subject and clip of its AUs: before you train on this set and test on real"
        " clips, ask `miex.evaluation.leakage` which samples you may use. AU values keep the licence of their corpus.",
        "",
        "| source | corpus | clips | subjects | extractor | licence | attribution |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {cell(name)} | {cell(facts['corpus'])} | {facts['clips']:,} | {facts['subjects']:,} "
            f"| {_extractor(facts)} | {cell(facts['licence'])} | {cell(facts['attribution'])} |"
            for name, facts in rows
        ),
        "",
    ]


def _extractor(facts: Mapping[str, Any]) -> str:
    if "extractor" not in facts:
        return "human coders; intensities drawn"
    unseen = ", ".join(map(str, facts["unseen_aus"]))
    return cell(f"{facts['extractor']} {facts['version']}") + (f"; never AU {unseen}" if unseen else "")


def face_lines(dataset: Dataset) -> list[str]:
    """Licences and attributions of the faces that the samples show."""
    faces = dataset.identities
    if len(dataset):
        faces = faces.filter(pc.is_in(faces["identity"], dataset.table["identity"].unique()))
    rows = zip(*(faces[name].to_pylist() for name in ("licence", "kind", "attribution")), strict=True)
    return [
        "## Faces",
        "",
        "Photos keep their licences. Give these attributions wherever you show or pass on the frames.",
        "",
        "| licence | kind | identities | attribution |",
        "|---|---|---|---|",
        *(
            f"| {cell(licence)} | {cell(kind)} | {n:,} | {cell(attribution)} |"
            for (licence, kind, attribution), n in sorted(
                Counter(rows).items(), key=lambda item: (-item[1], str(item[0]))
            )
        ),
        "",
    ]


def cell(text: str | None) -> str:
    """A text that stays one: no markup, link, HTML or end of a table's cell, and nothing that commands a terminal.

    Photos and tables come from anyone. Attributions may hold addresses, of which hubs would make links: those are shown
    as code, letter for letter.
    """
    return " ".join(map(_word, visible(" ".join((text or "not stated").split())).split(" ")))


_ADDRESS = re.compile(r"://|www\.|mailto:|xmpp:|.@.", re.IGNORECASE)  # of what hubs make links by themselves


def _word(word: str) -> str:
    if not _ADDRESS.search(word):
        return re.sub(r"[\\`*\[\]<>|&~$]", r"\\\g<0>", word)
    fence = "`" * (1 + max(map(len, re.findall("`+", word)), default=0))  # longer than any in it
    pad = " " if "`" in (word[0], word[-1]) else ""
    return f"{fence}{pad}{word}{pad}{fence}".replace("|", "\\|")
