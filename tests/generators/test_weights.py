"""Weights are named by their sha256 and found by it; nothing is guessed where there are several."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from miex.errors import InputError, UsageError
from miex.generators.ganimation import manifest
from miex.generators.ganimation.manifest import known_weights
from miex.generators.registry import make_generator
from miex.generators.weights import VARIABLE, find_weights, only_weights
from miex.storage.cache import CACHE_VARIABLE


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    return tmp_path / "cache" / "weights"


def put(path: Path, content: bytes) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def test_they_are_found_in_every_place(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = put(tmp_path / "own" / "a.pth", b"a"), put(cache / "b.pth", b"b")
    put(tmp_path / "own" / "notes.txt", b"c")
    assert find_weights(a, tmp_path / "own" / "a.pth") == tmp_path / "own" / "a.pth"
    assert find_weights(b) == cache / "b.pth"
    with pytest.raises(InputError, match=a) as caught:
        find_weights(a)
    assert str(cache) in caught.value.expected
    for named in (tmp_path / "own", tmp_path / "own" / "a.pth"):
        monkeypatch.setenv(VARIABLE, str(named))
        assert find_weights(a) == tmp_path / "own" / "a.pth"
        assert find_weights(b) == cache / "b.pth"
    with pytest.raises(InputError, match="2 other files"):
        find_weights(hashlib.sha256(b"c").hexdigest())


def test_a_given_file_must_be_the_one(cache: Path, tmp_path: Path) -> None:
    digest = put(cache / "b.pth", b"b")
    put(tmp_path / "a.pth", b"a")
    with pytest.raises(InputError, match="`weights`"):
        find_weights(digest, tmp_path / "a.pth")
    with pytest.raises(InputError, match="no such file"):
        find_weights(digest, tmp_path / "none.pth")


def test_the_only_file_is_taken_and_none_of_several(cache: Path) -> None:
    with pytest.raises(UsageError, match="none"):
        only_weights("ganimation")
    put(cache / "a.pth", b"a")
    assert only_weights("ganimation") == cache / "a.pth"
    put(cache / "b.safetensors", b"b")
    with pytest.raises(UsageError, match=r"a\.pth.*b\.safetensors"):
        only_weights("ganimation")


def test_who_needs_none_takes_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no weights"):
        make_generator("muscle", weights=tmp_path / "a.pth")


ENTRY = """[[weights]]
sha256 = "{sha256}"
name = "a.pth"
family = "original"
licence = "CC0"
scale = 5.0
origin = "nobody"
"""


def test_a_description_beside_the_file_is_read(tmp_path: Path) -> None:
    digest = put(tmp_path / "a.pth", b"a")
    assert known_weights(digest, tmp_path / "a.pth") is None
    (tmp_path / "weights.toml").write_text(ENTRY.format(sha256=digest))
    found = known_weights(digest, tmp_path / "a.pth")
    assert found is not None
    assert (found.scale, found.licence) == (5, "CC0")
    assert known_weights("0" * 64, tmp_path / "a.pth") is None


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("scale = 5.0", "scale = 0", "scale"),
        ("scale = 5.0", "scale = inf", "scale"),
        ('"original"', '"my own"', "family"),
        ('licence = "CC0"', "", "licence"),
        ("origin", "orgin", "orgin|origin"),
        ("[[weights]]", "[weights", "TOML"),
    ],
)
def test_a_wrong_description_is_refused(old: str, new: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "weights.toml").write_text(ENTRY.format(sha256="0" * 64).replace(old, new))
    with pytest.raises(InputError, match=named):
        known_weights("0" * 64, tmp_path / "a.pth")


def test_the_form_that_the_manifest_shows_is_the_form_that_is_read(tmp_path: Path) -> None:
    shown = manifest.MANIFEST.read_text("utf-8")
    example = shown[shown.index("# [[weights]]") : shown.index("\n\n")].replace("# ", "", 1).replace("\n# ", "\n")
    (tmp_path / "weights.toml").write_text(example.replace('sha256 = "…"', f'sha256 = "{"0" * 64}"'), "utf-8")
    found = known_weights("0" * 64, tmp_path / "a.pth")
    assert found is not None
    assert (found.family, found.scale) == ("original", 1)
