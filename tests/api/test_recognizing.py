"""Training, testing and predicting: what is wrong with a call is said before data is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miex
from miex.api.examples import recipe_of
from miex.corpora.mappings import mapping_named
from miex.errors import InputError, OutputError, UsageError

pytest.importorskip("torch")


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """A flow file of three people who do everything once."""
    n, names = 9, np.array
    np.savez(
        tmp_path / "real.npz", flow=np.random.default_rng(0).integers(0, 255, (n, 28, 28, 3), np.uint8),
        label=np.arange(n) % 3, corpus=names(["casme2"] * n), subject=names([f"s{i // 3}" for i in range(n)]),
        clip=names([f"c{i}" for i in range(n)]),
    )  # fmt: skip
    return tmp_path / "real.npz"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"mode": "real+"}, "mode"), ({"mode": "joint"}, "extra"), ({"extra": "nowhere.npz"}, "extra"),
        ({"folds": "3-folds"}, "folds"), ({"folds": "nowhere"}, "folds"), ({"recipe": "quick"}, "recipe"),
        ({"mode": "joint", "extra": "nowhere.npz", "pretrain": "quick"}, "recipe"), ({"flow": "magic"}, "magic"),
        ({"device": "tpu"}, "device"), ({"recognizer": "magic"}, "magic"), ({"no_apex": "last"}, "apex"),
        ({"classes": "mmew-7"}, "`classes` 'mmew-7'"), ({"extra": "nowhere.npz", "mode": "fine-tune",
        "extra_classes": "six"}, "`extra_classes` 'six'"), ({"extra": "nowhere.npz", "mode": "joint",
        "extra_classes": "megc2019"}, "mode fine-tune"),
    ],
)  # fmt: skip
def test_a_wrong_choice_is_found_before_data_is_read(wrong: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        miex.evaluate("nowhere.npz", **wrong)


def test_no_sample_is_tested_twice(maps: Path, tmp_path: Path) -> None:
    recognizer = miex.train(maps, epochs=1)
    for call in (
        lambda: miex.evaluate([maps, maps], store=tmp_path / "store"),
        lambda: miex.evaluate_recognizer(recognizer, [maps, maps]),
    ):
        with pytest.raises(UsageError, match="casme2/s0/c0 more than once; 9 such samples"):
            call()
    assert not (tmp_path / "store").exists()


def test_without_an_example_nothing_is_trained_or_tested(finished: Path) -> None:
    nothing = miex.open(finished)[:0]
    for given in (nothing, [nothing, nothing]):
        with pytest.raises(InputError, match="at least one with a label"):
            miex.train(given)
    with pytest.raises(UsageError, match=r"`data` \["):
        miex.train(list(miex.open(finished)[:2]))  # type: ignore[arg-type]


def test_a_training_writes_into_no_folder_of_something_else(finished: Path, maps: Path, tmp_path: Path) -> None:
    before = sorted(finished.iterdir())
    (tmp_path / "file").touch()
    for out in (finished, tmp_path, tmp_path / "file"):  # a set, a folder with other things, a file
        with pytest.raises(OutputError, match="training in"):
            miex.train("nowhere.npz", out=out)
    assert sorted(finished.iterdir()) == before
    for _ in range(2):
        miex.train(maps, epochs=1, out=tmp_path / "out")
        (tmp_path / "out" / "notes.txt").touch()  # beside a training others may lie


def test_a_pair_is_no_clip(maps: Path, tmp_path: Path) -> None:
    recognizer = miex.train(maps, epochs=1)
    for wrong in ({"apex": 3}, {"onset": 1}, {"offset": 3}):
        with pytest.raises(UsageError, match="a pair with onset"):
            miex.predict("a.png", "b.png", recognizer=recognizer, **wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="onset"):
            miex.predict(maps, recognizer=recognizer, **wrong)  # type: ignore[arg-type]
    frame = np.zeros((64, 64, 3), np.uint8)
    for clip in ((frame, frame.astype(np.float32)), (frame[..., 0], frame), np.zeros((2, 64, 64), np.uint8)):
        with pytest.raises(UsageError, match=r"`clip`(.|\n)*uint8 RGB \[h, w, 3\]"):
            recognizer.predict(clip)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="3 files"):
        miex.predict("a.png", "b.png", "c.png")


# finer classes


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory, model: Path) -> dict[str, miex.corpora.Clips]:
    """Fakes of two people of each corpus."""
    found = {}
    for name in ("mmew", "samm"):
        folder = tmp_path_factory.mktemp(name) / "fake"
        miex.corpora.fake(name, folder, subjects=2, size=96, landmarker=model)
        found[name] = miex.corpora.read(name, folder)
    return found


@pytest.mark.parametrize(
    ("corpus", "classes", "left_out"),
    [("mmew", "mmew-6", "2 of 14 have no class in mmew-6: 2 others"),
     ("samm", "samm-5", "6 of 16 have no class in samm-5: 2 contempt, 2 sadness, 2 others")],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["direct", "fine-tune", "joint"])
def test_a_set_meets_a_corpus_in_its_own_classes(
    corpora: dict[str, miex.corpora.Clips], finished: Path, tmp_path: Path, mode: str, corpus: str, classes: str,
    left_out: str,
) -> None:  # fmt: skip
    said: list[str] = []
    found = miex.evaluate(
        corpora[corpus], extra=finished, classes=classes, mode=mode, folds="2-fold", repeats=1, epochs=1,
        store=tmp_path, say=said.append,
    )  # fmt: skip
    names = mapping_named(classes).classes
    assert (found.label_names, found.confusion_table().columns[1:]) == (names, list(names))
    assert found.confusion.sum(axis=1).tolist() == [2] * len(names)
    assert f"{corpus}: {left_out}" in said


def test_fine_tuning_passes_from_three_labels_to_six_classes(
    corpora: dict[str, miex.corpora.Clips], finished: Path, tmp_path: Path
) -> None:
    found = miex.evaluate(
        corpora["mmew"], extra=finished, classes="mmew-6", extra_classes="megc2019", mode="fine-tune", folds="2-fold",
        repeats=1, epochs=1, store=tmp_path / "store",
    )  # fmt: skip
    assert found.confusion.shape == (6, 6)
    three = miex.train(finished, epochs=1)
    six = miex.train(corpora["mmew"], classes="mmew-6", start=three, epochs=1, out=tmp_path / "six")
    assert three.recognizer.label_names == ("negative", "positive", "surprise")
    again = miex.load_recognizer(tmp_path / "six")
    assert again.recognizer.label_names == six.recognizer.label_names == mapping_named("mmew-6").classes
    assert tuple(again.predict_flow(_maps(finished, tmp_path))[0].probabilities) == six.recognizer.label_names
    direct = miex.train(finished, classes="mmew-6", epochs=1)
    assert miex.evaluate_recognizer(direct, corpora["mmew"], classes="mmew-6").scores.n == 12
    with pytest.raises(InputError, match=r"recognizer of happiness, (.|\n)*`classes`"):
        miex.evaluate_recognizer(direct, corpora["mmew"])


def _maps(finished: Path, folder: Path) -> Path:
    miex.export(finished, folder / "maps.npz")
    return folder / "maps.npz"


def test_what_a_set_lacks_is_said(finished: Path) -> None:
    said: list[str] = []
    assert len(miex.examples(finished, classes="casme2-5", say=said.append)) < 36
    assert re.fullmatch(r"finished\S* \d+ of 36 have no class in casme2-5: .*", said[0])
    assert said[1].endswith("nothing of class repression, others")
    said.clear()
    miex.examples(finished, say=said.append)
    assert not said


def test_a_flow_file_has_the_classes_it_was_written_with(finished: Path, tmp_path: Path) -> None:
    miex.export(finished, tmp_path / "six.npz", classes="mmew-6")
    assert miex.examples(tmp_path / "six.npz", classes="mmew-6").label_names == mapping_named("mmew-6").classes
    three = miex.examples(_maps(finished, tmp_path))
    for other in (tmp_path / "maps.npz", three):
        with pytest.raises(
            InputError, match=r"by `classes` mmew-6(.|\n)*found: negative, positive, surprise(.|\n)*export"
        ):
            miex.examples(other, classes="mmew-6")


# the leak guard


def flow_file(path: Path, **changed: Any) -> Path:
    """A flow file of three people who do everything once; changed: its arrays, or None to leave one out."""
    n = 9
    arrays: dict[str, Any] = {
        "flow": np.random.default_rng(0).integers(0, 255, (n, 28, 28, 3), np.uint8), "label": np.arange(n) % 3,
        "corpus": np.array(["casme2"] * n), "subject": np.array([f"sub{i // 3 + 1:02d}" for i in range(n)]),
    }  # fmt: skip
    np.savez(path, **{name: array for name, array in (arrays | changed).items() if array is not None})
    return path


def test_a_recognizer_is_not_tested_on_nobody(tmp_path: Path) -> None:
    """Trained on the very maps, it reads them all: UF1 1.0 would be reported if nobody asks who is in them."""
    maps = np.random.default_rng(1).integers(0, 255, (9, 28, 28, 3), np.uint8)
    recognizer = miex.train(flow_file(tmp_path / "trained.npz"), epochs=1)
    silent = {"corpus": None, "subject": None, "source": None}
    for changed in (
        silent,
        {"subject": None},
        {"subject": np.array([""] * 9)},
        {"subject": np.array(["EP02_01"] * 9)},
        silent | {"source": np.array(["real"] * 9)},
        silent | {"source": np.array(["expert"] * 9)},
        *(
            {"subject": None, "source": np.array([source] * 9), "photo": np.array(["x"] * 9)}
            for source in ("real_mie", "expert", "banana", " real", "CASME2")
        ),
        silent | {"source": np.array(["Expert"] * 9), "photo": np.array(["x"] * 9)},
        {"source": np.array(["banana"] * 9), "photo": np.array(["x"] * 9)},
    ):
        file = flow_file(tmp_path / "test.npz", flow=maps, **changed)
        with pytest.raises(InputError, match="9 of 9 do not say who is in them"):
            miex.evaluate_recognizer(recognizer, file, accept_unknown=True)
    some = flow_file(tmp_path / "some.npz", flow=maps, subject=np.array(["sub09"] * 8 + [""]))
    with pytest.raises(InputError, match="1 of 9 do not say"):
        miex.evaluate_recognizer(recognizer, some)
    others = flow_file(tmp_path / "others.npz", flow=maps, subject=np.array([f"sub{10 + i // 3}" for i in range(9)]))
    assert miex.evaluate_recognizer(recognizer, others).scores.n == 9


def test_a_recognizer_is_not_tested_on_maps_it_has_seen(tmp_path: Path) -> None:
    """Whatever their provenance says: UF1 1.0 for whoever remembers. What it was trained on is in its file."""
    recipe = recipe_of("fixed", epochs=1)
    hidden = flow_file(tmp_path / "hidden.npz", corpus=None, subject=None, source=np.array(["expert"] * 9))
    first = miex.train(hidden, recipe=recipe, out=tmp_path / "first")
    apart = np.random.default_rng(1).integers(0, 255, (9, 28, 28, 3), np.uint8)
    another = flow_file(tmp_path / "another.npz", flow=apart, subject=np.array(["sub20"] * 9))
    later = miex.train(another, recipe=recipe, start=first)
    real = flow_file(tmp_path / "real.npz")
    for recognizer in (first, tmp_path / "first", later):
        with pytest.raises(InputError, match="9 maps, frames or photos of the test samples were in its training data"):
            miex.evaluate_recognizer(recognizer, real)
    first.recognizer.history.pop("marks")
    with pytest.raises(InputError, match="does not say which maps"):
        miex.evaluate_recognizer(first, real)
    assert miex.evaluate_recognizer(first, real, accept_unknown=True).scores.n == 9


def test_whose_face_a_set_shows_is_told_by_names_and_frames(
    corpora: dict[str, miex.corpora.Clips], face_photo: Path, model: Path, tmp_path: Path
) -> None:
    """Photos of those who are tested, as faces of the expert source, would bring their faces into training."""
    from miex.api.examples import faces_of
    from miex.dataset import open as open_set

    (tmp_path / "faces" / "SAMM" / "006").mkdir(parents=True)
    content = face_photo.read_bytes()
    (tmp_path / "faces" / "SAMM" / "006" / f"a{face_photo.suffix}").write_bytes(content)
    clip = next(clip for clip in corpora["samm"] if clip.subject == "006")
    frame = clip.frames[clip.onset or 0]
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / f"x{frame.suffix}").write_bytes(frame.read_bytes())  # a frame under a name that tells nothing
    for chosen, named in ((tmp_path / "faces", True), (tmp_path / "plain", False)):
        made = miex.synthesize(
            tmp_path / f"set-{named}",
            faces=chosen,
            ids=1,
            size=32,
            nuisances="off",
            landmarker=model,
            min_inter_ocular=5,
        )
        assert list(faces_of(open_set(tmp_path / f"set-{named}")).values()) == [("samm", "6")] * named
        with pytest.raises(InputError, match="face may be that of" if named else "photo is in the test set"):
            miex.evaluate(
                corpora["samm"], extra=made, mode="direct", folds="loso", repeats=1, epochs=1, no_apex="middle",
                store=tmp_path / "store",
            )  # fmt: skip
        miex.export(made, tmp_path / f"{named}.npz", to="flow")
        assert list(faces_of(tmp_path / f"{named}.npz").values()) == [("samm", "6")] * named
        with pytest.raises(InputError, match="face may be that of" if named else "photo is in the test set"):
            miex.evaluate(
                corpora["samm"], extra=tmp_path / f"{named}.npz", mode="direct", folds="loso", repeats=1, epochs=1,
                no_apex="middle", store=tmp_path / "store",
            )  # fmt: skip
        read = miex.examples(tmp_path / f"{named}.npz")
        assert list(faces_of([read]).values()) == [("samm", "6")] * named
        with pytest.raises(InputError, match="face may be that of" if named else "photo is in the test set"):
            miex.evaluate(
                corpora["samm"], extra=read, mode="direct", folds="loso", repeats=1, epochs=1, no_apex="middle",
                store=tmp_path / "store",
            )  # fmt: skip
        folder = tmp_path / f"folder-{named}"
        miex.export(made, folder, to="folder")
        clips = miex.corpora.read("mine", folder)
        miex.corpora.write_index(clips, tmp_path / f"{named}.csv")
        for exported in (f"mine={folder}", clips, f"mine={tmp_path / str(named)}.csv"):
            assert set(faces_of(exported).values()) == {("samm", "6")} if named else not faces_of(exported)
            with pytest.raises(InputError, match="face may be that of" if named else "photo is in the test set"):
                miex.evaluate(
                    corpora["samm"], extra=exported, mode="direct", folds="loso", repeats=1, epochs=1,
                    no_apex="middle", store=tmp_path / "store",
                )  # fmt: skip
        trained = miex.train(made, epochs=1)
        assert trained.recognizer.history["faces"] == [["samm", "6"]] * named
        again = flow_file(tmp_path / "more.npz", corpus=np.array(["mmew"] * 9))
        later = miex.train(again, epochs=1, start=trained)
        with pytest.raises(InputError, match="face may be that of" if named else "frames or photos of the test"):
            miex.evaluate_recognizer(later, corpora["samm"], no_apex="middle")
