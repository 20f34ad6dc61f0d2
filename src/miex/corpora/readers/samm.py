"""SAMM (Davison et al. 2018): 200 fps, 29 subjects, 159 clips in gray; and the table of its long videos."""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

from miex.corpora.corpus import Corpus, Key, Tree, clip_code, key_of, subject_code
from miex.tables.table import Columns, Row

_LICENCE = "send the signed release agreement to its owners (Moi Hoon Yap, Manchester Metropolitan University)"


class Samm(Corpus):
    name = "samm"
    title = "SAMM"
    fps = 200.0
    licence = _LICENCE
    source = "Davison, Lansley, Costen, Tan & Yap, IEEE Transactions on Affective Computing 2018"
    emotions: ClassVar[tuple[str, ...]] = (
        "anger",
        "happiness",
        "others",
        "surprise",
        "contempt",
        "disgust",
        "fear",
        "sadness",
    )
    folders = r"(?:\d{3}(?:/|_|-|/[a-z]+/))?(?P<clip>\d{3}_\d+_\d+)"
    prefer: ClassVar[tuple[str, ...]] = (r"(^|/)SAMM(/|$)", "raw", "cropped")
    tables: ClassVar[tuple[str, ...]] = (
        r"(SAMM_\d*_?)?Micro_FACS_Codes.*",
        r".*SAMM.*FACS.*",
        r"SAMM",
    )
    columns = Columns(
        {
            "subject": ("Subject",),
            "clip": ("Filename",),
            "onset": ("Onset Frame",),
            "apex": ("Apex Frame",),
            "offset": ("Offset Frame",),
            "aus": ("Action Units",),
            "emotion": ("Estimated Emotion",),
            "objective": ("Objective Classes",),
        },
        needed=("subject", "clip", "onset", "offset", "emotion"),
    )
    paths = (Tree("SAMM", "SAMM/{subject}/{clip}", "{subject}_{number:0{digits}d}.jpg"),)
    fake_table = "SAMM_Micro_FACS_Codes_v2.xlsx"

    def identify(self, row: Row) -> tuple[str, str]:
        return subject_code("", 3, row), clip_code(r"\d{3}_\d+_\d+", "006_1_2", row)

    def key(self, subject: str, clip: str, row: Row) -> Key:
        return key_of(clip)

    def path_fields(self, subject: str, clip: str, emotion: str) -> dict[str, Any]:
        """Four or five digits, decided per clip in the true corpus; here by the clip's name."""
        fields = super().path_fields(subject, clip, emotion)
        return fields | {"digits": 4 + zlib.crc32(clip.encode()) % 2, "video": video_of(clip)}


class SammLong(Samm):
    """SAMM Long Videos (Yap et al. 2020): micro- and macro-expressions, without emotions.

    Onsets and offsets differ from those of the micro table by a constant per video. The padding of file names is
    unconfirmed; it does not matter here.
    """

    name = "samm-long"
    title = "SAMM Long Videos"
    source = "Yap, Kendrick & Yap, FG 2020"
    emotions = ("",)
    first_number = 0  # one onset is 0
    folders = r"(?P<video>\d{3}_\d+)"
    prefer = ("longvideos",)
    tables = (r"SAMM_Long_?Videos.*", r"SAMM_LV.*")
    columns = Columns(
        {
            "subject": ("Subject",),
            "clip": ("Filename",),
            "onset": ("Onset",),
            "apex": ("Apex",),
            "offset": ("Offset",),
            "kind": ("Type",),
            "aus": ("Action Units",),
        },
        needed=("subject", "clip", "onset", "offset", "kind"),
    )
    paths = (Tree("long", "SAMM_longvideos/{video}", "{video}_{number:04d}.jpg"),)
    fake_table = "SAMM_LongVideos_V2_Release.xlsx"

    def key(self, subject: str, clip: str, row: Row) -> Key:
        return key_of(video_of(clip))


def video_of(clip: str) -> str:
    """The long video, `006_1`, of a clip `006_1_2`."""
    return clip.rpartition("_")[0]
