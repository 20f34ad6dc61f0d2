"""Checkpoints that others trained: both families load, files that are anything else are refused, nothing is run."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from miex.errors import InputError  # noqa: E402
from miex.generators.ganimation.checkpoints import inspect, load_discriminator, load_generator  # noqa: E402
from miex.generators.ganimation.networks import DiscriminatorNetwork, GeneratorNetwork  # noqa: E402
from tests.generators.ganimation_files import FORMS, Tensors, discriminator, generator, named, write  # noqa: E402

FAMILIES = ["original", "replicate"]
FILES = {
    "original": ("net_epoch_30_id_G.pth", "net_epoch_30_id_D.pth"), "replicate": ("30_net_gen.pth", "30_net_dis.pth"),
}  # fmt: skip


def original_names() -> set[str]:
    """Every tensor of a full generator of the original family, spelled out."""
    trunk = [f"main.{i}" for i in (0, 3, 6, 15, 18)]
    norms = [f"main.{i}" for i in (1, 4, 7, 16, 19)]
    trunk += [f"main.{block}.main.{i}" for block in range(9, 15) for i in (0, 3)]
    norms += [f"main.{block}.main.{i}" for block in range(9, 15) for i in (1, 4)]
    heads = {"img_reg.0.weight", "attetion_reg.0.weight"}
    return {f"{name}.weight" for name in trunk + norms} | {f"{name}.bias" for name in norms} | heads


def test_the_files_of_the_tests_have_the_published_names() -> None:
    with torch.device("meta"):
        found = named(GeneratorNetwork(FORMS["original"]), "original")
        replicate = named(GeneratorNetwork(FORMS["replicate"]), "replicate")
    assert set(found) == original_names()
    convs = {name for name, value in found.items() if value.ndim == 4 and name.startswith("main")}
    expected = {name.replace("main", "model") for name in convs}
    expected |= {name.replace("weight", "bias") for name in expected}
    assert set(replicate) == expected | {"color_top.0.weight", "au_top.0.weight"}


def painted(network: Any, size: int = 32) -> torch.Tensor:
    luck = torch.Generator().manual_seed(5)
    with torch.inference_mode():
        made = network(torch.rand(2, 3, size, size, generator=luck) * 2 - 1, torch.rand(2, 17, generator=luck))
    found: torch.Tensor = made.pictures
    return found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("form", [".pth", ".old", ".safetensors"])
def test_a_generator_paints_the_same_before_and_after(family: str, form: str, tmp_path: Path) -> None:
    network = generator(family, width=4, blocks=11)  # two digits: their order is that of numbers
    path = tmp_path / FILES[family][0].replace(".pth", form)
    if form == ".old":  # as torch wrote before 1.6
        torch.save(named(network, family), path, _use_new_zipfile_serialization=False)
    else:
        write(path, named(network, family))
    found, loaded = load_generator(path)
    assert torch.equal(painted(loaded), painted(network))
    assert not any(value.requires_grad for value in loaded.parameters())
    assert (found.family, found.part, found.aus, found.size, found.epoch) == (family, "generator", 17, None, 30)
    assert (found.width, found.blocks, found.problems, found.ignored) == (4, 11, (), ())
    assert (found.bias, found.affine) == ((False, True) if family == "original" else (True, False))
    assert found.parameters == sum(value.numel() for value in network.parameters())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [64, 192])
def test_a_discriminator_judges_the_same_before_and_after(family: str, size: int, tmp_path: Path) -> None:
    network = discriminator(size)
    found, loaded = load_discriminator(write(tmp_path / FILES[family][1], named(network, family)))
    pictures = torch.rand(2, 3, size, size)
    with torch.inference_mode():
        assert all(map(torch.equal, loaded(pictures), network(pictures)))
    assert (found.family, found.part, found.aus, found.size, found.epoch) == (family, "discriminator", 17, size, 30)


def renamed_blocks(tensors: Tensors) -> Tensors:
    return {name.replace("9.main.", "9.block."): value for name, value in tensors.items()}


def with_statistics(tensors: Tensors) -> Tensors:
    stray = {f"main.1.{name}": torch.full((4,), float("nan")) for name in ("running_mean", "running_var")}
    return {**tensors, **stray, "main.1.num_batches_tracked": torch.tensor(3)}


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: {f"module.{name}": value for name, value in tensors.items()},
        lambda tensors: dict(reversed(tensors.items())),
        lambda tensors: {name: torch.nn.Parameter(value) for name, value in tensors.items()},
        lambda tensors: {name: value.double() for name, value in tensors.items()},
        lambda tensors: {name: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
                         for name, value in tensors.items()},
        renamed_blocks, with_statistics,
    ],
    ids=["several devices", "another order", "parameters", "double", "channels last", "blocks", "statistics"],
)  # fmt: skip
def test_what_makes_no_difference_is_read(change: Callable[[Tensors], Tensors], tmp_path: Path) -> None:
    network = generator("original", width=4)
    found, loaded = load_generator(write(tmp_path / "net.pth", change(named(network, "original"))))
    assert torch.equal(painted(loaded), painted(network))
    assert found.epoch is None
    if change is with_statistics:
        assert len(found.ignored) == 3


def test_bias_and_affine_are_what_the_file_says(tmp_path: Path) -> None:
    """A family is told by names; that its networks may have either is told by shapes."""
    both = {**named(generator("original", width=4), "original")}
    for i in (0, 3, 6, 10, 13):
        both[f"main.{i}.bias"] = torch.ones(both[f"main.{i}.weight"].shape[1 if i > 9 else 0])
    for i in (0, 3):
        both[f"main.9.main.{i}.bias"] = torch.ones(16)
    found, loaded = load_generator(write(tmp_path / "net.pth", both))
    assert (found.bias, found.affine) == (True, True)
    neither = {name: value for name, value in both.items() if value.ndim == 4}
    assert inspect(write(tmp_path / "bare.pth", neither)).affine is False
    norms_alone, _ = load_generator(write(tmp_path / "a.pth", named(generator("original", width=4), "original")))
    assert norms_alone.bias is False
    # before instance norm a bias changes nothing but rounding
    assert torch.allclose(painted(loaded), painted(generator("original", width=4)), atol=1e-4)


# what is refused


def tensors() -> Tensors:
    return named(generator("original", width=4), "original")


def changed(**values: Any) -> Tensors:
    return {**tensors(), **{name.replace("__", "."): value for name, value in values.items()}}


def without(name: str) -> Tensors:
    return {key: value for key, value in tensors().items() if key != name}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda: changed(main__3__weight=torch.zeros(8, 4, 3, 3)), r"main.3 has weight \[8, 4, 3, 3\] instead of"),
        (lambda: changed(img_reg__0__bias=torch.zeros(3)), r"img_reg.0 has bias \[3\], weight .* instead of weight"),
        (lambda: changed(main__0__weight=torch.zeros(4, 3, 7, 7)), "no planes of AUs"),
        (lambda: changed(extra=torch.zeros(3)), "found: extra: of no layer"),
        (lambda: changed(main__7__weight=torch.zeros(2, 2)), "main.7.weight.*: of no layer"),
        (lambda: without("main.13.weight"), "its trunk has 6 convolutions, and that of a generator 5"),
        (lambda: without("attetion_reg.0.weight"), "its tensors are named main.0.weight"),
        (lambda: {"conv1.weight": torch.zeros(3)}, "named conv1.weight"),
        (dict, "named none"),
        (lambda: changed(main__0__weight=tensors()["main.0.weight"] * float("nan")), "3920 of 3920 are NaN"),
        (lambda: changed(main__1__bias=torch.tensor([0.0, float("inf"), 0, 0])), "1 of 4 are NaN or infinite"),
        (lambda: changed(main__1__bias=torch.full((4,), 1e300, dtype=torch.float64)), "4 of 4 are NaN or infinite"),
        (lambda: changed(main__1__bias=torch.zeros(4, dtype=torch.int32)), "int32, and weights are floats"),
        (lambda: changed(main__1__bias=3), "main.1.bias is no tensor, but a int"),
        (lambda: [torch.zeros(3)], "a list instead of tensors by name"),
        (lambda: {3: torch.zeros(3)}, "instead of tensors by name"),
        (lambda: {"G": tensors()}, "G is no tensor, but a dict"),
        (lambda: changed(main__0__weight=torch.zeros(1).expand(9000, 20, 900, 900)), "claims .* values, more than"),
        (lambda: changed(main__1__bias=torch.zeros(3).to_sparse()), "it would run torch._utils._rebuild_sparse_tensor"),
        (lambda: torch.nn.Conv2d(1, 1, 1), "it would run torch.nn.modules.conv.Conv2d"),
    ],
)  # fmt: skip
def test_other_tensors_are_refused_with_the_reason(content: Callable[[], Any], problem: str, tmp_path: Path) -> None:
    path = write(tmp_path / "net.pth", content())
    found = inspect(path)
    assert found.problems
    with pytest.raises(InputError, match=problem) as caught:
        load_generator(path)
    assert "; ".join(found.problems) in caught.value.found


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["zip", "old", "bare", "new protocol"])
def test_code_is_named_and_not_run(form: str, tmp_path: Path) -> None:
    trap, path = tmp_path / "trap", tmp_path / "net.pth"
    evil = {**tensors(), "main.0.weight": Touch(trap)}
    if form == "bare":
        path.write_bytes(pickle.dumps(evil))
    elif form == "new protocol":
        torch.save(evil, path, pickle_protocol=4)
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=form == "zip")
    (problem,) = inspect(path).problems if form != "new protocol" else inspect(path).problems[-1:]
    assert "neither a file" in problem if form == "bare" else "it would run" in problem
    assert form not in ("zip", "old") or "posix.mkdir" in problem
    with pytest.raises(InputError):
        load_generator(path)
    assert not trap.exists()
    torch.load(path, weights_only=False) if form != "bare" else pickle.loads(path.read_bytes())
    assert trap.exists()  # it was a trap


def rezipped(path: Path, change: Callable[[str, bytes], bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in parts.items():
            file.writestr(name, change(name, content))


def test_a_file_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "net.pth", tensors())
    rezipped(path, lambda name, content: bytes(2**26) if name.endswith("data/0") else content, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**18
    assert inspect(path).problems == ("it is compressed, which torch never does: what it unpacks to is unknown",)


def test_parts_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """A zip whose list names the same bytes many times is small, and unpacks to anything."""
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}, 2))
        file.writestr("archive/data/0", bytes(4096))
        first = file.infolist()[-1]
        for i in range(1, 9):
            again = zipfile.ZipInfo(f"archive/data/{i}")
            again.header_offset, again.CRC = first.header_offset, first.CRC
            again.file_size = again.compress_size = 4096
            file.filelist.append(again)
    assert inspect(path).problems == ("its parts claim more bytes than the file has",)


@pytest.mark.parametrize("old", [False, True])
def test_absurd_sizes_are_refused_before_memory_is_taken(old: bool, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"a": torch.zeros(77_777)}, path, _use_new_zipfile_serialization=not old)
    claim = pickle.BININT + struct.pack("<i", 77_777)

    def larger(name: str, content: bytes) -> bytes:
        return content.replace(claim, pickle.BININT + struct.pack("<i", 2**31 - 1))

    if old:
        path.write_bytes(larger("", path.read_bytes()))
    else:
        rezipped(path, larger)
    assert "claims a size of 2,147,483,647" in inspect(path).problems[0]


def test_a_part_that_is_shorter_than_it_claims_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "net.pth", changed(main__1__bias=torch.zeros(9000)))
    rezipped(path, lambda name, content: content[:16] if len(content) == 36_000 else content)
    assert inspect(path).problems


def test_absurd_sizes_in_safetensors_are_refused(tmp_path: Path) -> None:
    header = {"main.0.weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    text = json.dumps(header).encode()
    path = tmp_path / "net.safetensors"
    for size in (len(text), 2**60):
        path.write_bytes(struct.pack("<Q", size) + text + bytes(64))
        (problem,) = inspect(path).problems
        assert problem.startswith("it is damaged")


@pytest.mark.parametrize("form", [".pth", ".old", ".safetensors"])
def test_truncated_files_are_refused(form: str, tmp_path: Path) -> None:
    whole = io.BytesIO()
    path = tmp_path / f"net{form}"
    if form == ".old":
        torch.save(tensors(), whole, _use_new_zipfile_serialization=False)
        path.write_bytes(whole.getvalue())
    else:
        write(path, tensors())
    content = path.read_bytes()
    for kept in (0, 1, 9, 300, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        assert inspect(path).problems, kept


def test_what_is_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path, tmp_path / "missing.pth"):
        with pytest.raises(InputError, match="no such file"):
            inspect(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no such file"):
        inspect(tmp_path / "pipe")
    monkeypatch.setattr("miex.generators.ganimation.checkpoints.MOST_BYTES", 1000)
    with pytest.raises(InputError, match="at most 1,000 bytes"):
        inspect(write(tmp_path / "net.pth", tensors()))


def test_the_other_network_is_refused_by_name(tmp_path: Path) -> None:
    ours, theirs = write(tmp_path / "G.pth", tensors()), tmp_path / "D.pth"
    write(theirs, named(discriminator(), "original"))
    with pytest.raises(InputError, match="it is a discriminator"):
        load_generator(theirs)
    with pytest.raises(InputError, match="it is a generator"):
        load_discriminator(ours)
    assert isinstance(load_discriminator(theirs)[1], DiscriminatorNetwork)
