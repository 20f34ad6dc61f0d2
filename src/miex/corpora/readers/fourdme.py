"""4DME (Li et al. 2022), gray frames: 60 fps, 267 clips. Its workbook was not seen."""

from __future__ import annotations

from miex.corpora.corpus import Corpus, Key, Tree, key_of
from miex.tables.table import Columns, Row


class FourDME(Corpus):
    """Emotions may be combined (`surprise+positive`); such clips have no label. AUs marked `(k)` are "held"."""

    name = "4dme"
    title = "4DME"
    fps = 60.0
    licence = (
        "ask the Center for Machine Vision and Signal Analysis, University of Oulu; a group leader signs the agreement"
    )
    source = "Li, Cheng, Li, Behzad, Shen, Zafeiriou, Pantic & Zhao, IEEE Transactions on Affective Computing 2022"
    emotions = ("positive", "negative", "surprise", "repression", "others")
    folders = r"(?:[sS]?\d+/)?(?P<clip>[sS]?\d+_[^/]+)"
    prefer = (r"gray_micro(/|$)", "gray_micro_crop")
    tables = (r"4DME_Labelling_Micro.*", r"4DME.*")
    columns = Columns(
        {
            "subject": ("sub_ID", "sub"),
            "clip": ("fold_name", "folder_name"),
            "onset": ("Onset",),
            "apex": ("Apex",),
            "offset": ("Offset",),
            "emotion": ("Emotion", "video emo"),
            "aus": ("AUs",),
        },
        needed=("subject", "clip", "onset", "offset", "emotion"),
    )
    paths = (Tree("gray", "gray_micro/{subject}/{clip}", "{number}.jpg"),)
    fake_table = "4DME_Labelling_Micro_release v1.xlsx"

    def key(self, subject: str, clip: str, row: Row) -> Key:
        return key_of(clip)
