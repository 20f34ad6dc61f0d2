"""The recognizer that comes with miex: what OpenCV reads is what torch would, and its files are what was made."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from miex.api.recognizer_card import RecognizerCard
from miex.errors import DamagedError, InputError
from miex.recognition.default_recognizer import CARD, FOLDER, NETWORK, DefaultRecognizer, load_default
from miex.recognition.inputs.flow import FlowMaps, mirrored, standardized
from miex.recognition.view import LABELS

PAGE = Path(__file__).parents[2] / "docs" / "recognizer.md"


@pytest.fixture(scope="module")
def made() -> DefaultRecognizer:
    return load_default()


@pytest.fixture(scope="module")
def maps() -> npt.NDArray[np.uint8]:
    """Random maps, some of few values, some with a constant channel."""
    rng = np.random.default_rng(0)
    found = rng.integers(0, 256, (64, 28, 28, 3), np.uint8)
    found[:16] = found[:16] // 64 * 64
    found[16:24, ..., 1] = 7
    found[24:40] = np.clip(rng.normal(128, 10, (16, 28, 28, 3)), 0, 255)
    return found


# a reader of ONNX that knows nothing but where weights stand (onnx.proto: ModelProto.graph is field 7,
# GraphProto.initializer 5; TensorProto.dims 1, name 8, raw_data 9)


def fields(content: bytes) -> Iterator[tuple[int, bytes | int]]:
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte, at = content[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(content):
        key = number()
        value = number()
        if key & 7 == 2:
            at += value
            yield key >> 3, content[at - value : at]
        else:
            assert key & 7 == 0
            yield key >> 3, value


def weights(content: bytes) -> dict[str, npt.NDArray[np.float32]]:
    (graph,) = (value for field, value in fields(content) if field == 7)
    assert isinstance(graph, bytes)
    found = {}
    for tensor in (value for field, value in fields(graph) if field == 5):
        assert isinstance(tensor, bytes)
        parts = list(fields(tensor))
        (name,) = (value for field, value in parts if field == 8)
        (raw,) = (value for field, value in parts if field == 9)
        assert isinstance(name, bytes)
        assert isinstance(raw, bytes)
        dims = [value for field, value in parts if field == 1]
        kind = np.float32 if name != b"form" else np.int64
        found[name.decode()] = np.frombuffer(raw, kind).reshape(dims)
    return found


def test_opencv_reads_what_torch_would(made: DefaultRecognizer, maps: npt.NDArray[np.uint8]) -> None:
    torch = pytest.importorskip("torch")
    from miex.recognition.networks.ststnet import STREAMS, STSTNet
    from miex.recognition.recipe import load_recipe
    from miex.recognition.recognizer import probabilities

    held, n = weights((FOLDER / NETWORK).read_bytes()), sum(STREAMS)
    networks = len(held["kernels"]) // n
    assert networks == made.card["networks"]
    each = []
    for k in range(networks):
        network, ends = STSTNet(), np.cumsum([0, *STREAMS])
        mine = {
            name: array.reshape(networks, -1, *array.shape[1:])[k] for name, array in held.items() if name != "form"
        }
        state = {
            f"streams.{i}.{name}": mine[array][ends[i] : ends[i + 1]]
            for i in range(len(STREAMS)) for name, array in (("weight", "kernels"), ("bias", "offsets"))
        }  # fmt: skip
        names = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "variance"}
        state |= {f"norm.{name}": mine[array] for name, array in names.items()}
        state |= {"classifier.weight": mine["classifier"].reshape(3, -1), "classifier.bias": mine["bias"]}
        left = network.load_state_dict({key: torch.tensor(value.copy()) for key, value in state.items()}, strict=False)
        assert not left.unexpected_keys
        assert set(left.missing_keys) <= {"norm.num_batches_tracked"}
        each.append(probabilities(network, [maps], load_recipe("fixed")))
    assert np.abs(np.mean(each, axis=0) - made.probabilities(maps)).max() < 1e-5
    assert np.abs(each[0] - each[1]).max() > 1e-3  # one alone is another


def test_maps_are_prepared_as_for_training(maps: npt.NDArray[np.uint8]) -> None:
    torch = pytest.importorskip("torch")
    for given in (maps, maps[:, :9, :9], maps[:0]):  # an even number of values, an odd one, none
        takes = FlowMaps()
        prepared = takes.prepare(torch.from_numpy(np.ascontiguousarray(given)))
        ours = standardized(given)
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, prepared.numpy(), atol=1e-5)
        np.testing.assert_array_equal(mirrored(ours), takes.mirror(torch.from_numpy(ours)).numpy())


def test_probabilities_depend_on_each_map_alone(made: DefaultRecognizer, maps: npt.NDArray[np.uint8]) -> None:
    found = made.probabilities(maps)
    assert found.shape == (64, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    alone = np.concatenate([made.probabilities(one[None]) for one in maps])
    np.testing.assert_allclose(found, alone, atol=1e-6)
    many = made.probabilities(np.tile(maps, (17, 1, 1, 1)))  # more than are seen at once
    np.testing.assert_allclose(many[-64:], found, atol=1e-6)
    assert made.probabilities(maps[:0]).shape == (0, 3)
    # the classes know no side: the map of mirrored frames, whose u goes the other way
    turned = maps[:, :, ::-1].copy()
    turned[..., 0] = 255 - turned[..., 0]
    np.testing.assert_allclose(made.probabilities(turned[40:]), found[40:], atol=2e-2)
    for wrong in (maps.astype(np.float32), maps[..., :2], maps[:, :14]):
        with pytest.raises(InputError, match=r"uint8 \[n, 28, 28, 3\]"):
            made.probabilities(wrong)


def test_the_card_is_of_this_version(made: DefaultRecognizer) -> None:
    """Where this fails, flow maps are no longer what the networks were trained on: `python -m tools.recognizer`."""
    takes = made.takes
    assert made.card["input"] == {**takes.described(), "version": takes.version}
    assert takes == FlowMaps()
    assert made.label_names == LABELS
    from miex.recognition.recipe import load_recipe

    recipe = load_recipe(made.card["recipe"]["name"])
    assert recipe.digest == made.card["recipe"]["digest"]
    assert (recipe.takes, recipe.mirror_test) == (takes, True)
    assert (FOLDER / NETWORK).stat().st_size == made.card["bytes"] < 50_000


def test_the_card_says_what_it_must_not_be_used_for(made: DefaultRecognizer) -> None:
    card = RecognizerCard(made.card)
    assert card.markdown() == PAGE.read_text()
    page = " ".join(PAGE.read_text().split())
    for word in ("lies", "screening", "diagnosis", "not what anybody feels", "from the front", "at rest"):
        assert word in page
    for seen in made.card["measured"].values():
        counts = np.array(seen["confusion"])
        assert counts.sum() == seen["n"] == seen["parts"]["all"]["n"]
        recall = np.diag(counts) / counts.sum(1)
        assert seen["uar"] == pytest.approx(recall.mean(), abs=1e-3)
        f1 = 2 * np.diag(counts) / (counts.sum(0) + counts.sum(1))
        assert seen["uf1"] == pytest.approx(f1.mean(), abs=1e-3)
    # shares of one row, each rounded to four digits
    assert all(sum(row["refused"].values()) <= 1 + 5e-4 for row in card.facts["refuses"])


@pytest.mark.parametrize("name", [NETWORK, CARD])
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "default")
    file = tmp_path / "default" / name
    whole = file.read_bytes()
    assert load_default(tmp_path / "default").card == load_default().card
    card = json.loads((FOLDER / CARD).read_text())
    changed = json.dumps({**card, "limits": {"turn": 90, "shift": 9}}).encode()
    for content in (whole[:-9], whole[:100] + bytes([whole[100] ^ 1]) + whole[101:], b"", changed):
        file.write_bytes(content)
        with pytest.raises(DamagedError, match=r"comes with miex(.|\n)*install miex again"):
            load_default(tmp_path / "default")
    file.unlink()
    with pytest.raises(DamagedError, match="No such file"):
        load_default(tmp_path / "default")


def test_the_tool_writes_what_it_is_given(tmp_path: Path, maps: npt.NDArray[np.uint8]) -> None:
    pytest.importorskip("onnx")
    torch = pytest.importorskip("torch")
    from tools import recognizer as tool

    from miex.recognition.method import make_method
    from miex.recognition.recipe import load_recipe
    from miex.recognition.recognizer import Recognizer

    recipe = load_recipe("fixed")
    torch.manual_seed(0)
    networks = [Recognizer(make_method(recipe, 3).eval(), recipe) for _ in range(2)]
    written = tool.write(networks, {"measured": {}}, tmp_path)
    assert tool.disagreement(networks, written, maps) < 1e-5
    assert tool.disagreement(networks[:1], written, maps) > 1e-3
    assert tool.as_onnx(networks) == (tmp_path / NETWORK).read_bytes()


def test_a_wheel_holds_both_files() -> None:
    """Hatchling takes what lies in the package and git does not ignore."""
    root = Path(__file__).parents[2]
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("no clone")
    packages = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert packages == {"packages": ["src/miex"]}
    files = [str(root / "src" / "miex" / "recognition" / "default" / name) for name in (NETWORK, CARD)]
    assert subprocess.run(["git", "-C", str(root), "check-ignore", *files], check=False).returncode == 1
    tracked = subprocess.run(["git", "-C", str(root), "ls-files", *files], capture_output=True, text=True, check=True)
    assert len(tracked.stdout.splitlines()) == 2
