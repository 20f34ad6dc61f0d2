"""CASME II (Yan et al. 2014): 200 fps, 26 subjects, 255 clips; the tables of 2014 and 2019 differ in three emotions."""

from __future__ import annotations

from miex.corpora.corpus import Corpus, Tree, subject_code
from miex.tables.table import Columns, Row


class Casme2(Corpus):
    name = "casme2"
    title = "CASME II"
    fps = 200.0
    licence = "sign the form of the Institute of Psychology, Chinese Academy of Sciences (casme.psych.ac.cn/casme/e2)"
    source = "Yan, Li, Wang, Zhao, Liu, Chen & Fu, PLOS ONE 2014"
    emotions = ("others", "disgust", "happiness", "repression", "surprise", "sadness", "fear")
    folders = r"(?P<subject>sub\d+)/(?P<clip>EP[^/]+)"
    prefer = ("raw_selected", "selected", "cropped", "raw")
    # the table of the composite first: the one of 2019 has three clips of another emotion, and is given by hand
    tables = (r"CASME2-coding-2014\d*", r"CASME2-coding-2019\d*", r".*CASME2-coding.*")
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
        return subject_code("sub", 2, row), row.text("clip")
