"""CAS(ME)² (Qu et al. 2018): 30 fps, 22 subjects, 300 macro- and 57 micro-expressions in long videos.

The table has no header; participants and videos have other names there than in the folders.
"""

from __future__ import annotations

import re
from typing import Any, Final

from miex.corpora.corpus import Corpus, Key, Tree, key_of
from miex.tables.table import Columns, Row

# participant n of the table -> folder (sheet "naming rule1")
SUBJECTS: Final = ("s15", "s16", *(f"s{n}" for n in range(19, 28)), *(f"s{n}" for n in range(29, 39)), "s40")
# video of the table -> code in the folder's name (sheet "naming rule2")
VIDEOS: Final = {
    "disgust1": "0101", "disgust2": "0102", "anger1": "0401", "anger2": "0402", "happy1": "0502", "happy2": "0503",
    "happy3": "0505", "happy4": "0507", "happy5": "0508",
}  # fmt: skip
_FOLDERS: Final = {
    "0101": "disgustingteeth", "0102": "eatingworms", "0401": "girlcrashing", "0402": "beatingpregnantwoman",
    "0502": "funnyerrors", "0503": "unnyfarting", "0505": "funnyinnovations", "0507": "climbingthewall",
    "0508": "funnydunkey",
}  # fmt: skip


class CasmeSq(Corpus):
    """An offset of 0 means that it was not determined."""

    name = "casme-sq"
    title = "CAS(ME)²"
    fps = 30.0
    licence = "sign the form of the Institute of Psychology, Chinese Academy of Sciences (casme.psych.ac.cn/casme/e3)"
    source = "Qu, Wang, Yan, Li, Wu & Fu, IEEE Transactions on Affective Computing 2018"
    emotions = ("negative", "positive", "others", "surprise")
    folders = r"s(?P<subject>\d+)/\d+_(?P<code>\d{4})[^/]*"
    prefer = ("rawpic", "selectedpic", "cropped")
    tables = (
        r"CAS\(ME\)\^?2_?code_final",
        r"(casme_sq_)?code_final",
        r"CAS\(ME\)\^?2_?code_final.*",
        r".*code_final.*",
    )
    columns = Columns(
        {},  # there is no header
        needed=("subject", "clip", "onset", "apex", "offset", "emotion", "kind"),
        headerless=("subject", "clip", "onset", "apex", "offset", "aus", "emotion", "kind", "self_report"),
    )
    paths = (Tree("raw", "rawpic/{subject}/{subject_number}_{video}", "img{number}.jpg"),)
    fake_table = "CAS(ME)^2code_final.xlsx"

    def identify(self, row: Row) -> tuple[str, str]:
        """Subject `s15` as the folders are called, clip `anger1_1` as the table calls it."""
        number = row.integer("subject", needed=True)
        if number is None or not 1 <= number <= len(SUBJECTS):
            raise row.wrong("subject", f"a participant, 1 to {len(SUBJECTS)}")
        _video(row)
        return SUBJECTS[number - 1], row.text("clip")

    def path_fields(self, subject: str, clip: str, emotion: str) -> dict[str, Any]:
        code = VIDEOS[clip.split("_")[0].lower()]
        return {"subject": subject, "subject_number": subject[1:], "video": code + _FOLDERS[code]}

    def key(self, subject: str, clip: str, row: Row) -> Key:
        return key_of(subject[1:], _video(row))


def _video(row: Row) -> str:
    match = re.fullmatch(r"([a-z]+\d)_\d+", row.text("clip"), re.IGNORECASE)
    if not match or match[1].lower() not in VIDEOS:
        raise row.wrong("clip", "a video and a running number, such as anger1_3")
    return VIDEOS[match[1].lower()]
