"""Read every annotation table in a folder, alone and with fake frames, and print what was found.

python -m tools.annotation_tables FOLDER
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from miex.corpora.catalog import corpus_named
from miex.corpora.corpus import Reading
from miex.corpora.fakes.write import fake_frames_of
from miex.corpora.mappings import ClassMapping, mapping_named
from miex.dataset.frames import encode_image
from miex.errors import InputError

# file below the folder -> the corpora that it annotates
TABLES = {
    "casme/CASME.xls": ("casme",),
    "casme2/CASME2-coding-20140508.xlsx": ("casme2",),
    "casme2/CASME2-coding-20190701.xlsx": ("casme2",),
    "casme2/variants/QqXuyujie_CASME2-coding-20140508.xlsx": ("casme2",),
    "samm/SAMM_Micro_FACS_Codes_v2.xlsx": ("samm",),
    "samm/variants/davidnvq_SAMM_Micro_FACS_Codes_v2.xlsx": ("samm",),
    "samm/variants/SAMM.xlsx": ("samm",),
    "samm/SAMM_LongVideos_V2_Release.csv": ("samm-long",),
    "samm/SAMM_LV_code_final.xlsx": ("samm-long",),
    "smic/HS_cropped.csv": ("smic",),
    "smic/SMIC-HS-E_annotation_orig.xlsx": ("smic-e", "smic-e-vis"),
    "smic/SMIC-HS-E_annotation.xlsx": ("smic-e", "smic-e-vis"),
    "mmew/MMEW_Micro_Exp.csv": ("mmew",),
    "casme_sq/casme_sq_code_final.xlsx": ("casme-sq",),
    "casme_sq/CAS(ME)^2code_final(Updated).csv": ("casme-sq",),
    "casme_sq/variants/CAS(ME)^2.xlsx": ("casme-sq",),
    "casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx": ("casme3-a",),
    "casme3/cas(me)3_part_A_ME_label_JpgIndex_v1.xls": ("casme3-a",),
    "casme3/CAS(ME)3_part_A_v2.xls": ("casme3-a-macro",),
    "casme3/CAS(ME)3_part_A_v1.xls": ("casme3-a-macro",),
    "casme3/CAS(ME)3_part_C_ME.xlsx": ("casme3-c",),
    "casme3/CAS(ME)3_part_C.xls": ("casme3-c-macro",),
    "ckplus/CK+_10-fold_sample_IDascendorder_step10.txt": ("ckplus",),
}
# what lies beside them and is no annotation table of a corpus
OTHER = {
    "README.md": "describes the folder",
    "casme2/CASME2-ObjectiveClasses.xlsx": "objective classes alone, without frames",
    "casme2/derived/": "somebody's selection of the table above",
    "samm/derived/": "somebody's selection of the table above",
    "samm/samm_5class_subsets.csv": "oracle of the mappings samm-5 and samm-5-emotion",
    "smic/smic-3classes.csv": "estimated apexes",
    "smic/smic_apex.xlsx": "estimated apexes",
    "mmew/mmew_6class_234.csv": "oracle of the mapping mmew-6",
    "casme_sq/variants/survey_CAS(ME)2.xls": "somebody's selection, without a header, kind or label",
    "casme3/CAS(ME)3_part_A_wrongly_labeled_me_in_V1.xlsx": "what changed from v1 to v2",
    "casme3/exception/": "frames that are damaged or bad",
    "casme3/derived/": "somebody's selection of the table above",
    "dfme/": "AU codes of DFME without onset and apex: for a source of AUs, no reader",
    "megc2019/": "oracles of compmie",
    "mie-x-lists/": "training and test lists",
}


@dataclass(frozen=True)
class Found:
    """One table, read: alone, and again over fake frames that it names."""

    file: str
    corpus: str
    alone: Reading
    framed: Reading
    images: int


def read_one(folder: Path, file: str, name: str, neighbors: int = 1) -> Found:
    """One table; fake frames have so many neighbors on each side."""
    corpus = corpus_named(name)
    alone = corpus.read(folder / file, on_error="collect")
    with tempfile.TemporaryDirectory() as place:
        made = fake_frames_of(corpus, Path(place), folder / file, encode_image, neighbors=neighbors)
        framed = corpus.read(place, on_error="collect")
    return Found(file, name, alone, framed, made.images)


def left_out(folder: Path) -> list[tuple[str, str]]:
    """(file, why) of everything else; an empty why means that nobody has looked at it."""
    files = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return [(file, _why(file)) for file in files if file not in TABLES]


def _why(file: str) -> str:
    return next((why for name, why in OTHER.items() if file == name or (name[-1] == "/" and file.startswith(name))), "")


def counts(reading: Reading) -> str:
    """Emotions, and labels behind the bar."""
    emotions = Counter(clip.emotion or "none" for clip in reading.clips)
    labels = Counter(clip.label.name for clip in reading.clips if clip.label is not None)
    text = ", ".join(f"{name} {n}" for name, n in emotions.most_common())
    return text + (" | " + " / ".join(f"{labels[n]}" for n in ("negative", "positive", "surprise")) if labels else "")


def chosen(mapping: ClassMapping, reading: Reading) -> str:
    """How many clips a finer mapping selects."""
    by_class = Counter(code for _, code in mapping.select(reading.clips))
    return f"{sum(by_class.values())}: " + ", ".join(f"{c} {by_class[i]}" for i, c in enumerate(mapping.classes))


def main(folder: Path) -> None:
    """Print the table."""
    columns = "file", "corpus", "rows", "subjects", "emotions | negative / positive / surprise", "broken", "no apex"
    table = Table(*columns, "corrected", "with frames", box=None, header_style="bold")
    there = [(file, name) for file, names in TABLES.items() for name in names if (folder / file).is_file()]
    for found in (read_one(folder, file, name) for file, name in there):
        alone, framed = found.alone, found.framed
        table.add_row(
            found.file, found.corpus, str(len(alone.clips)), str(len({c.subject for c in alone.clips})), counts(alone),
            str(len(alone.problems)), str(sum(c.apex is None for c in alone.clips)), str(len(alone.corrections)),
            f"{len(framed.clips)} ({found.images} images)",
        )  # fmt: skip
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 240)
    console.print(table)
    composite = corpus_named("compmie").read(folder, on_error="collect")
    subjects = len({(c.corpus, c.subject) for c in composite.clips})
    print(f"\ncompmie: {len(composite.clips)} clips, {subjects} subjects, {counts(composite).split(' | ')[1]}; "
          f"{len(composite.problems)} differences from the ground truth")  # fmt: skip
    for corpus, file, names in (
        ("mmew", "mmew/MMEW_Micro_Exp.csv", ("mmew-6",)),
        ("samm", "samm/SAMM_Micro_FACS_Codes_v2.xlsx", ("samm-5", "samm-5-emotion")),
        ("casme2", "casme2/CASME2-coding-20140508.xlsx", ("casme2-5",)),
        ("ckplus", "ckplus/CK+_10-fold_sample_IDascendorder_step10.txt", ("megc2019", "mie-x-code")),
    ):
        try:
            reading = corpus_named(corpus).read(folder / file, on_error="collect")
        except InputError as error:
            print(error)
            continue
        for name in names:
            print(f"{corpus} by {name}: {chosen(mapping_named(name), reading)}")
    print("\nnot read:")
    for file, why in left_out(folder):
        if not file.startswith("mie-x-lists/"):
            print(f"  {file}: {why or 'unknown'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
