"""From photos to a prediction in a dozen lines, and the scripts of examples/."""

from __future__ import annotations

import re
import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import miex
from miex.executors.base import IN_PROCESS

ROOT = Path(__file__).parents[2]
CAN_TRAIN = all(find_spec(name) for name in ("torch", "safetensors", "sklearn", "tensorboardX"))
# From the first set to a prediction, as short as it gets.
MAKE = """
import miex
made = miex.synthesize("mie-x", faces="photos", ids=12, sources=[miex.sources.expert()], workers=2)
made.select(label="surprise")[0].show();  made.export("out", to="folder")
clips = miex.corpora.read("casme2", "~/CASME2");  pool = clips.extract(workers=2).pool()
"""
TEST = """
found = miex.evaluate(clips, extra=made, mode="joint", recognizer="ststnet", folds="3-fold", no_apex="drop")
found.uf1, found.interval, found.table()
"""
PREDICT = """
prediction = miex.load_recognizer("r.safetensors").predict("frames/", onset=12, apex=31)
"""


def pair_folder(folder: Path, n: int) -> None:
    folder.mkdir()
    made = miex.render("me.jpg", {12: 0.8, 6: 0.5})
    for i in range(n):
        Image.fromarray(made.onset if i < n - 1 else made.apex).save(folder / f"{i:03d}.png")


def test_from_photos_to_a_prediction(place: Path) -> None:
    names: dict[str, Any] = {}
    exec(MAKE, names)
    assert re.fullmatch(r"36 samples · 12 identities · muscle \d+ · plan [0-9a-f]{4}…", repr(names["made"]))
    assert len(names["made"]) == names["made"].summary.made == 36
    assert len(list((place / "out" / "frames").iterdir())) == 36
    assert repr(names["clips"]).startswith("casme2: 6 clips · 3 subjects · ")
    assert re.fullmatch(r"AU pool: \d+ clips · 3 subjects · casme2 by miex-flow .+", repr(names["pool"]))
    if not CAN_TRAIN:
        pytest.skip("no torch")
    exec(TEST, names)
    found = names["found"]
    assert found.interval.low <= found.interval.value <= found.interval.high
    assert found.uf1 == pytest.approx(sum(s.uf1 for s in found.runs.scores()) / 3)
    assert [row[0] for row in found.table().rows] == ["pooled", "  casme2", "fold mean"]
    assert found.confusion.sum() == 3 * int(found.table().rows[0][1])
    assert "<table>" in found._repr_html_()
    miex.train(names["made"].select(identity=names["made"][0].identity)).recognizer.save(place / "r.safetensors")
    pair_folder(place / "frames", 32)
    exec(PREDICT, names)
    prediction = names["prediction"]
    assert prediction.label in prediction.probabilities
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


EXAMPLES = ("make_and_look", "one_face_by_hand", "corpus_to_set", "train_and_test", "predict")


def test_every_example_script_runs(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other, in one folder, each at most 15 lines; the fake corpus is a smaller one."""
    folder = ROOT / "examples"
    assert {path.stem for path in folder.glob("*.py")} == set(EXAMPLES)
    monkeypatch.setattr("miex.executors.local.local_executor", lambda workers: IN_PROCESS)
    monkeypatch.setattr(miex.corpora, "fake", lambda name, out: (name, out), raising=False)
    said = {}
    for name in EXAMPLES:
        script = folder / f"{name}.py"
        assert len(script.read_text().splitlines()) <= 15
        if name == "train_and_test" and not CAN_TRAIN:
            continue
        runpy.run_path(str(script), run_name="__main__")
        said[name] = capsys.readouterr().out
    assert "120 samples · 40 identities" in said["make_and_look"]
    assert "motion" in said["one_face_by_hand"]
    assert "casme2: 6 clips" in said["corpus_to_set"]
    if CAN_TRAIN:
        assert "over subjects" in said["train_and_test"]
        assert {path.suffix for path in (place / "tables").iterdir()} == {".md", ".tex", ".csv", ".json"}
    assert re.search(r"jpg: (negative|positive|surprise) \(", said["predict"])
