"""CASME (Yan et al. 2013): 60 fps, 18 subjects in the released table, sections A and B.

Offsets, AUs and the columns of the full workbook have not been confirmed. Published corrections for this corpus
go by row number of one copy; they are not applied, because other copies have other rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from miex.corpora.corpus import Corpus, Tree, clip_code, subject_code
from miex.tables.table import Columns, Row

FIRST_OF_B: Final = 8  # subjects 1 to 7 are in section A, the others in B


class Casme(Corpus):
    name = "casme"
    title = "CASME"
    fps = 60.0
    licence = "sign the form of the Institute of Psychology, Chinese Academy of Sciences (casme.psych.ac.cn/casme/e1)"
    source = "Yan, Wu, Liu, Wang & Fu, FG 2013"
    emotions = ("tense", "disgust", "repression", "surprise", "happiness", "sadness", "contempt", "fear")
    folders = r"(?P<subject>sub\d+)(?:/|_|-|/[a-z]+/)(?P<clip>EP[^/]+)"
    prefer = ("raw_selected", "raw", "cropped")
    tables = (r"Section[ _]?A", r"Section[ _]?B", r"casme")
    columns = Columns(
        {
            "subject": ("Subject",),
            "clip": ("Filename",),
            "onset": ("OnsetF", "OnsetFrame"),
            "apex": ("ApexF1", "ApexF", "ApexFrame"),
            "offset": ("OffsetF", "OffsetFrame"),
            "aus": ("AUs", "AU", "Action Units"),
            "emotion": ("Emotion", "Estimated Emotion"),
        },
        needed=("subject", "clip", "onset", "emotion"),
    )
    paths = (
        Tree("raw", "CASME_raw_selected/{subject}/{clip}", "{clip}-{number:{digits}d}.jpg"),
        Tree("cropped", "Cropped/{subject}/{clip}", "reg_{clip}-{number:{digits}d}.jpg"),
    )
    fake_table = "Section A.xlsx"

    def identify(self, row: Row) -> tuple[str, str]:
        return subject_code("sub", 2, row), clip_code(r"EP\d.*", "EP01_5", row)

    def path_fields(self, subject: str, clip: str, emotion: str) -> dict[str, Any]:
        """Class A pads no number, class B to three digits."""
        return super().path_fields(subject, clip, emotion) | {"digits": 3 if int(subject[3:]) >= FIRST_OF_B else 1}

    def parts_of_table(self, tables: Sequence[Path]) -> list[Path]:
        """Sections A (subjects 1 to 7) and B (8 to 19) make one table."""
        sections = [path for path in tables if path.name.lower().startswith("section")]
        first = {path.stem.lower().replace("_", " "): path for path in reversed(sections)}
        return [first[name] for name in sorted(first)] or list(tables[:1])
