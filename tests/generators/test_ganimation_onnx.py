"""A network in ONNX paints what it paints in torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from miex.api.ganimation import export  # noqa: E402
from miex.errors import UsageError  # noqa: E402
from tests.generators.ganimation_files import generator, named, write  # noqa: E402
from tests.support import facts  # noqa: E402


def test_onnxruntime_paints_what_torch_paints(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    file = write(tmp_path / "30_net_gen.pth", named(generator("replicate"), "replicate"))
    made = facts("ganimation", "export", file, "--out", tmp_path / "net.onnx")["out"]
    assert str(Path(torch.__file__).parent).encode() not in Path(made).read_bytes()  # no paths of this machine
    session = runtime.InferenceSession(made, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    assert (told["scale"], told["aus"].split()[:3]) == ("1", ["1", "2", "4"])
    rng = np.random.default_rng(0)
    for n, size in ((1, 64), (3, 36)):
        pictures = rng.uniform(-1, 1, (n, 3, size, size)).astype(np.float32)
        aus = rng.uniform(0, 1, (n, 17)).astype(np.float32)
        found = session.run(["painted", "color", "attention"], {"pictures": pictures, "aus": aus})
        with torch.inference_mode():
            expected = generator("replicate")(torch.from_numpy(pictures), torch.from_numpy(aus))
        for ours, theirs in zip(found, expected, strict=True):
            assert np.abs(ours - theirs.numpy()).max() < 1e-4
        levels = [np.rint((one + 1) * 127.5) for one in (found[0], expected.pictures.numpy())]
        assert np.abs(levels[0] - levels[1]).max() <= 1


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "net.pth", named(generator("original"), "original"))
    with pytest.raises(UsageError, match=r"ends in \.onnx"):
        export(file, tmp_path / "net.pt")
    monkeypatch.setattr("miex.api.ganimation.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"miex\[onnx\]"):
        export(file, tmp_path / "net.onnx")
