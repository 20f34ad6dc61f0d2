"""CAS(ME)³ (Li et al. 2022), parts A and C: 30 fps; part A has emotions for its micro-expressions only.

Numbering begins at 1. The folders of part C have not been confirmed.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from miex.corpora.corpus import Corpus, Key, Tree, key_of
from miex.tables.table import Columns, Row

_LICENCE = "sign the form of the Institute of Psychology, Chinese Academy of Sciences (casme.psych.ac.cn/casme/e4)"
_SOURCE = "Li, Dong, Lu, Wang, Yan, Ma, Liu, Huang & Fu, IEEE TPAMI 2023"
_COLUMNS = {
    "subject": ("Subject",),
    "clip": ("Filename",),
    "onset": ("Onset",),
    "apex": ("Apex",),
    "offset": ("Offset",),
    "aus": ("AU",),
    "objective": ("Objective class",),
}


class Casme3A(Corpus):
    """Part A, micro-expressions. The clip is the video (`a` to `m`), which may hold several events."""

    name = "casme3-a"
    title = "CAS(ME)³ part A"
    fps = 30.0
    licence = _LICENCE
    source = _SOURCE
    emotions: ClassVar[tuple[str, ...]] = ("disgust", "surprise", "others", "fear", "anger", "sadness", "happiness")
    folders = r"(?P<subject>spNO\.\d+)/(?P<clip>[a-m])/color"
    tables = (r"cas\(me\)3_part_A_ME_label_JpgIndex_v2", r"cas\(me\)3_part_A_ME_label.*")
    columns = Columns(
        _COLUMNS | {"emotion": ("emotion",)}, needed=("subject", "clip", "onset", "apex", "offset", "emotion")
    )
    paths = (Tree("color", "part_A/data/RGB/{subject}/{clip}/color", "{number}.jpg"),)
    fake_table = "part_A/annotation/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"


class Casme3AMacro(Casme3A):
    """Part A, macro-expressions: AUs, but no emotions."""

    name = "casme3-a-macro"
    title = "CAS(ME)³ part A, macro-expressions"
    emotions = ("",)
    tables = (r"cas\(me\)3_part_A_v2", r"cas\(me\)3_part_A_v\d")
    columns = Columns(
        _COLUMNS | {"kind": ("Expression type",)}, needed=("subject", "clip", "onset", "offset", "kind"), sheet="AU"
    )
    fake_table = "part_A/annotation/CAS(ME)3_part_A_v2.xlsx"

    def wanted(self, row: Row) -> bool:
        return self.kind(row) == "macro"


class Casme3C(Corpus):
    """Part C (mock crime), micro-expressions; no apex. The clip is the running number of the event."""

    name = "casme3-c"
    title = "CAS(ME)³ part C"
    fps = 30.0
    licence = _LICENCE
    source = _SOURCE
    emotions: ClassVar[tuple[str, ...]] = ("negative", "surprise", "others", "positive")
    folders = r"(?:spNO\.)?(?P<subject>\d+)/color"
    tables = (r"cas\(me\)3_part_C_ME",)
    columns = Columns(
        {
            "subject": ("sub",),
            "clip": ("count",),
            "onset": ("onset",),
            "offset": ("offset",),
            "aus": ("au",),
            "emotion": ("emotion",),
        },
        needed=("subject", "clip", "onset", "offset", "emotion"),
    )
    paths = (Tree("color", "part_C/data/RGB/{subject}/color", "{number}.jpg"),)
    fake_table = "part_C/annotation/CAS(ME)3_part_C_ME.xlsx"

    def key(self, subject: str, clip: str, row: Row) -> Key:
        return key_of(subject)


class Casme3CMacro(Casme3C):
    """Part C, macro-expressions, without emotions or AUs; the clip is the number of the onset."""

    name = "casme3-c-macro"
    title = "CAS(ME)³ part C, macro-expressions"
    emotions = ("",)
    tables = (r"cas\(me\)3_part_C",)
    columns = Columns(
        {"subject": ("Subject",), "onset": ("Onset",), "offset": ("Offset",), "kind": ("Exp_type",)},
        needed=("subject", "onset", "offset", "kind"),
    )
    fake_table = "part_C/annotation/CAS(ME)3_part_C.xlsx"

    def identify(self, row: Row) -> tuple[str, str]:
        return row.text("subject"), row.text("onset")

    def wanted(self, row: Row) -> bool:
        if row.cells["kind"] not in ("0", "1"):
            raise row.wrong("kind", "0 (macro) or 1 (micro)")
        return row.cells["kind"] == "0"

    def kind(self, row: Row) -> Literal["macro"]:
        return "macro"
