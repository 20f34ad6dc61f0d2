"""Every reader gives a whole result or an error of ours that names the file, whatever is in it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from tools.fuzz_files import LIGHT, judge

from miex.errors import InputError
from miex.images import clip_length, read_clip
from miex.recognition.flow_file import read_flow
from miex.recognition.recipe import load_recipe
from miex.stable import MOST_DEPTH, json_of, npz_arrays
from miex.storage.documents import MOST_TEXT, toml_of


def test_fuzzed_files_are_read_or_refused() -> None:
    """`python -m tools.fuzz_files` reads more of them, within bounds of memory, and those of torch."""
    files = tuple(kind for kind in LIGHT if not kind.name.endswith(("parquet", "json", "shard")))
    taken = {judge(seed, files) for seed in range(150)}
    assert {how for _, how in taken} == {"read", "refused"}


@pytest.mark.parametrize("text", ["[" * 20_000, '{"a":' * 900 + "1" + "}" * 900, "9" * 5_000, "NaN", '{"a": 1e'])
def test_odd_json_is_one_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json_of(text)


def test_json_and_toml_may_be_nested_as_deeply_as_is_said() -> None:
    whole = "[" * MOST_DEPTH + "]" * MOST_DEPTH
    assert json_of(whole)
    with pytest.raises(ValueError, match="nested deeper"):
        json_of(f"[{whole}]")
    assert toml_of(f"x = {whole[1:-1]}".encode())
    with pytest.raises(ValueError, match="nested deeper"):
        toml_of(f"x = {whole}".encode())


@pytest.mark.parametrize("name", [".".join("a" * 30_000), "[" + " . ".join(["a-b", '"c"', "'d'"] * 3) + " .e]"])
def test_names_of_many_parts_are_refused_before_they_take_minutes(name: str) -> None:
    with pytest.raises(ValueError, match="more than nine parts"):
        toml_of(f"x = 'a.b.c.d.e.f.g.h.i'\n{name} = 1".encode())
    assert toml_of(b"a.b.c.d.e.f.g.h.i = 1")


def test_a_recipe_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    with path.open("wb") as file:
        file.truncate(3 * 2**30)  # takes no room
    with pytest.raises(InputError, match=f"at most {MOST_TEXT:,} are read"):
        load_recipe(str(path))


def test_a_flow_file_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, flow=np.zeros((300, 1000, 1000, 1), np.uint8), label=np.zeros(3))
    with pytest.raises(InputError, match="it claims"):
        read_flow(path)


def test_an_array_is_not_made_larger_than_its_bytes() -> None:
    content = io.BytesIO()
    np.savez(content, a=np.zeros(4, np.uint8))
    bomb = content.getvalue().replace(b"'shape': (4,), }      ", b"'shape': (4000000,), }")
    assert bomb != content.getvalue()
    with pytest.raises(Exception, match=r"claims|CRC"):
        npz_arrays(io.BytesIO(bomb))


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x.mp4", "rtsp://127.0.0.1/x", "videotestsrc ! appsink", "0"])
def test_a_clip_is_a_file_never_an_address(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cv2.VideoCapture", lambda *_: pytest.fail("it was opened"))
    for read in (clip_length, lambda path: next(read_clip(path))):
        with pytest.raises(InputError, match="no such file"):
            read(Path(address))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("point", [0xD800, 0xDFFF, 0x110000, 2**32 - 1])
def test_texts_of_arrays_are_texts(point: int, order: str) -> None:
    def read(points: list[int]) -> np.ndarray:
        content = io.BytesIO()
        np.savez(content, name=np.frombuffer(np.array(points, f"{order}u4").tobytes(), f"{order}U2"))
        return npz_arrays(content.getvalue())["name"]

    assert read([0x10FFFF, 0x1F600, 65, 0]).tolist() == ["\U0010ffff😀", "A"]
    with pytest.raises(ValueError, match=f"name holds code point {point:#x}"):
        read([65, 66, 65, point])


def test_arrays_of_structures_are_refused() -> None:
    content = io.BytesIO()
    np.savez(content, a=np.zeros(3, [("x", "<U4"), ("y", "i4")]))
    with pytest.raises(ValueError, match="a is an array of"):
        npz_arrays(content.getvalue())
