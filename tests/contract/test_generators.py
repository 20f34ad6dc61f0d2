"""What every generator promises, asked of each that is known by name, and of a painter that only the tests know."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from miex.aus.vector import AU_NUMBERS, N_AUS, from_mapping, parse
from miex.dataset import open as open_set
from miex.dataset.plan_file import read_plan
from miex.dataset.samples import read_samples
from miex.dataset.verify import verify
from miex.errors import InputError, UsageError
from miex.executors.base import IN_PROCESS
from miex.faces.crop import AlignedFace, CropOptions, align, place_crop
from miex.faces.photos import default_pool
from miex.generators.base import Generator, Rendered
from miex.generators.grid import GRID, Field, cell_centers
from miex.generators.registry import GENERATORS, describe, generator_of, make_generator
from miex.generators.weights import VARIABLE
from miex.images import gray
from miex.quality.audit import audit_set
from miex.report.build import write_report
from miex.synthesis import render as rendering
from miex.synthesis.adopt import adopt_plan
from miex.synthesis.preview import preview
from miex.synthesis.run import run_plan
from tests.contract.painter import Painter
from tests.support import command, plan_of

SIZE = 128
ROOT = Path(__file__).resolve().parents[2]
NEEDS_TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="no torch")
EVERY = [
    *(pytest.param(name, marks=NEEDS_TORCH if name == "ganimation" else ()) for name in GENERATORS), "painter",
]  # fmt: skip


# with their default options, and with others
CHOSEN = [
    pytest.param(("muscle", {}), id="muscle"),
    pytest.param(("muscle", {"basis": "mixed"}), id="muscle-mixed"),
    pytest.param(("ganimation", {}), marks=NEEDS_TORCH, id="ganimation"),
    pytest.param(("ganimation", {"precision": "bfloat16", "painted": 64}), marks=NEEDS_TORCH, id="ganimation-chosen"),
    pytest.param(("painter", {}), id="painter"),
]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Weights for those that need some; None without torch."""
    if find_spec("torch") is None:
        return None
    from tests.generators.ganimation_files import generator, named, write

    path = tmp_path_factory.mktemp("weights") / "net_epoch_1_id_G.pth"
    return write(path, named(generator("original"), "original"))


@pytest.fixture(autouse=True)
def painter_is_known(checkpoint: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GENERATORS, "painter", lambda: Painter)
    if checkpoint is not None:
        monkeypatch.setenv(VARIABLE, str(checkpoint))


@pytest.fixture(params=CHOSEN)
def generator(request: pytest.FixtureRequest, painter_is_known: None) -> Generator[Any]:
    name, options = request.param
    return make_generator(name, options=options)


@pytest.fixture(scope="module")
def face(astronaut: np.ndarray, astronaut_mesh: np.ndarray) -> AlignedFace:
    return align(astronaut, astronaut_mesh, place_crop(astronaut_mesh, CropOptions(SIZE)), SIZE)


def expressions() -> np.ndarray:
    """Rest, each AU, and a few together, float32 [n, 17]."""
    together = [{4: 0.3, 12: 0.2}, {1: 0.4, 2: 0.4, 25: 0.3, 26: 0.5}, dict.fromkeys(AU_NUMBERS, 0.3)]
    mixed = np.stack([from_mapping(aus) for aus in ({}, *together)])
    return np.concatenate([mixed, np.eye(N_AUS, dtype=np.float32) * np.float32(0.4)])


def similarity_drift(n: int, matrix: np.ndarray) -> Field:
    line = cell_centers(SIZE, GRID).astype(np.float64)
    points = np.stack([*np.meshgrid(line, line), np.ones((GRID, GRID))], -1)
    return np.repeat((points @ matrix.T - points[..., :2]).astype(np.float32)[None], n, axis=0)


def head_moves() -> np.ndarray:
    return cv2.getRotationMatrix2D((SIZE / 2 - 0.5,) * 2, 1.5, 1.01) + np.array([[0, 0, 1.7], [0, 0, -1.2]])


def digest(rendered: Rendered) -> str:
    parts = [rendered.frames] + ([] if rendered.fields is None else [rendered.fields])
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def levels_apart(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b).max())


# what comes out


def test_frames_and_fields_are_what_is_declared(generator: Generator[Any], face: AlignedFace) -> None:
    aus = expressions()
    rendered = generator.render(generator.prepare(face), aus)
    assert rendered.frames.shape == (len(aus), SIZE, SIZE, 3)
    assert rendered.frames.dtype == np.uint8
    assert all(not np.array_equal(frame, rendered.frames[0]) for frame in rendered.frames[1:])
    if not generator.fields:
        assert rendered.fields is None
        return
    assert rendered.fields is not None
    assert rendered.fields.shape == (len(aus), GRID, GRID, 2)
    assert rendered.fields.dtype == np.float32
    assert np.isfinite(rendered.fields).all()
    assert not rendered.fields[0].any()
    assert rendered.fields[1:].any((1, 2, 3)).all()


def test_at_rest_a_face_is_itself(generator: Generator[Any], face: AlignedFace) -> None:
    rig = generator.prepare(face)
    (rest,) = generator.render(rig, np.zeros((1, N_AUS), np.float32)).frames
    assert np.array_equal(rest, face.crop) == generator.exact_rest
    assert np.abs(rest.astype(int) - face.crop).mean() < 4  # whoever repaints it knows it again


def test_frames_go_where_the_fields_say(generator: Generator[Any], face: AlignedFace) -> None:
    if not generator.fields:
        pytest.skip("knows no fields")
    aus = np.stack([from_mapping(z) for z in ({}, {12: 0.7}, {1: 0.7, 2: 0.7}, {4: 0.7}, {17: 0.7}, {9: 0.7})])
    rendered = generator.render(generator.prepare(face), aus)
    assert rendered.fields is not None
    rest, *moved = (gray(frame) for frame in rendered.frames)
    for frame, field in zip(moved, rendered.fields[1:], strict=True):
        seen = cv2.calcOpticalFlowFarneback(rest, frame, None, 0.5, 3, 9, 5, 7, 1.5, 0)
        seen = cv2.resize(seen, (GRID, GRID), interpolation=cv2.INTER_LINEAR)
        moves = np.linalg.norm(field, axis=-1) > 0.5
        assert moves.sum() > 50
        told, found = field[moves], seen[moves]
        assert (told * found).sum() / np.sqrt((told**2).sum() * (found**2).sum()) > 0.75
        assert 0.4 < (told * found).sum() / (told**2).sum() < 1.4


# the same again


def test_the_same_input_gives_the_same_bits(generator: Generator[Any], face: AlignedFace, tmp_path: Path) -> None:
    aus, drift = expressions(), similarity_drift(21, head_moves())
    rig = generator.prepare(face)
    found = digest(generator.render(rig, aus, drift))
    assert digest(generator.render(rig, aus, drift)) == found
    assert digest(generator.render(generator.prepare(face), aus, drift)) == found
    np.savez(tmp_path / "face.npz", samples=face.samples, landmarks=face.landmarks, aus=aus, drift=drift)
    code = f"""
import numpy as np
from tests.contract.test_generators import *
GENERATORS["painter"] = lambda: Painter
given = np.load({str(tmp_path / "face.npz")!r})
face = AlignedFace(given["samples"], SIZE, given["landmarks"])
generator = generator_of({describe(generator)!r})
print(digest(generator.render(generator.prepare(face), given["aus"], given["drift"])))
"""
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert again.stdout.strip() == found


def test_a_frame_is_hardly_changed_by_those_beside_it(generator: Generator[Any], face: AlignedFace) -> None:
    rig, aus, drift = generator.prepare(face), expressions(), similarity_drift(21, head_moves())
    for moved in (None, drift) if generator.batch_tolerance == 0 else (None,):
        together = generator.render(rig, aus, moved)
        alone = [generator.render(rig, aus[i : i + 1], None if moved is None else moved[:1]) for i in range(len(aus))]
        assert levels_apart(together.frames, np.concatenate([one.frames for one in alone])) <= generator.batch_tolerance
        if together.fields is not None:
            assert np.array_equal(together.fields, np.concatenate([one.fields for one in alone]))


def test_order_does_not_matter(generator: Generator[Any], face: AlignedFace) -> None:
    rig, aus = generator.prepare(face), expressions()
    drift = similarity_drift(21, head_moves()) * np.linspace(0, 1, 21, dtype=np.float32)[:, None, None, None]
    order = np.random.default_rng(3).permutation(len(aus))
    there = generator.render(rig, aus, drift).frames
    again = generator.render(rig, aus[order], drift[order]).frames
    assert levels_apart(again, there[order]) <= generator.batch_tolerance


def test_inputs_are_not_changed(generator: Generator[Any], face: AlignedFace) -> None:
    aus, drift = expressions(), similarity_drift(21, head_moves())
    given = [face.samples, face.landmarks, aus, drift]
    kept = [array.copy() for array in given]
    generator.render(generator.prepare(face), aus, drift)
    assert all(map(np.array_equal, given, kept))


def test_settings_are_json_and_make_the_same_generator(generator: Generator[Any], face: AlignedFace) -> None:
    told = json.loads(json.dumps(describe(generator), allow_nan=False))
    again = generator_of(told)
    assert describe(again) == describe(generator) == told
    aus = expressions()[:3]
    frames = [one.render(one.prepare(face), aus).frames for one in (generator, again)]
    assert np.array_equal(*frames)


@pytest.mark.parametrize("change", [{"version": 999}, {"settings": {"magic": True}}])
def test_what_another_generator_made_is_refused(generator: Generator[Any], change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        generator_of(describe(generator) | change)


# what it is asked for


def test_sides_move_apart_or_are_refused(generator: Generator[Any], face: AlignedFace) -> None:
    rig = generator.prepare(face)
    left, right, both = (parse(text.split())[None] for text in ("L12=.4", "R12=.4", "12=.4"))
    same = generator.render(rig, both).frames
    assert np.array_equal(same, generator.render(rig, from_mapping({12: 0.4})[None]).frames)
    if not generator.sides:
        for uneven in (left, np.concatenate([both, right])):
            with pytest.raises(UsageError, match=generator.name) as caught:
                generator.render(rig, uneven)
            assert "what to do" in str(caught.value)
        return
    (at_left,), (at_right,) = (generator.render(rig, z).frames.astype(int) for z in (left, right))
    middle = round(float(face.landmarks[[168, 2, 17, 152], 0].mean()))
    changed = [np.abs(frame - face.crop).sum((0, 2)) for frame in (at_left, at_right)]
    assert changed[0][middle:].sum() > 0.8 * changed[0].sum()  # the person's left is right in the picture
    assert changed[1][:middle].sum() > 0.8 * changed[1].sum()


def test_drift_moves_all_that_is_seen(generator: Generator[Any], face: AlignedFace) -> None:
    """Against OpenCV's warp of the frames without drift."""
    rig, matrix = generator.prepare(face), head_moves()
    aus = np.stack([from_mapping(z) for z in ({}, {12: 0.3, 4: 0.3})])
    still = generator.render(rig, aus)
    drifted = generator.render(rig, aus, similarity_drift(2, matrix))
    for frame, moved in zip(still.frames, drifted.frames, strict=True):
        expected = cv2.warpAffine(frame, matrix, (SIZE, SIZE), flags=cv2.INTER_LANCZOS4).astype(int)
        inner = np.s_[8:-8, 8:-8]
        miss, unmoved = (np.abs(seen[inner] - expected[inner]).mean() for seen in (moved, frame))
        assert miss < 0.3 * unmoved
    assert (still.fields is None) == (drifted.fields is None)
    if still.fields is not None and drifted.fields is not None:
        assert np.array_equal(still.fields, drifted.fields)  # of the AUs alone


def test_no_drift_is_a_drift_of_nothing(generator: Generator[Any], face: AlignedFace) -> None:
    rig, aus = generator.prepare(face), expressions()
    nothing = np.zeros((len(aus), GRID, GRID, 2), np.float32)
    assert np.array_equal(generator.render(rig, aus).frames, generator.render(rig, aus, nothing).frames)


# weights


class Weighted(Painter):
    """A painter whose ink lies in a file, named by its sha256."""

    name = "weighted"

    def __init__(self, file: Path) -> None:
        self.sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        super().__init__(float(file.read_text()))

    @classmethod
    def from_settings(cls, settings: Any, *, find: Any) -> Weighted:
        return cls(find(settings["weights"]))

    @property
    def settings(self) -> dict[str, Any]:
        return {"weights": self.sha256}


def test_weights_are_found_by_their_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face: AlignedFace) -> None:
    monkeypatch.setitem(GENERATORS, "weighted", lambda: Weighted)
    file = tmp_path / "ink.txt"
    file.write_text("30")
    told = describe(Weighted(file))
    assert str(tmp_path) not in json.dumps(told)
    found = generator_of(told, find={told["settings"]["weights"]: file}.__getitem__)
    assert isinstance(found, Weighted)
    assert found.ink == 30
    with pytest.raises(InputError, match=told["settings"]["weights"]):
        generator_of(told)


def test_names_are_listed_when_one_is_unknown() -> None:
    with pytest.raises(UsageError, match="one of muscle, ganimation, painter"):
        make_generator("magic")


# from the plan to the report


def made(out: Path, model: Path, generator: str, chosen: dict[str, Any] | None = None, **config: Any) -> Path:
    options = {"ids": 2, "size": 96, "per": 2, **config}
    adopt_plan(plan_of(default_pool(), model, generator=generator, chosen=chosen, **options), out)
    run_plan(out)
    return out


def stored(out: Path) -> dict[str, tuple[bytes, ...]]:
    dataset = open_set(out)
    return {sample_id: dataset.stored(i).frames for i, sample_id in enumerate(dataset.table["sample_id"].to_pylist())}


@pytest.fixture(params=CHOSEN)
def finished_set(
    request: pytest.FixtureRequest, painter_is_known: None, model: Path, tmp_path: Path
) -> tuple[Generator[Any], Path]:
    name, options = request.param
    generator = make_generator(name, options=options)
    return generator, made(tmp_path / "set", model, name, chosen=options)


def test_a_set_is_made_checked_and_measured(
    finished_set: tuple[Generator[Any], Path], model: Path, sface_model: Path
) -> None:
    generator, out = finished_set
    assert verify(out).problems == ()
    samples = read_samples(out)
    assert set(samples["status"].to_pylist()) == {"ok"}
    assert set(samples["motion_from"].to_pylist()) == {"field" if generator.fields else "flow"}
    assert min(samples["motion_p95_px"].to_pylist()) > 0
    found = audit_set(out, n=4, model=model, sface=sface_model, executor=IN_PROCESS)
    assert found.n == 4
    assert found.outside is not None
    assert found.outside.still > 0.2
    assert (found.outside.unchanged == 4) == generator.exact_rest
    assert list(found.identity) == ["SFace", "shape"]
    assert found.identity["SFace"].own_apex == 1
    assert found.sharpness is not None
    assert found.moved is not None
    assert min(found.sharpness.onset.min(), found.sharpness.apex.min()) > 0.3
    assert len(found.moved.asked) == 4
    assert found.moved.asked.min() > 0
    write_report(out, n=4, audit=found)
    readme = (out / "README.md").read_text("utf-8")
    assert ("Motion is the generator's own" in readme) == generator.fields
    assert ("Motion is the optical flow" in readme) == (not generator.fields)


def test_shards_change_no_bit_of_a_sample(
    finished_set: tuple[Generator[Any], Path], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, out = finished_set
    chosen = {name: generator.settings[name] for name in generator.options}
    expected = stored(out)
    assert len(expected) == 12
    # borders within an identity, and calls of a row or two
    assert stored(made(tmp_path / "small", model, generator.name, chosen, shard_size=5)) == expected
    monkeypatch.setattr(rendering, "PIXELS_PER_CALL", 5 * 96**2)
    assert stored(made(tmp_path / "calls", model, generator.name, chosen)) == expected


def test_an_uneven_face_is_refused_before_any_work(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"asymmetry.*painter"):
        made(tmp_path / "set", model, "painter", nuisances="all")
    done = command("plan", "--generator", "painter", "--nuisances", "all", "--out", tmp_path / "other")
    assert done.returncode == UsageError.exit_code
    assert "nuisances all" in done.stderr
    assert not (tmp_path / "other").exists()
    assert verify(made(tmp_path / "even", model, "painter", ids=1, nuisances="all:head,noise,blink")).problems == ()


def test_one_odd_row_is_the_only_one_that_fails(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = made(tmp_path / "set", model, "muscle", nuisances="off")
    expected = stored(out)
    rows = read_plan(out).rows.to_pylist()
    odd = rows[4]
    muscle = GENERATORS["muscle"]()
    inner = muscle._render

    def fragile(self: Any, rig: Any, aus: np.ndarray, drift: Any) -> Rendered:
        if any(np.array_equal(z[:, 0], odd["aus"][1]) for z in aus):
            raise ArithmeticError("does not like this smile")
        return inner(self, rig, aus, drift)

    monkeypatch.setattr(muscle, "_render", fragile)
    again = tmp_path / "again"
    adopt_plan(read_plan(out), again)
    run_plan(again, max_failed=0.5)
    failed = {row["sample_id"]: row["reason"] for row in read_samples(again).to_pylist() if row["status"] == "failed"}
    assert failed == {odd["sample_id"]: "ArithmeticError: does not like this smile"}
    assert stored(again) == {key: frames for key, frames in expected.items() if key != odd["sample_id"]}


@pytest.mark.parametrize("name", EVERY)
def test_calls_are_as_large_as_a_generator_can_bear(
    name: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = GENERATORS[name]()
    inner, calls = kind._render, []

    def counted(self: Any, rig: Any, aus: np.ndarray, drift: Any) -> Rendered:
        calls.append(len(aus))
        return inner(self, rig, aus, drift)

    monkeypatch.setattr(kind, "_render", counted)
    made(tmp_path / "set", model, name, ids=1, per=30, size=64, frames=7, until="offset", classes=("surprise",))
    estimate = 2 * 12  # rows rendered before, to know what a run takes
    if kind.batch_tolerance:
        assert set(calls) == {7}
    else:
        assert max(calls) == 210  # 30 rows, of which a call holds 36
        monkeypatch.setattr(rendering, "PIXELS_PER_CALL", 30 * 64**2)
        calls.clear()
        made(tmp_path / "less", model, name, ids=1, per=30, size=64, frames=7, until="offset", classes=("surprise",))
        assert max(calls) == 28
        assert sum(calls) == (30 + estimate) * 7


@pytest.mark.parametrize("name", EVERY)
def test_a_face_is_moved_by_hand(name: str, face: AlignedFace) -> None:
    generator = make_generator(name)
    found = preview(face, parse(["12=.3"]), generator)
    assert found.measures.motion_from == ("field" if generator.fields else "flow")
    assert found.measures.motion_p95_px > 0
    assert not found.measures.identical
