"""Stored recognizers: they predict the same when loaded, every bit is checked, and no code in a file is run."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from miex.errors import InputError  # noqa: E402
from miex.recognition.method import make_method  # noqa: E402
from miex.recognition.recognizer import MODEL, Recognizer, load_recognizer  # noqa: E402
from miex.recognition.train import train  # noqa: E402
from miex.storage.weights import read_weights, weights_digest, write_weights  # noqa: E402
from tests.recognition.planted import QUICK, planted  # noqa: E402

DATA = planted(6, seed=1)
RECIPE = QUICK.model_dump(mode="json")


@pytest.fixture(scope="module")
def made() -> Recognizer:
    return train(planted(), QUICK.but(samples_seen=640, method="tvl1"))


@pytest.fixture
def path(made: Recognizer, tmp_path: Path) -> Path:
    made.save(tmp_path / MODEL)
    return tmp_path / MODEL


def parts(path: Path) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header of miex, entries of tensors, and the bytes after them, by the published layout of safetensors."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    entries = json.loads(content[8:end])
    return json.loads(entries.pop("__metadata__")["header"]), entries, content[end:]


def forge(path: Path, header: dict[str, Any], tensors: dict[str, Any]) -> None:
    """A file whose digests are right, whatever it holds; computed by numpy."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].numpy()
        digest.update(json.dumps([name, value.dtype.name, list(value.shape)], separators=(",", ":")).encode())
        digest.update(value.tobytes())
    facts = {**header, "weights_digest": digest.hexdigest()}
    facts.pop("header_digest", None)
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    facts["header_digest"] = hashlib.sha256(text.encode()).hexdigest()
    save_file(tensors, path, {"header": json.dumps(facts)})


def same(a: Recognizer, b: Recognizer) -> bool:
    facts = ("recipe", "label_names", "history", "weights_digest")
    said = [one.probabilities(DATA.batch()) for one in (a, b)]
    return all(getattr(a, name) == getattr(b, name) for name in facts) and np.array_equal(*said)


@pytest.mark.parametrize("name", ["ststnet", "off-apexnet", "flow-resnet18", "hoof"])
def test_stored_and_loaded_it_says_the_same(name: str, tmp_path: Path) -> None:
    history = {"loss": 0.1 + 0.2, "origins": [["real", "casmé", None]]}
    recipe = QUICK.but(recognizer=name, method="tvl1")
    made = Recognizer(make_method(recipe, 3).eval(), recipe, ("no", "é", "名"), history)
    made.save(tmp_path / MODEL)
    before = torch.get_rng_state()
    again = load_recognizer(tmp_path / MODEL)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(again, made)
    assert same(load_recognizer(tmp_path), made)  # by its folder
    assert not again.method.training
    assert all(weight.requires_grad for weight in again.method.parameters())


def test_the_same_recognizer_gives_the_same_bytes(made: Recognizer, path: Path) -> None:
    for i in range(5):
        (made if i % 2 else load_recognizer(path)).save(path.with_name(f"{i}"))
        assert path.with_name(f"{i}").read_bytes() == path.read_bytes()


def test_the_header_says_what_it_is(made: Recognizer, path: Path) -> None:
    header, entries, _ = parts(path)
    assert header["weights_digest"] == made.weights_digest
    assert (header["kind"], header["recipe"]["name"]) == ("recognizer", made.recipe.name)
    assert header["recipe"]["input"] == {
        "name": "flow", "side": 28, "method": "tvl1", "seed": 0, "normalize": "median_rms",
    }  # fmt: skip
    assert entries.keys() == made.method.state_dict().keys()
    forge(path.with_name("forged"), header, made.method.state_dict())  # the digests are what numpy finds
    assert same(load_recognizer(path.with_name("forged")), made)


def test_digests_do_not_depend_on_the_layout(made: Recognizer, path: Path) -> None:
    header, entries, data = parts(path)
    turned, moved = b"", {}
    for name, entry in reversed(entries.items()):
        a, b = entry["data_offsets"]
        moved[name] = {**entry, "data_offsets": [len(turned), len(turned) + b - a]}
        turned += data[a:b]
    text = json.dumps({**moved, "__metadata__": {"header": json.dumps(header, indent=1)}}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + turned)
    assert same(load_recognizer(path), made)


def test_weights_of_other_names_dtypes_shapes_or_values_have_another_digest() -> None:
    one = {"a": torch.zeros(2, 3), "b": torch.zeros(1)}
    others = [
        {"a": torch.zeros(2, 3), "c": torch.zeros(1)},
        {"a": torch.zeros(3, 2), "b": torch.zeros(1)},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.zeros(1)},
        {"a": -torch.zeros(2, 3), "b": torch.zeros(1)},
        {"a": torch.zeros(2, 3)},
    ]
    assert len({weights_digest(tensors) for tensors in (one, *others)}) == 6
    assert weights_digest(dict(reversed(one.items()))) == weights_digest(one)


def test_a_flipped_bit_is_seen(made: Recognizer, path: Path) -> None:
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused = []
    for position in np.linspace(0, len(whole) - 1, 200).astype(int):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            assert same(load_recognizer(path), made)
        except InputError as error:
            refused.append(error)
    assert len(refused) > 190  # blanks behind the header may turn into other blanks
    for error in refused:
        assert str(path) in error.asked
        assert error.expected
        assert error.found
        assert error.do


@pytest.mark.parametrize(("place", "expected"), [(b"quick", "a header of sha256"), (-2, "weights of sha256")])
def test_damage_is_told_with_both_digests(path: Path, place: bytes | int, expected: str) -> None:
    content = bytearray(path.read_bytes())
    stated = parts(path)[0]["header_digest" if isinstance(place, bytes) else "weights_digest"]
    content[content.index(place) if isinstance(place, bytes) else place] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_recognizer(path)
    assert caught.value.expected == f"{expected} {stated}"
    assert caught.value.found.startswith("sha256 ")
    assert "damaged" in caught.value.do


def test_cut_off_or_continued_it_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for content in (*(whole[:n] for n in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1)), whole + b"\0"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=MODEL):
            load_recognizer(path)


WRONG_WEIGHTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "shape": (lambda w: w.update({"classifier.bias": torch.zeros(4)}), r"classifier.bias.*\[4\]"),
    "as many numbers": (lambda w: w.update({"classifier.weight": torch.zeros(400, 3)}), r"\[400, 3\]"),
    "missing": (lambda w: w.pop("classifier.bias"), "classifier.bias"),
    "extra": (lambda w: w.update({"more": torch.zeros(1)}), "more"),
    "dtype": (lambda w: w.update({"classifier.bias": torch.zeros(3).double()}), "float64"),
    "NaN": (lambda w: w.update({"classifier.bias": torch.tensor([0, torch.nan, 0])}), "1 of 3 are NaN or infinite"),
    "infinite": (lambda w: w.update({"classifier.bias": torch.full((3,), -torch.inf)}), "3 of 3"),
}


@pytest.mark.parametrize("case", WRONG_WEIGHTS)
def test_weights_that_do_not_fit_are_refused(made: Recognizer, path: Path, case: str) -> None:
    change, found = WRONG_WEIGHTS[case]
    weights = dict(made.method.state_dict())
    change(weights)
    forge(path, parts(path)[0], weights)
    with pytest.raises(InputError, match=rf"{MODEL}(.|\n)*{found}"):
        load_recognizer(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 9},
        {"format": "1"},
        {"kind": "checkpoint"},
        {"recipe": []},
        {"recipe": {"name": "x"}},
        {"label_names": 3},
        {"label_names": "nps"},
        {"label_names": []},
        {"label_names": ["negative", "positive", "surprise", "others"]},
        {"recipe": {**RECIPE, "input": "flow"}},
        {"recipe": {**RECIPE, "input": {"name": "os"}}},
        {"recipe": {**RECIPE, "input": {"name": "flow", "method": "os"}}},
        {"recipe": {**RECIPE, "input": {"name": "flow", "side": 28, "frames": 2}}},
        {"history": 1},
        {"history": None},
    ],
)
def test_headers_that_mean_something_else_are_refused(made: Recognizer, path: Path, changes: dict[str, Any]) -> None:
    forge(path, {**parts(path)[0], **changes}, made.method.state_dict())
    with pytest.raises(InputError, match=MODEL):
        load_recognizer(path)


@pytest.mark.parametrize("recognizer", ["os", "htnet"])
def test_another_network_is_refused(made: Recognizer, path: Path, recognizer: str) -> None:
    header = parts(path)[0]
    header["recipe"]["recognizer"] = recognizer
    forge(path, header, made.method.state_dict())
    with pytest.raises(InputError, match=recognizer):
        load_recognizer(path)


@pytest.mark.parametrize("text", ["no json", "null", "[]", "{}", "[" * 100_000, '{"header_digest": "\\ud800"}'])
def test_files_of_others_are_refused(made: Recognizer, path: Path, text: str) -> None:
    save_file(made.method.state_dict(), path, {"header": text})
    with pytest.raises(InputError, match=r"(?i)sha256|weights that miex wrote"):
        load_recognizer(path)
    save_file(made.method.state_dict(), path)
    with pytest.raises(InputError, match="no header of miex"):
        load_recognizer(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for asked in (tmp_path, tmp_path / MODEL):
        with pytest.raises(InputError, match=rf"{MODEL}(.|\n)*no such file"):
            load_recognizer(asked)


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("evil"),))


def test_a_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / MODEL
    pickle.loads(pickle.dumps(_Evil()))
    assert (tmp_path / "evil").exists()  # so running it would be noticed
    (tmp_path / "evil").unlink()
    for write in (
        lambda: path.write_bytes(pickle.dumps(_Evil())),
        lambda: torch.save({"header": _Evil(), "weights": {}}, path),
        lambda: torch.save(_Evil(), path, _use_new_zipfile_serialization=False),
    ):
        write()
        with pytest.raises(InputError, match="weights that miex wrote"):
            load_recognizer(path)
    assert not (tmp_path / "evil").exists()


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    made = train(planted(), QUICK.but(samples_seen=64))
    with torch.no_grad():
        made.method.classifier.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match=r"classifier.weight: 1 of 1200 are NaN"):
        made.save(tmp_path / MODEL)
    assert not list(tmp_path.iterdir())


def test_no_kind_is_taken_for_the_other(path: Path) -> None:
    with pytest.raises(InputError, match=r"a checkpoint(.|\n)*a recognizer"):
        read_weights(path, "checkpoint")
    write_weights(path, "checkpoint", {}, {"network/x": torch.zeros(1)})
    with pytest.raises(InputError, match=r"a recognizer(.|\n)*a checkpoint"):
        load_recognizer(path)
