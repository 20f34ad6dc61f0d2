"""Examples of sets, clips and flow files have the same form; recognizers refuse those that they cannot take."""

from __future__ import annotations

import errno
import io
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import miex.dataset  # noqa: E402
from miex.aus.vector import from_mapping  # noqa: E402
from miex.corpora.clip import Clip, Descent  # noqa: E402
from miex.corpora.mappings import emotion_named, mapping_named  # noqa: E402
from miex.dataset.export.forms import FORMS  # noqa: E402
from miex.errors import InputError, OutputError, UsageError  # noqa: E402
from miex.evaluation.leakage import allowed  # noqa: E402
from miex.faces.align import align_photo  # noqa: E402
from miex.faces.crop import CropOptions  # noqa: E402
from miex.faces.photos import default_pool, list_photos  # noqa: E402
from miex.generators.registry import make_generator  # noqa: E402
from miex.images import read_clip  # noqa: E402
from miex.labels import Label  # noqa: E402
from miex.recognition.flow_file import flow_set, load, read_flow, write_flow_set  # noqa: E402
from miex.recognition.inputs.flow import FlowMaps  # noqa: E402
from miex.recognition.places import of_clips, of_set  # noqa: E402
from miex.recognition.recognizer import prepared  # noqa: E402
from miex.recognition.train import train  # noqa: E402
from miex.synthesis.preview import preview  # noqa: E402
from tests.recognition.planted import QUICK, planted  # noqa: E402


@pytest.fixture(scope="module")
def clip(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Four frames of the default face: still, rising, brows up, falling."""
    folder = tmp_path_factory.mktemp("clip")
    face = align_photo(default_pool() / list_photos(default_pool())[0], model, CropOptions(256))
    made = preview(face, from_mapping({1: 0.3, 2: 0.3}), make_generator("muscle"))
    for number, frame in {8: made.onset, 9: made.onset, 10: made.apex, 11: made.onset}.items():
        cv2.imwrite(str(folder / f"img{number}.png"), frame[..., ::-1])
    frames = tuple(folder / f"img{n}.png" for n in (8, 9, 10, 11))
    return Clip("casme2", "sub01", "EP01", "surprise", Label.surprise, 0, 2, 3, frames=frames)


def test_a_set_and_its_flow_file_are_the_same_samples(finished: Path, tmp_path: Path) -> None:
    write_flow_set(flow_set(of_set(miex.dataset.open(finished))), tmp_path / "maps.npz")
    examples, maps = of_set(miex.dataset.open(finished)), read_flow(tmp_path / "maps.npz")
    a, b = (one.through(FlowMaps(), tmp_path / "cache") for one in (examples, maps))
    assert a.digest == b.digest
    assert a.rows.equals(b.rows)
    assert np.array_equal(a.batch(), examples.array(FlowMaps()))
    assert set(a.rows["source"].to_pylist()) == {"expert"}
    assert allowed(b.rows, [("casme2", "sub01")]).all()  # the file says whose AUs its maps show
    assert len(set(a.people)) == 1  # twelve virtual identities of one photo are relatives
    assert examples.array(FlowMaps(side=56)).shape == (36, 56, 56, 3)
    assert a.take([3, 1]).rows["sample_id"].to_pylist() == [a.rows["sample_id"][i].as_py() for i in (3, 1)]
    with pytest.raises(UsageError, match="folder of a set"):
        load(tmp_path)


def test_a_set_meets_finer_classes_by_its_emotions(finished: Path, tmp_path: Path) -> None:
    """One array serves both ways to divide the same samples into classes; a flow file carries the names of its own."""
    made, mapping = miex.dataset.open(finished), mapping_named("mmew-6")
    emotions = [emotion_named(emotion) for emotion in made.table["emotion"].to_pylist()]
    by_emotion, by_label = of_set(made, mapping), of_set(made)
    assert (len(by_emotion), by_emotion.label_names) == (36, mapping.classes)
    assert [mapping.classes[code] for code in by_emotion.labels] == emotions
    cache = tmp_path / "cache"
    a, b = (one.through(FlowMaps(), cache) for one in (by_label, by_emotion))
    assert (a.parts, sum(entry.is_dir() for entry in cache.iterdir())) == (b.parts, 1)
    assert (a.labels.tolist(), b.labels.tolist()) == (by_label.labels.tolist(), by_emotion.labels.tolist())
    assert a.digest != b.digest
    write_flow_set(flow_set(of_set(made, mapping)), tmp_path / "six.npz")
    assert read_flow(tmp_path / "six.npz").through(FlowMaps(), cache).digest == b.digest
    few = of_set(made, mapping_named("casme2-5"))
    kept = [i for i, emotion in enumerate(emotions) if emotion in ("happiness", "surprise", "disgust")]
    assert len(few) == len(kept) < 36
    assert np.array_equal(few.array(FlowMaps()), a.take(kept).batch())


def test_flow_files_of_others(tmp_path: Path) -> None:
    path = tmp_path / "theirs.npz"
    flow = np.zeros((3, 28, 28, 3), np.uint8)
    np.savez(path, flow=flow, label=[0, 1, 2])
    assert not allowed(read_flow(path).rows, [("smic", "s1")]).any()  # their origin is unknown
    np.savez(path, flow=flow, label=[0, 1, 2], dataset=["smic"] * 3, subject=["s1", "s2", "s3"], clip=["a", "b", "c"])
    rows = read_flow(path).rows
    assert rows["sample_id"].to_pylist() == ["smic/s1/a", "smic/s2/b", "smic/s3/c"]
    assert allowed(rows, [("SMIC", "s01")]).tolist() == [False, True, True]
    np.savez(path, flow=flow, label=[0, 1, 4], label_names=["a", "b", "c", "d", "e"])
    assert read_flow(path).label_names == ("a", "b", "c", "d", "e")
    np.savez(path, flow=flow, label=["surprise", "negative", "positive "])
    assert read_flow(path).labels.tolist() == [2, 0, 1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of POSIX")
def test_what_is_no_file_is_never_replaced_by_one(finished: Path, tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe.npz", tmp_path / "folder.npz"
    os.mkfifo(pipe)
    folder.mkdir()
    for out in (pipe, folder):
        with pytest.raises(OutputError, match="folder, device or pipe"):
            miex.export(finished, out)
    for to in FORMS:
        for out in (pipe, finished / "plan.json", finished / "plan.json" / "below"):
            with pytest.raises(OutputError, match=r"(?s)Not a directory.*give a(nother folder| new `out`)"):
                miex.export(finished, out, to=to)
    assert pipe.is_fifo()


def test_broken_flow_files_are_named(tmp_path: Path) -> None:
    path, flow = tmp_path / "broken.npz", np.zeros((3, 28, 28, 3), np.uint8)
    for arrays, expected in (
        ({"flow": flow}, "arrays flow and label"),
        ({"flow": flow.astype(float), "label": [0, 1, 2]}, "uint8"),
        ({"flow": flow[..., :2], "label": [0, 1, 2]}, "uint8"),
        ({"flow": flow, "label": [0, 1, 3]}, "classes 0 to 2"),
        ({"flow": flow, "label": [0, 1]}, "label, int"),
        ({"flow": flow, "label": ["negative", "glad", "surprise"]}, "or of negative, (.|\n)*such as 'glad'"),
        ({"flow": flow, "label": [0, 1, 2], "subject": ["a"]}, "subject, str"),
        ({"flow": np.array([{}] * 3, dtype=object), "label": [0, 1, 2]}, "an .npz"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(InputError, match=r"broken.npz(.|\n)*" + expected):
            read_flow(path)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"an \.npz"):
        read_flow(path)
    with pytest.raises(InputError, match=r"an \.npz"):
        read_flow(tmp_path / "missing.npz")


def test_clips_of_a_corpus(clip: Clip, model: Path) -> None:
    samples = of_clips([clip], model=model)
    assert samples.rows.to_pylist() == [
        dict(zip(samples.rows.schema.names, ("casme2/sub01/EP01", 2, "real", "casme2", "sub01", None), strict=True))
    ]
    maps = samples.array(FlowMaps())
    v = maps[0, ..., 1].astype(float)
    v -= np.median(v)
    assert v[2:8, 5:23].min() < -60  # brows went up
    own = of_clips([clip, replace(clip, emotion="others")], model=model, mapping=mapping_named("emotion"))
    assert (own.label_names[:2], own.labels.tolist()) == (("happiness", "surprise"), [1])
    with pytest.raises(UsageError, match="mapping samm-5 for casme2"):
        of_clips([clip], model=model, mapping=mapping_named("samm-5"))
    without = replace(clip, apex=None)  # the middle one of the four frames, N // 2, is the apex
    assert np.array_equal(of_clips([without], model=model, no_apex="middle").array(FlowMaps()), maps)
    assert len(of_clips([without, clip], model=model, no_apex="drop")) == 1
    with pytest.raises(InputError, match="casme2/sub01/EP01"):
        of_clips([without], model=model)
    with pytest.raises(InputError, match="1 without frames"):
        of_clips([replace(without, frames=())], model=model, no_apex="middle")


@pytest.mark.parametrize("when", ["opened", "read"])
@pytest.mark.parametrize("why", [errno.EACCES, errno.EIO])
def test_a_frame_that_cannot_be_asked_for_is_never_skipped(
    clip: Clip, model: Path, monkeypatch: pytest.MonkeyPatch, why: int, when: str
) -> None:
    """It may be whole: another choice of clips would be tested each time, and kept in the cache."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(why, os.strerror(why))

    def opened(path: Path) -> BinaryIO:
        if path == clip.frames[2]:
            if when == "read":
                return Broken()
            raise OSError(why, os.strerror(why), str(path))
        return path.open("rb")

    monkeypatch.setattr("miex.images.open_file", opened)
    other = replace(clip, clip="EP02", frames=clip.frames[:2], apex=1, offset=1)
    two = of_clips([clip, other], model=model, skip=True)
    with pytest.raises(InputError, match=f"(?s)clip casme2/sub01/EP01.*{os.strerror(why)}") as caught:
        two.array(FlowMaps())
    assert caught.value.do == "make it readable, or restore it"
    cut = clip.frames[2].read_bytes()[:-40]
    monkeypatch.setattr(
        "miex.images.open_file", lambda path: io.BytesIO(cut) if path == clip.frames[2] else path.open("rb")
    )
    broken, whole = two.frames.examples(FlowMaps())
    assert isinstance(broken, InputError)  # what is cut is damage
    assert isinstance(whole, np.ndarray)


def test_a_synthetic_clip_says_whose_aus_it_shows(clip: Clip, model: Path) -> None:
    """Read as a corpus, it has the same origin and photo as in its set, so leak guard and folds treat it alike."""
    made = replace(clip, corpus="made", subject="f3a1")
    real = replace(made, clip="x", descent=Descent("real_mie", "casme2", "sub01", "EP02"))
    drawn = replace(made, clip="y", descent=Descent("expert"))
    samples = of_clips([real, drawn], model=model)
    names = ("source", "corpus", "subject", "photo")
    assert [tuple(row[name] for name in names) for row in samples.rows.to_pylist()] == [
        ("real_mie", "casme2", "sub01", "f3a1"), ("expert", None, None, "f3a1"),
    ]  # fmt: skip
    assert allowed(samples.rows, [("casme2", "s1")]).tolist() == [False, True]


def test_own_clips_are_read_in_the_order_of_their_numbers(clip: Clip, tmp_path: Path) -> None:
    frames = list(read_clip(clip.frames[0].parent))
    assert len(frames) == 4
    changed = [bool((frames[i] != frames[0]).any()) for i in range(4)]
    assert changed == [False, False, True, False]
    with pytest.raises(InputError, match="no frame"):
        list(read_clip(tmp_path))
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"1\.png"):
        list(read_clip(tmp_path))


def test_a_video_is_a_clip(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for i in range(3):
        video.write(np.full((48, 64, 3), (0, 0, 80 * i), np.uint8))  # OpenCV writes blue, green, red
    video.release()
    frames = list(read_clip(path))
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    assert [round(float(frame[..., 0].mean()), -1) for frame in frames] == [0, 80, 160]
    (tmp_path / "no.avi").write_bytes(b"no video")
    with pytest.raises(InputError, match="no frame"):
        list(read_clip(tmp_path / "no.avi"))


def test_it_refuses_what_it_was_not_made_for() -> None:
    made = train(planted(), QUICK.but(samples_seen=64))
    maps = planted(6).batch()
    for other in (planted(6, side=56).batch(), maps.astype(float), maps[..., :2]):
        with pytest.raises(InputError, match="28 × 28"):
            made.probabilities(other)
    with pytest.raises(InputError, match=r"28 × 28(.|\n)*56, 56"):
        made.predict(planted(side=56))
    with pytest.raises(InputError, match="others"):
        made.predict(planted(classes=4))


def test_flow_maps_are_normalized_as_they_say() -> None:
    """Median 0, root mean square 1 where nothing is clipped, within ±4: computed by numpy."""
    maps = planted(6).batch()
    x = prepared(maps, FlowMaps()).numpy()
    for i, c in np.ndindex(6, 3):
        channel = maps[i, ..., c].astype(float)
        # of an even number of values, torch takes the lower of the middle two
        low_median = np.sort(channel.ravel())[(channel.size - 1) // 2]
        channel -= low_median
        assert x[i, c] == pytest.approx(np.clip(channel / np.sqrt((channel**2).mean()), -4, 4), abs=1e-3)


def picture(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rgb[..., ::-1])


def test_published_pictures_of_flow(tmp_path: Path) -> None:
    """As STSTNet and HTNet have them: maps u, v, os written by OpenCV, with a blank before the suffix."""
    rng = np.random.default_rng(0)
    said = [("casme2", "sub01", "EP02_01f", 1), ("samm", "006", "006_1_2", 0), ("smic", "s01", "s01_sur_01", 2)]
    maps = {(subject, clip): rng.integers(0, 256, (28, 28, 3), np.uint8) for _, subject, clip, _ in said}
    by_subject, flat = tmp_path / "three_norm_u_v_os", tmp_path / "whole"
    for _, subject, clip, label in said:
        stored = maps[subject, clip][..., ::-1]  # u, v, os as blue, green, red
        name = f"{subject}_{clip} .png"
        picture(flat / name, stored)
        for _, other, *_ in said:
            picture(by_subject / other / ("u_test" if other == subject else "u_train") / str(label) / name, stored)
    out = tmp_path / "maps.npz"
    made = miex.import_flow(by_subject, out, channels="os,v,u")
    assert made.samples == 3
    found = read_flow(out)
    rows = found.rows.to_pylist()
    assert [(r["corpus"], r["subject"], r["sample_id"].split("/")[2], r["label"]) for r in rows] == sorted(said)
    assert all(row["source"] == "real" for row in rows)
    assert np.array_equal(found.array(FlowMaps()), np.stack([maps[s, c] for _, s, c, _ in sorted(said)]))
    with pytest.raises(InputError, match="give a table"):
        miex.import_flow(flat, out, channels="os,v,u")
    table = tmp_path / "clips.csv"
    for lines in (
        ["dataset,sub,filename_o,label,apex", *(f"{of},{s},{c},{label}," for of, s, c, label in said)],
        [f"{of},{s},{c.replace('s01_', 's1_')},{label}" for of, s, c, label in said],  # without a header
        ["subject,clip,label", *(f"{s},{c},{Label(label).name}" for _, s, c, label in said)],
    ):
        table.write_text("\n".join(lines))
        miex.import_flow(flat, tmp_path / "flat.npz", channels=["os", "v", "u"], clips=table)
        again = read_flow(tmp_path / "flat.npz")
        assert again.rows.equals(found.rows)
        assert again.digest == found.digest
    miex.import_flow(by_subject, out, channels="os,v,u", corpus="mine")
    assert set(read_flow(out).rows["corpus"].to_pylist()) == {"mine"}
    for wrong in ("u,v", "r,g,b", "u,u,v"):
        with pytest.raises(UsageError, match="OpenCV makes os,v,u"):
            miex.import_flow(by_subject, out, channels=wrong)
    picture(by_subject / "P1" / "u_test" / "0" / "P1_a.png", maps["sub01", "EP02_01f"])
    with pytest.raises(InputError, match="`corpus`"):
        miex.import_flow(by_subject, out, channels="os,v,u")
    shutil.rmtree(by_subject / "P1")
    picture(by_subject / "006" / "u_test" / "1" / "006_006_1_2.png", maps["sub01", "EP02_01f"])
    with pytest.raises(InputError, match="another map or class"):
        miex.import_flow(by_subject, out, channels="os,v,u")


def a_map(seed: int = 0, side: int = 28) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def imported(folder: Path, channels: str = "u,v,os", **options: Any) -> dict[str, int]:
    miex.import_flow(folder, folder.parent / "maps.npz", channels=channels, **options)
    return {row["sample_id"]: row["label"] for row in read_flow(folder.parent / "maps.npz").rows.to_pylist()}


def test_classes_and_channels_of_pictures_in_any_spelling(tmp_path: Path) -> None:
    folder, table = tmp_path / "maps", tmp_path / "clips.csv"
    for name in ("Negative/sub01_a.PNG", "Happiness/sub01_b.png", "2/sub02_c.bmp", "rest/sub02_d.png"):
        picture(folder / name, a_map())
    for name in (".cache/0/sub01_a.png", "0/.sub03_a.png", "__MACOSX/0/sub01_a.png"):
        picture(folder / name, a_map(1))
    (folder / "0" / "notes.txt").write_text("none")
    table.write_text("subject,clip,label\nsub02,d,1.0\nsub01,a,DISGUST\n")
    expected = {"casme2/sub01/a": 0, "casme2/sub01/b": 1, "casme2/sub02/c": 2, "casme2/sub02/d": 1}
    assert imported(folder, " OS, V ,U", clips=table) == expected
    assert miex.import_flow(folder, tmp_path / "m.npz", channels=["OS", "v ", "u"], clips=table).samples == 4


def test_pictures_that_are_no_flow_maps_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    picture(folder / "0" / "sub01_a.png", a_map())
    equal = np.repeat(a_map()[..., :1], 3, axis=2)
    for name, pixels, why in (
        ("sub01_b.jpg", a_map(), "jpg"), ("sub01_b.WEBP", a_map(), "WEBP"), ("sub01_b.png", equal, "gray"),
        ("sub01_b.png", a_map(side=56), "28 × 28(.|\n)*56 × 56"), ("sub01_b.png", a_map()[:20], "28 × 20"),
    ):  # fmt: skip
        picture(folder / "1" / name, pixels)
        with pytest.raises(InputError, match=f"{name}(.|\n)*{why}"):
            imported(folder)
        (folder / "1" / name).unlink()
    assert imported(folder) == {"casme2/sub01/a": 0}
    with pytest.raises(InputError, match="56 × 56"):
        imported(folder, side=56)


def test_a_class_that_is_said_in_two_ways_is_refused(tmp_path: Path) -> None:
    folder, table = tmp_path / "maps", tmp_path / "clips.csv"
    picture(folder / "0" / "sub01_a.png", a_map())
    table.write_text("subject,clip,label\nsub01,a,1\n")
    with pytest.raises(InputError, match=r"sub01_a\.png(.|\n)*its folder(.|\n)*1 in"):
        imported(folder, clips=table)
    table.write_text("subject,clip,label\nsub01,a,0\nsub1,a,positive\n")
    with pytest.raises(InputError, match="another row of this clip"):
        imported(folder, clips=table)
    table.write_text("subject,clip,label\nsub01,a,0\nsub1,a,negative\n")
    assert imported(folder, clips=table) == {"casme2/sub01/a": 0}


def test_the_same_name_in_two_corpora_is_two_clips(tmp_path: Path) -> None:
    folder, table = tmp_path / "maps", tmp_path / "clips.csv"
    table.write_text("corpus,subject,clip,label\ncasme,sub01,a,0\nCASME II,sub01,a,1\n")
    picture(folder / "sub01_a.png", a_map())
    with pytest.raises(InputError, match="the same clip of casme, casme2"):
        imported(folder, clips=table)
    assert imported(folder, clips=table, corpus="casme") == {"casme/sub01/a": 0}
    (folder / "sub01_a.png").unlink()
    picture(folder / "CASME" / "sub01_a.png", a_map())
    picture(folder / "CASME2" / "sub01_a.png", a_map(1))
    assert imported(folder, clips=table) == {"casme/sub01/a": 0, "casme2/sub01/a": 1}
