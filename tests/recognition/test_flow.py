"""Flow of pairs and its maps, against known motion and the stated convention."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import miex.dataset
from miex.aus.vector import from_mapping
from miex.errors import UsageError, one_of
from miex.executors.local import LocalProcesses
from miex.faces.align import align_photo
from miex.faces.crop import CropOptions
from miex.faces.photos import default_pool, list_photos
from miex.generators.registry import make_generator
from miex.images import Image, gray
from miex.recognition.flow_file import flow_set, write_flow_set
from miex.recognition.inputs.crops import flow_crop
from miex.recognition.inputs.flow import METHODS, FlowMethod, flow_map, optical_flow, strain
from miex.recognition.places import of_set
from miex.synthesis.preview import preview
from tests.support import command, facts


def texture() -> Image:
    noise = np.random.default_rng(0).normal(size=(170, 140)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.clip(128 + 200 * smooth, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shift", [(1.0, 0.0), (0.0, -1.0), (-1.5, 0.5)])
def test_known_shift_is_found(method: FlowMethod, shift: tuple[float, float]) -> None:
    still = texture()
    affine = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    moved = cv2.warpAffine(still, affine, (140, 170), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    found = np.median(optical_flow(still, moved, method)[30:-30, 30:-30].reshape(-1, 2), axis=0)
    assert found == pytest.approx(shift, abs=0.2)


def test_strain_of_linear_flows_is_their_formula() -> None:
    y, x = np.mgrid[0:20, 0:30].astype(np.float32)
    stretch = strain(np.stack([0.3 * x, 0.4 * y], -1))
    assert stretch == pytest.approx(0.5, abs=1e-5)  # √(0.3² + 0.4²)
    shear = strain(np.stack([0.2 * y, 0 * x], -1))
    assert shear == pytest.approx(0.2 / np.sqrt(2), abs=1e-5)
    turn = strain(np.stack([-0.1 * y, 0.1 * x], -1))  # a rotation has no strain
    assert turn == pytest.approx(0, abs=1e-5)


def test_map_is_stretched_channel_by_channel() -> None:
    flow = np.random.default_rng(0).normal(size=(170, 140, 2)).astype(np.float32)
    made = flow_map(flow)
    assert made.shape == (28, 28, 3)
    assert made.dtype == np.uint8
    assert made.min((0, 1)).tolist() == [0, 0, 0]
    assert made.max((0, 1)).tolist() == [255, 255, 255]
    assert np.array_equal(flow_map(flow * (7, 0.3))[..., :2], made[..., :2])  # amplitude is lost
    assert not flow_map(np.zeros((170, 140, 2), np.float32)).any()


@pytest.mark.parametrize(
    ("aus", "rows", "channel", "sign"),
    [
        ({1: 0.3, 2: 0.3}, slice(2, 8), 1, -1),  # brows up
        ({4: 0.3}, slice(2, 8), 1, 1),  # brows down
        ({12: 0.3}, slice(17, 22), 1, -1),  # mouth corners up
        ({15: 0.3}, slice(17, 22), 1, 1),  # mouth corners down
    ],
)
def test_rendered_aus_flow_where_and_how_they_should(
    model: Path, aus: dict[int, float], rows: slice, channel: int, sign: int
) -> None:
    options = CropOptions()
    face = align_photo(default_pool() / list_photos(default_pool())[0], model, options)
    made = preview(face, from_mapping(aus), make_generator("muscle"))
    onset, apex = (flow_crop(0).cut(gray(frame), options) for frame in (made.onset, made.apex))
    seen = flow_map(optical_flow(onset, apex))[..., channel].astype(float)
    seen -= np.median(seen)
    area = seen[rows]
    assert sign * area.mean() > 5
    assert sign * area.flat[np.abs(area).argmax()] > 60


def test_set_of_maps_depends_on_ids_and_seed_alone(finished: Path, tmp_path: Path) -> None:
    dataset = miex.dataset.open(finished)
    made = flow_set(of_set(dataset))
    assert made["flow"].shape == (36, 28, 28, 3)
    assert made["label"].dtype == np.int64
    assert made["label"].tolist() == dataset.table["label"].to_pylist()
    assert made["sample_id"].tolist() == dataset.table["sample_id"].to_pylist()
    part = flow_set(of_set(dataset.select(label="surprise")), executor=LocalProcesses(2))
    assert np.array_equal(part["flow"], made["flow"][made["label"] == 2])
    assert not np.array_equal(flow_set(of_set(dataset[:3]), seed=1)["flow"], made["flow"][:3])
    for name in "ab":
        write_flow_set(made, tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as again:
        assert np.array_equal(again["flow"], made["flow"])
        assert again["sample_id"].tolist() == made["sample_id"].tolist()


def test_command(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps.npz"
    assert facts("export", finished, "--to", "flow", "--out", out) == {"out": str(out), "samples": 36, "skipped": []}
    with np.load(out, allow_pickle=False) as maps:
        assert maps["flow"].dtype == np.uint8
    for wrong in (["--flow", "magic", "--out", out], ["--out", tmp_path / "maps.txt"], ["--to", "video", "--out", out]):
        done = command("export", finished, *wrong)
        assert done.returncode == 2
        assert "expected: " in done.stderr
    with pytest.raises(UsageError, match="dis, tvl1, farneback"):
        one_of("magic", METHODS, "flow")


def test_real_maps_follow_the_convention_that_ours_do(finished: Path) -> None:
    """Like the real maps, where they are available: the same types, and every channel stretched to the full range."""
    path = Path(__file__).parents[3] / "shared" / "real-flow" / "casme2-smic.npz"
    if not path.is_file():
        pytest.skip(f"no {path}: lent for evaluation, never shipped")
    with np.load(path, allow_pickle=False) as real:
        ours = flow_set(of_set(miex.dataset.open(finished)))
        for name in ("flow", "label"):
            assert ours[name].dtype == real[name].dtype
            assert ours[name].shape[1:] == real[name].shape[1:]
        for maps in (ours["flow"], real["flow"]):
            assert (maps.min((1, 2)) == 0).all()
            assert (maps.max((1, 2)) == 255).all()
