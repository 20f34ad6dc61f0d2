"""CASME II (Yan et al. 2014): 200 fps, 26 subjects, 255 clips; the tables of 2014 and 2019 differ in three emotions."""

from __future__ import annotations

from typing import ClassVar

from miex.corpora.corpus import Corpus, Tree, clip_code, subject_code
from miex.tables.table import Columns, Row


class Casme2(Corpus):
    name = "casme2"
    title = "CASME II"
    fps = 200.0
    licence = "sign the form of the Institute of Psychology, Chinese Academy of Sciences (casme.psych.ac.cn/casme/e2)"
    source = "Yan, Li, Wang, Zhao, Liu, Chen & Fu, PLOS ONE 2014"
    emotions = ("others", "disgust", "happiness", "repression", "surprise", "sadness", "fear")
    folders = r"(?P<subject>sub\d+)(?:/|_|-|/[a-z]+/)(?P<clip>EP[^/]+)"
    prefer = ("raw_selected", "selected", "cropped", "raw")
    tables: ClassVar[tuple[str, ...]] = (r".*CASME2[-_ ]coding.*",)
    columns = Columns(
        {
            "subject": ("Subject",),
            "clip": ("Filename",),
            "onset": ("OnsetFrame",),
            "apex": ("ApexFrame",),
            "offset": ("OffsetFrame",),
            "aus": ("Action Units",),
            "emotion": ("Estimated Emotion",),
            "objective": ("Objective Classes", "Objective Class"),
        },
        needed=("subject", "clip", "onset", "offset", "emotion"),
    )
    paths = (
        Tree("selected", "CASME2_RAW_selected/{subject}/{clip}", "img{number}.jpg"),
        Tree("cropped", "Cropped/{subject}/{clip}", "reg_img{number}.jpg"),
        Tree("raw", "CASME2-RAW/{subject}/{clip}", "img{number}.jpg"),
    )
    fake_table = "CASME2-coding-20140508.xlsx"

    def identify(self, row: Row) -> tuple[str, str]:
        return subject_code("sub", 2, row), clip_code(r"EP\d.*", "EP02_01f", row)
