"""CompMiE, the composite of MEGC 2019 (See et al. 2019): 442 clips of CASME II, SAMM and SMIC-HS, 68 subjects.

Its ground-truth list is reproduced by a rule: CASME II by the table of 2014, without its two clips that
have no apex; SAMM without `others`; all of SMIC-HS. If `combined_3class_gt.csv` lies there, it is compared.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from miex.corpora.clip import Clip
from miex.corpora.corpus import Corpus, OnError, Reading, Tree
from miex.corpora.folders import files_below
from miex.corpora.mappings import DEFAULT_MAPPING
from miex.corpora.readers.casme2 import Casme2
from miex.corpora.readers.samm import Samm
from miex.corpora.readers.smic import Smic
from miex.errors import InputError

GROUND_TRUTH = "combined_3class_gt.csv"


class _Casme2Of2014(Casme2):
    """The table of 2019 has three clips of another emotion."""

    tables = (r".*CASME2[-_ ]coding.*2014.*", *Casme2.tables)


PARTS = (_Casme2Of2014(), Samm(), Smic())


class CompMiE(Corpus):
    """The folder holds the three corpora, each in its own layout, side by side or nested. Clips keep their corpus.

    `table` is the ground-truth list, if it does not lie there.
    """

    name = "compmie"
    title = "CompMiE (MEGC 2019)"
    licence = "ask for CASME II, SAMM and SMIC: it is a selection of them"
    source = "See, Yap, Li, Hong & Wang, MEGC, FG 2019"
    emotions = ()
    paths = (Tree("", "CASME II, SAMM and SMIC", "in their own layouts"),)

    def unlike(self, path: Path) -> list[str]:
        theirs = [part.unlike(path) for part in PARTS]
        return [name for name in theirs[0] if all(name in others for others in theirs)]

    def read(
        self,
        path: Path | str,
        *,
        table: Path | str | None = None,
        tree: str | None = None,
        mapping: str = DEFAULT_MAPPING,
        without: Collection[str] = (),
        on_error: OnError = "raise",
    ) -> Reading:
        path = Path(path)
        readings = []
        for part in PARTS:
            given = None
            if part.name == "smic" and not part.trees(path, ()):  # without frames a list of its clips will do
                given = next((p for p in files_below(path) if p.name.lower().startswith("hs_cropped")), None)
            reading = part.read(path, table=given, tree=tree, mapping=mapping, without=without, on_error=on_error)
            readings.append(replace(reading, clips=tuple(clip for clip in reading.clips if in_composite(clip))))
        clips = tuple(clip for reading in readings for clip in reading.clips)
        problems = [problem for reading in readings for problem in reading.problems]
        truth = Path(table) if table else next((p for p in files_below(path) if p.name == GROUND_TRUTH), None)
        if truth is not None:
            difference = _difference(clips, truth)
            if difference and on_error == "raise":
                raise difference
            problems += [difference] if difference else []
        return Reading(
            self.name, clips, tuple(problems), tuple(c for r in readings for c in r.corrections),
            tuple(t for r in readings for t in r.tables), tuple(t for r in readings for t in r.other_tables),
            ", ".join(r.tree for r in readings if r.tree) or None, {t: n for r in readings for t, n in r.trees.items()},
        )  # fmt: skip


def in_composite(clip: Clip) -> bool:
    """Whether a clip of CASME II, SAMM or SMIC, read with the default mapping, is one of the composite's."""
    return clip.label is not None and (clip.corpus != "casme2" or clip.apex is not None)


def ground_truth_key(clip: Clip) -> tuple[str, str, str]:
    """Corpus, subject, clip as the ground-truth list of MEGC 2019 spells them."""
    if clip.corpus == "samm":
        return "samm", str(int(clip.subject)), clip.clip
    if clip.corpus == "smic":
        subject = f"s{int(clip.subject[1:]):02d}"
        return "smic", subject, f"{subject}_{clip.clip.split('_', 1)[1]}"
    return clip.corpus, clip.subject, clip.clip


def read_ground_truth(path: Path) -> dict[tuple[str, str, str], int]:
    """{(corpus, subject, clip): label} of the list, with or without its header.

    Raises:
        InputError: the list cannot be read.
    """
    from miex.tables.table import Columns, read_table

    names = {"data": ("data",), "subject": ("subject",), "clip": ("clip",), "label": ("label",)}
    rows = read_table(path, Columns(names, tuple(names), headerless=tuple(names)))
    truth: dict[tuple[str, str, str], int] = {}
    for row in rows:
        label = row.integer("label", needed=True)
        if label not in (0, 1, 2):
            raise row.wrong("label", "0 negative, 1 positive or 2 surprise")
        truth[row.text("data"), row.text("subject"), row.text("clip")] = label
    return truth


def _difference(clips: Collection[Clip], path: Path) -> InputError | None:
    truth = read_ground_truth(path)
    found = {ground_truth_key(clip): int(clip.label) for clip in clips if clip.label is not None}
    odd = sorted(key for key in truth.keys() | found.keys() if truth.get(key) != found.get(key))
    if not odd:
        return None
    first = odd[0]
    return InputError(
        f"clips of CompMiE, compared with {path}",
        expected=f"the same {len(truth)} clips and labels",
        found=f"{len(odd)} differences, the first: {'/'.join(first)} has label {found.get(first)}, "
        f"not {truth.get(first)} (None where the clip is missing)",
        do="read CASME II with its table of 2014, and all three corpora whole; fakes hold fewer clips",
    )
