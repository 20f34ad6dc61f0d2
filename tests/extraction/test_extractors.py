"""Extractors: known AUs are read off rendered frames, any program's run resumes, and a fake OpenFace is driven."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from miex.aus.tracks import Track
from miex.aus.vector import AU_INDEX, AUArray, from_mapping
from miex.corpora.catalog import corpus_named, read
from miex.corpora.clip import Clip
from miex.corpora.fakes.write import write_fake
from miex.corpora.folders import IMAGE
from miex.dataset.frames import encode_image
from miex.errors import InputError, UsageError
from miex.executors.base import InProcess
from miex.executors.local import LocalProcesses
from miex.extraction.extractor import AUExtractor, extract_clips, track_name
from miex.extraction.flow import EmbeddedExtractor
from miex.extraction.openface import OpenFaceBinary
from miex.faces.align import align_photo
from miex.faces.crop import CropOptions, similarity
from miex.faces.landmarks import Landmarker
from miex.faces.photos import default_pool, list_photos
from miex.generators.people import actors
from miex.generators.registry import make_generator
from miex.images import FRAME_SUFFIXES, Image
from miex.labels import Label
from miex.quality.recovery import recovery
from miex.sources.early_mae import EarlyMaESource
from miex.sources.pool import make_pool
from miex.sources.real_mie import RealMiESource
from miex.sources.source import AUSource

SMILE = from_mapping({6: 0.2, 12: 0.3})
FROWN = from_mapping({4: 0.25, 7: 0.2})
BROWS = from_mapping({1: 0.3, 2: 0.25})
NOISE = 1.5  # gray levels, of each frame by itself


@pytest.fixture(scope="session")
def embedded(model: Path) -> EmbeddedExtractor:
    return EmbeddedExtractor(model)


Read = Callable[..., AUArray]


@pytest.fixture(scope="session")
def read_aus(embedded: EmbeddedExtractor, landmarker: Landmarker) -> Read:
    return partial(embedded.aus_of, landmarker=landmarker)


@lru_cache(maxsize=2)
def frames_of(model: Path, aus: bytes, size: int = 320) -> list[Image]:
    """The default face with these AUs, as a camera with noise sees it."""
    face = align_photo(default_pool() / list_photos(default_pool())[0], model, CropOptions(size))
    generator = make_generator("muscle")
    z = np.frombuffer(aus, np.float32).reshape(-1, 17)
    luck = np.random.default_rng(0)
    rendered = generator.render(generator.prepare(face), z).frames
    return [np.clip(frame + luck.normal(0, NOISE, frame.shape), 0, 255).astype(np.uint8) for frame in rendered]


def rendered(model: Path, *aus: AUArray) -> list[Image]:
    return list(frames_of(model, np.stack(aus).tobytes()))


REST = from_mapping({})
NEAR = np.full(len(REST), 0.08)
NEAR[AU_INDEX[5]] = 0.09  # AU 4, which takes the fold above the eye down, reads as 0.085 of it
NEAR[AU_INDEX[25]] = 0.1  # AU 26 at 0.3 parts the lips, which reads as 0.098 of it


def test_known_aus_are_read(model: Path, read_aus: Read) -> None:
    aus = [REST, REST, SMILE, FROWN, BROWS, from_mapping({9: 0.2, 17: 0.2}), from_mapping({26: 0.3, 45: 0.2})]
    read = read_aus(rendered(model, *aus))
    assert not read[0].any()
    # the same face in other noise: what is seen where nothing is
    assert read[1].max() < 0.04
    assert (np.abs(read - np.stack(aus)) <= NEAR).all()


def test_a_moving_head_is_no_expression(model: Path, read_aus: Read) -> None:
    first, smile = rendered(model, REST, SMILE)
    moved = []
    for turn, scale, shift in ((0, 1, (0, 0)), (4, 1.03, (6, -3)), (-5, 0.95, (-9, 4))):
        place = cv2.getRotationMatrix2D((160, 160), turn, scale) + np.array([[0, 0, shift[0]], [0, 0, shift[1]]])
        moved += [cv2.warpAffine(f, place, (320, 320), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
                  for f in (first, smile)]  # fmt: skip
    read = read_aus([np.asarray(frame, np.uint8) for frame in moved])
    np.testing.assert_allclose(read[::2], 0, atol=0.06)
    np.testing.assert_allclose(read[1::2], np.stack([SMILE] * 3), atol=0.08)


@pytest.mark.parametrize("quarters", [1, 2])
def test_a_turned_clip_has_the_aus_of_the_upright_one(
    model: Path, read_aus: Read, landmarker: Landmarker, monkeypatch: pytest.MonkeyPatch, quarters: int
) -> None:
    frames = rendered(model, REST, SMILE, FROWN)
    upright = read_aus(frames)
    asked: list[int | None] = []
    detect = landmarker.detect
    monkeypatch.setattr(landmarker, "detect", lambda photo, turn=None: asked.append(turn) or detect(photo, turn))
    turned = read_aus([np.ascontiguousarray(np.rot90(frame, quarters)) for frame in frames])
    assert asked == [None, 90 * quarters, 90 * quarters]  # found out once, of the whole clip
    np.testing.assert_allclose(turned, upright, atol=0.03)
    assert (np.abs(turned[1] - SMILE) <= NEAR).all()


def test_aus_count_from_the_neutral_frame(model: Path, read_aus: Read) -> None:
    frames = rendered(model, SMILE, SMILE + FROWN, REST)
    read = read_aus(frames, neutral=0)
    assert (np.abs(read[1] - FROWN) <= NEAR).all()
    # what relaxes is not seen as such: a smile that fades moves the skin as others would
    assert not read[2][SMILE > 0].any()
    assert read[2][AU_INDEX[15]] > 0.1
    np.testing.assert_allclose(read_aus(frames, neutral=2)[0], SMILE, atol=0.06)


def test_frames_without_the_face_have_failed(model: Path, read_aus: Read) -> None:
    first, smile = rendered(model, REST, SMILE)
    blank = np.full_like(first, 90)
    small = np.full_like(first, 128)
    small[:120, :120] = np.asarray(cv2.resize(first, (120, 120), interpolation=cv2.INTER_AREA), np.uint8)
    read = read_aus([blank, first, None, smile, blank, small])
    assert np.isnan(read).all(axis=1).tolist() == [True, False, True, False, True, True]
    np.testing.assert_allclose(read[3], SMILE, atol=0.06)
    assert np.isnan(read_aus([blank, blank])).all()
    assert read_aus([]).shape == (0, 17)


def test_similarity_is_found_again() -> None:
    luck = np.random.default_rng(0)
    points = luck.normal(size=(8, 2))
    known = np.array([[1.2, -0.5, 3], [0.5, 1.2, -7]])
    np.testing.assert_allclose(similarity(points, points @ known[:, :2].T + known[:, 2]), known, atol=1e-12)


# recovery


def test_recovery_finds_slopes_and_crosstalk() -> None:
    luck = np.random.default_rng(0)
    z = np.where(luck.random((400, 17)) < 0.3, luck.uniform(0.1, 0.3, (400, 17)), 0).astype(np.float32)
    mix = np.eye(17) * 0.8
    mix[0, 1], mix[5, 4] = 0.3, -0.2
    noise = luck.normal(0, 0.01, z.shape)
    found = recovery(z, (z @ mix + noise).astype(np.float32))
    np.testing.assert_allclose(found.crosstalk, mix, atol=0.03)
    assert found.n == 400
    assert found.false_alarm[7] == pytest.approx(0.01, rel=0.2)
    assert found.correlation[7] > 0.99
    blind = (z @ mix + noise).astype(np.float32)
    blind[:, 3] = 0
    blind[:50] = np.nan
    found = recovery(z, blind)
    assert (found.n, found.slope[3], found.correlation[3]) == (350, pytest.approx(0, abs=1e-9), 0)


def test_recovery_says_nothing_of_aus_that_were_not_on() -> None:
    luck = np.random.default_rng(0)
    z = np.zeros((60, 17), np.float32)
    z[:30, 4] = luck.uniform(0.1, 0.3, 30)
    found = recovery(z, z)
    assert found.slope[4] == pytest.approx(1)
    assert np.isnan(np.delete(found.slope, 4)).all()
    with pytest.raises(UsageError, match="measure more samples"):
        recovery(z[:1], z[:1])


# running over a corpus


@dataclass(frozen=True)
class Counting(AUExtractor):
    """AU 12 is the number of bytes of a frame, in hundredths; every call leaves a mark."""

    marks: Path
    stated: str = "1"
    name: ClassVar[str] = "counting"

    @property
    def version(self) -> str:
        return self.stated

    def extract(self, clip: Clip) -> Track:
        self.marks.mkdir(exist_ok=True)
        (self.marks / f"{clip.clip}-{len(list(self.marks.iterdir()))}-{os.getpid()}").touch()
        if clip.clip == "broken":
            raise InputError("clip broken", found="it is broken")
        aus = np.zeros((len(clip.frames), 17), np.float32)
        aus[:, AU_INDEX[12]] = [path.stat().st_size / 100 for path in clip.frames]
        n = len(aus)
        return Track(
            track_name(clip), np.arange(n, dtype=np.int32), aus, np.ones(n, np.float32), self.name, self.stated
        )


def files(folder: Path, *clips: str) -> list[Clip]:
    made = []
    for k, name in enumerate(clips):
        paths = []
        for i in range(3):
            path = folder / name / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * (10 * k + i))
            paths.append(path)
        made.append(Clip("casme2", "sub01", name, "happiness", Label.positive, 0, 1, 2, (), tuple(paths)))
    return made


@pytest.mark.parametrize("executor", [InProcess(), LocalProcesses(2)], ids=["here", "processes"])
def test_a_run_goes_on_where_it_stopped(tmp_path: Path, executor: InProcess | LocalProcesses) -> None:
    clips = files(tmp_path, "a", "b", "broken", "c")
    extractor = Counting(tmp_path / "marks")
    with pytest.raises(InputError, match="it is broken"):
        extract_clips(clips, extractor, tmp_path / "parts", executor=executor)
    steps: list[tuple[int, int]] = []
    whole = extract_clips(
        [clips[3], clips[0], clips[1]], extractor, tmp_path / "parts", executor=executor,
        progress=lambda done, total, note: steps.append((done, total)),
    )  # fmt: skip
    assert [track.clip for track in whole] == ["sub01/c@0", "sub01/a@0", "sub01/b@0"]
    np.testing.assert_allclose(whole[2].aus[:, AU_INDEX[12]], [0.1, 0.11, 0.12])
    assert steps[-1] == (3, 3)
    before = len(list((tmp_path / "marks").iterdir()))
    extract_clips(clips[:2], extractor, tmp_path / "parts", executor=executor)
    assert len(list((tmp_path / "marks").iterdir())) == before
    # another version, or other frames, are other AUs
    extract_clips(clips[:2], Counting(tmp_path / "marks", "2"), tmp_path / "parts", executor=executor)
    assert len(list((tmp_path / "marks").iterdir())) == before + 2
    clips[0].frames[0].write_bytes(b"y" * 50)
    changed = extract_clips(clips[:1], extractor, tmp_path / "parts", executor=executor)
    assert changed[0].aus[0, AU_INDEX[12]] == np.float32(0.5)


def test_a_clip_without_frames_cannot_be_seen(tmp_path: Path) -> None:
    bare = Clip("casme2", "sub01", "a", "happiness", Label.positive, 0, 1, 2)
    with pytest.raises(InputError, match=r"(?s)casme2 sub01/a@0.*only its row in the table"):
        extract_clips([bare], Counting(tmp_path), tmp_path / "parts", executor=InProcess())


def test_clips_of_two_corpora_must_not_share_a_name(tmp_path: Path) -> None:
    first, second = files(tmp_path, "a"), files(tmp_path / "other", "a")
    both = [*first, *(replace(clip, corpus="samm") for clip in second)]
    with pytest.raises(InputError, match=r"(?s)AUs of samm sub01/a@0.*clip of casme2"):
        extract_clips(both, Counting(tmp_path / "marks"), tmp_path / "parts", executor=InProcess())


def test_an_extraction_that_saw_nothing_says_why(tmp_path: Path, embedded: EmbeddedExtractor) -> None:
    clips = files(tmp_path, "a", "b")
    with pytest.raises(InputError) as broken:
        extract_clips(clips, embedded, tmp_path / "parts", executor=InProcess())
    assert str(broken.value).startswith("AUs of 2 clips by miex-flow\n")
    assert f"all 6 frames failed; the first, {clips[0].frames[0]}: 0 bytes" in broken.value.found
    for frame in clips[0].frames + clips[1].frames:
        PillowImage.new("RGB", (64, 64), (90, 160, 90)).save(frame)
    with pytest.raises(InputError, match=r"all 6 frames failed; the first, .*a/0\.jpg: no face was found"):
        extract_clips(clips, embedded, tmp_path / "parts", executor=InProcess())


# OpenFace

FAKE_OPENFACE = """#!{python}
import sys, pathlib
arguments = sys.argv[1:]
value = lambda name: arguments[arguments.index(name) + 1]
assert "-aus" in arguments
aus = "01 02 04 05 06 07 09 10 12 14 15 17 20 23 25 26 45".split()
rows = ["frame, face_id, timestamp, confidence, success, " + ", ".join(f"AU{{au}}_r" for au in aus)]
for i, path in enumerate(sorted(pathlib.Path(value("-fdir")).iterdir(), key=str), 1):
    size = len(path.read_bytes())
    if size == 13:
        sys.exit("models not found")
    if size == 77:
        break
    seen = size != 99
    aus12 = size / 10 * seen
    rows.append(f"{{i}}, 0, 0.0, 0.9, {{int(seen)}}, " + ", ".join(str(aus12 if au == "12" else 0) for au in aus))
out = pathlib.Path(value("-out_dir"))
out.mkdir()
(out / (value("-of") + ".csv")).write_text("\\n".join(rows) + "\\n")
"""


@pytest.fixture
def openface(tmp_path: Path) -> OpenFaceBinary:
    script = tmp_path / "FeatureExtraction"
    script.write_text(FAKE_OPENFACE.format(python=sys.executable))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return OpenFaceBinary(script, "2.2.0")


def sized(folder: Path, *sizes: int) -> Clip:
    """Frames named so that lexical order is another than theirs, of these many bytes."""
    folder.mkdir()
    paths = [folder / f"img{i}.jpg" for i in range(9, 9 + len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(b"x" * size)
    return Clip("casme2", "sub01", "EP01", "happiness", Label.positive, 0, 1, None, (), tuple(paths))


@pytest.mark.skipif(os.name != "posix", reason="the fake is a script")
def test_a_frame_that_cannot_be_asked_for_has_not_failed(
    tmp_path: Path, embedded: EmbeddedExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be whole, and the table would be kept."""
    clip = Clip("own", "s", "c", "", None, 0, 0, 0, frames=(tmp_path / "1.png",))
    assert not np.isfinite(embedded.extract(clip).aus).any()  # no file is a frame that failed

    def refused(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("miex.images.open_file", refused)
    with pytest.raises(InputError, match=r"(?s)1\.png.*Permission denied.*make it readable"):
        embedded.extract(clip)


def test_openface_gets_frames_in_their_order(tmp_path: Path, openface: OpenFaceBinary) -> None:
    track = openface.extract(sized(tmp_path / "clip", 10, 20, 99, 30, 77, 40))
    assert track.clip == "sub01/EP01@0"
    np.testing.assert_allclose(track.aus[:, AU_INDEX[12]], [0.2, 0.4, np.nan, 0.6, np.nan, np.nan], rtol=1e-6)
    assert track.extractor == "openface"
    assert track.version.startswith("2.2.0 (sha256 ")
    assert len(track.frames) == 6


@pytest.mark.skipif(os.name != "posix", reason="the fake is a script")
def test_openface_that_fails_is_heard(
    tmp_path: Path, openface: OpenFaceBinary, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"(?s)sub01/EP01.*exit code 1: models not found"):
        openface.extract(sized(tmp_path / "clip", 10, 13))
    monkeypatch.chdir(tmp_path)
    assert OpenFaceBinary(Path("FeatureExtraction"), "2.2.0").version == openface.version
    with pytest.raises(InputError, match="none that can be started"):
        _ = OpenFaceBinary(tmp_path / "nothing").version


# every format that frames come in


def test_bitmaps_of_smic_are_seen(tmp_path: Path, model: Path, embedded: EmbeddedExtractor) -> None:
    face = align_photo(default_pool() / list_photos(default_pool())[0], model, CropOptions(256))
    acted = actors(face, make_generator("muscle"))
    made = write_fake(corpus_named("smic"), tmp_path / "smic", acted, encode_image, subjects=2)
    clips = read("smic", made.path).clips[:2]
    assert {frame.suffix for clip in clips for frame in clip.frames} == {".bmp"}
    for track in extract_clips(clips, embedded, tmp_path / "parts", executor=InProcess()):
        assert track.success.all()
        assert track.aus.max() > 0.1


def test_clips_have_the_frames_that_can_be_read() -> None:
    names = [f"1{suffix}" for suffix in (*FRAME_SUFFIXES, ".gif", ".mp4", ".csv", ".zip")]
    assert {Path(name).suffix for name in names if IMAGE.fullmatch(name)} == FRAME_SUFFIXES


# The round trip: clips of corpora with known AUs → extractor → pool → source


def course(apex: AUArray, values: list[float]) -> list[AUArray]:
    return [(apex * np.float32(v)).astype(np.float32) for v in values]


def rendered_clip(
    folder: Path, model: Path, corpus: str, name: str, of: tuple[str, Label, AUArray], values: list[float],
    onset: int | None, apex: int | None, offset: int | None,
) -> Clip:  # fmt: skip
    emotion, label, aus = of
    folder = folder / corpus / name
    folder.mkdir(parents=True)
    paths = []
    for i, frame in enumerate(rendered(model, *course(aus, values))):
        paths.append(folder / f"img{i}.png")
        PillowImage.fromarray(frame).save(paths[-1])
    kind = "macro" if corpus == "ckplus" else "micro"
    return Clip(corpus, "s01", name, emotion, label, onset, apex, offset, (), tuple(paths), kind)


def test_known_aus_survive_extraction_pool_and_source(tmp_path: Path, model: Path, embedded: EmbeddedExtractor) -> None:
    happy = ("happiness", Label.positive, SMILE)
    angry = ("anger", Label.negative, FROWN)
    astonished = ("surprise", Label.surprise, BROWS)
    micro = [0, 0, 0.5, 1, 0.5, 0]
    clips = [
        rendered_clip(tmp_path, model, "casme2", "EP01", happy, micro, 1, 3, 5),
        rendered_clip(tmp_path, model, "samm", "006_1_2", angry, micro, 1, 3, 5),
        rendered_clip(tmp_path, model, "smic", "s01_sur_01", astonished, micro, 1, None, 5),  # no apex annotated
        rendered_clip(tmp_path, model, "ckplus", "001", happy, [0, 0.6, 1.2, 1.8, 2.4, 3], None, 5, None),
    ]
    tracks = extract_clips(clips, embedded, tmp_path / "parts", executor=InProcess())
    pool = make_pool(clips, {track.clip: track for track in tracks})
    micros = make_pool(clips[:3], {track.clip: track for track in tracks})
    real = RealMiESource((micros,))
    for label, known, frames in (
        (Label.positive, SMILE, (1, 3)),
        (Label.negative, FROWN, (1, 3)),
        (Label.surprise, BROWS, (1, 3)),
    ):
        drawn = real.sample(label, rng=np.random.default_rng(0))
        assert drawn.frames == frames
        np.testing.assert_allclose(drawn.onset, 0, atol=0.02)
        np.testing.assert_allclose(drawn.apex, known, atol=0.08)
    macros = make_pool(clips[3:], {track.clip: track for track in tracks})
    early: AUSource = EarlyMaESource((macros,))
    for seed in range(10):  # ⌊0.3 · 6⌋ … ⌊0.5 · 6⌋
        drawn = early.sample(Label.positive, rng=np.random.default_rng(seed))
        assert drawn.frames is not None
        assert drawn.frames in {(0, 1), (0, 2), (0, 3)}
        np.testing.assert_allclose(drawn.apex, SMILE * 0.6 * drawn.frames[1], atol=0.1)
    assert len(pool.clips) == 4
