"""Mappings and corrections are data: complete, sourced, and applied by what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from miex.corpora.catalog import corpora, corpus_named, read
from miex.corpora.clip import Clip
from miex.corpora.corrections import all_corrections, corrected, corrections_of
from miex.corpora.mappings import DEFAULT_MAPPING, emotion_labels, emotion_named, mapping_named, mappings
from miex.errors import UsageError
from miex.labels import Label
from miex.tables.table import Row


def test_every_corpus_has_the_default_mapping() -> None:
    default = mapping_named(DEFAULT_MAPPING)
    assert default.gives_labels
    assert set(corpora()) - {"compmie"} == set(default.corpora)


@pytest.mark.parametrize("name", mappings())
def test_mappings_know_their_corpora_and_categories(name: str) -> None:
    mapping = mapping_named(name)
    assert mapping.source
    for corpus, classes in mapping.corpora.items():
        assert set(classes.values()) <= set(mapping.classes)
        if mapping.by == "emotion":
            assert set(classes) <= set(corpus_named(corpus).emotions)
        else:
            assert set(classes) <= set("1234567")


@pytest.mark.parametrize(
    ("text", "emotion"),
    [("Happy", "happiness"), (" happyiness ", "happiness"), ("sad", "sadness"), ("Angry", "anger"),
     ("comtempt", "contempt"), ("Others", "others"), ("Other", "others"), ("Surprise+Positive", "surprise+positive"),
     ("Happy + Sad", "happiness+sadness"), ("joy", "happiness"), ("glee", "glee"), ("", "")],
)  # fmt: skip
def test_spellings(text: str, emotion: str) -> None:
    assert emotion_named(text) == emotion


@pytest.mark.parametrize(
    ("corpus", "emotion", "label"),
    [
        ("casme2", "repression", Label.negative),
        ("casme2", "sadness", None),  # dropped by the rule of the composite
        ("samm", "sadness", Label.negative),
        ("samm", "others", None),
        ("casme", "tense", None),
        ("ckplus", "sadness", Label.negative),
        ("ckplus", "", None),
        ("mmew", "fear", Label.negative),
        ("4dme", "surprise+positive", None),
        ("oulu-casia", "happiness", Label.positive),
    ],
)
def test_three_classes(corpus: str, emotion: str, label: Label | None) -> None:
    assert mapping_named(DEFAULT_MAPPING).code(corpus, emotion) == label


def test_every_emotion_has_one_label_in_all_corpora() -> None:
    default = mapping_named(DEFAULT_MAPPING)
    for classes in default.corpora.values():
        for emotion in set(classes) - {"negative", "positive"}:
            assert classes[emotion] == emotion_labels()[emotion].name
    assert not {"negative", "positive", "others"} & set(emotion_labels())


@pytest.mark.parametrize(
    ("name", "emotion", "found"),
    [("mmew-6", "fearful", "fear"), ("mmew-6", "surprised", "surprise"), ("mmew-6", "contempt", None),
     ("mmew-6", "negative", None), ("samm-5", "happy", "happiness"), ("casme2-5", "repression", "repression"),
     ("emotion", "sadly fearful", None), ("megc2019", "negative", "negative")],
)  # fmt: skip
def test_a_sample_of_a_set_has_the_class_of_its_emotions_name(name: str, emotion: str, found: str | None) -> None:
    mapping = mapping_named(name)
    code = mapping.code_of_sample(emotion)
    assert (None if code is None else mapping.classes[code]) == found


def test_a_corpus_of_your_own_is_mapped_by_the_names_of_its_emotions() -> None:
    mine = Clip("mine", "1", "a", "fear", None, 0, 1, 2)
    assert mapping_named("mmew-6").code_of(mine) == 4
    assert mapping_named("mmew-6").code_of(replace(mine, corpus="mmew")) == 4
    with pytest.raises(UsageError, match=r"mapping mmew-6 for smic\n(.|\n)*choose a mapping for this corpus: megc2019"):
        mapping_named("mmew-6").code_of(replace(mine, corpus="smic"))


def test_named_options() -> None:
    assert mapping_named("mie-x-code").code("ckplus", "sadness") == Label.positive
    assert mapping_named("casme-all-negative").code("casme", "tense") == Label.negative
    with pytest.raises(UsageError, match="choose a mapping for this corpus: megc2019"):
        mapping_named("mie-x-code").code("4dme", "surprise")


def test_corrections_are_whole_and_apart() -> None:
    ids = [correction.id for correction in all_corrections()]
    assert len(set(ids)) == len(ids)
    for correction in all_corrections():
        assert correction.corpus in corpora()
        assert correction.field in ("onset", "apex", "offset", "emotion")
        assert correction.published != correction.used
        assert correction.reason
        assert correction.source


SAMM = Row("t", 2, {"onset": "1071", "apex": "1143", "offset": "1134"}, {})


def test_a_correction_meets_only_the_published_value() -> None:
    corrections = corrections_of(["samm"])
    row, applied = corrected(SAMM, "028", "028_4_1", corrections)
    assert row.cells["apex"] == "1120"
    assert [c.id for c in applied] == ["samm-028_4_1-apex"]
    for other in ("1113", "1124"):  # a copy that somebody corrected stays as it is
        mended = replace(SAMM, cells={**SAMM.cells, "apex": other})
        assert corrected(mended, "028", "028_4_1", corrections) == (mended, [])
    assert corrected(SAMM, "028", "028_4_2", corrections) == (SAMM, [])
    assert corrected(SAMM, "028", "028_4_1", corrections_of(["samm"], ["all"])) == (SAMM, [])
    assert corrected(SAMM, "028", "028_4_1", corrections_of(["casme2"])) == (SAMM, [])


def test_any_other_value_may_be_the_wrong_one() -> None:
    (correction,) = (c for c in corrections_of(["samm"]) if c.published == "*")
    for value, applies in (("5700", 1), ("5739", 0)):
        row = Row("t", 2, {"onset": "1", "offset": value}, {})
        mended, applied = corrected(row, "013", "013_1_9", [correction])
        assert mended.cells["offset"] == "5739"
        assert len(applied) == applies


def test_corrections_are_said_in_the_clip(tmp_path: Path) -> None:
    (tmp_path / "SAMM.csv").write_text(
        "Subject,Filename,Onset Frame,Apex Frame,Offset Frame,Action Units,Estimated Emotion,Objective Classes\n"
        "028,028_4_1,1071,1143,1134,4,Anger,3\n"
    )
    reading = read("samm", tmp_path)
    (clip,) = reading.clips
    assert clip.published == (1071, 1120, 1134)
    assert clip.notes == ("correction samm-028_4_1-apex",)
    assert [c.id for c in reading.corrections] == ["samm-028_4_1-apex"]
    (clip,) = read("samm", tmp_path, without=["samm-028_4_1-apex"]).clips
    assert clip.apex is None
    assert "apex 1143 does not lie after onset 1071" in clip.notes[0]
