"""Pre-training on other corpora, sets and ImageNet, then fine-tuning, on fakes: whoever is tested is left out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")

import miex  # noqa: E402
from miex.api.evaluate import Evaluated, on_expert_tables  # noqa: E402
from miex.api.examples import recipe_of, view_of  # noqa: E402
from miex.errors import InputError  # noqa: E402

QUICK: dict[str, Any] = {
    "recognizer": "branches", "side": 32, "epochs": 1, "repeats": 1, "folds": "2-fold", "no_apex": "middle",
}  # fmt: skip


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    for name in ("casme2", "casme", "ckplus"):
        miex.corpora.fake(name, folder / name, size=64)
    return folder


def of(corpora: Path, *names: str) -> list[str]:
    return [f"{name}={corpora / name}" for name in names]


def evaluated(corpora: Path, store: Path, *extra: Any, tested: str = "casme2", **options: Any) -> Evaluated:
    mode = "fine-tune" if extra else "real"
    given = {**QUICK, "mode": mode, "extra": list(extra) or None, "store": store, **options}
    return miex.evaluate(of(corpora, tested), **given)


def trained(found: Evaluated) -> list[int]:
    return [int(run.facts["trained"]) for runs in found.runs.repeats for run in runs]


def test_overlap_with_the_test_fold_is_removed(corpora: Path, tmp_path: Path) -> None:
    alone = evaluated(corpora, tmp_path)
    own = evaluated(corpora, tmp_path, *of(corpora, "casme2"))
    n = [len(fold.train) for fold in alone.folds[0].folds]
    assert trained(own) == [2 * k for k in n]  # each fold pre-trains on its own training subjects alone
    assert own.refused == max(len(fold.test) for fold in own.folds[0].folds)
    other = evaluated(corpora, tmp_path, *of(corpora, "ckplus"))
    assert other.refused == 0
    assert min(trained(other)) > max(n)


def test_a_corpus_of_the_same_laboratory_must_be_vouched_for(corpora: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"laboratory whose subjects may be in the test set(.|\n)*independent"):
        evaluated(corpora, tmp_path, *of(corpora, "casme"))
    found = evaluated(corpora, tmp_path, *of(corpora, "casme"), independent=["casme"])
    # nobody's word brings in a frame that is tested: subjects of the same number have one face in the two fakes
    assert 0 < found.refused < 12
    assert min(trained(found)) > max(len(fold.train) for fold in found.folds[0].folds)


def test_a_set_and_imagenet(corpora: Path, tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ImageNet → set → real: the first training starts from the published weights, whose digest is part of the run."""
    from miex.recognition import imagenet
    from miex.recognition.networks.backbones import ResNet18

    torch.manual_seed(0)
    weights = tmp_path / "resnet18.pth"
    torch.save(ResNet18().state_dict(), weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    monkeypatch.setitem(imagenet.KNOWN, digest, ("resnet18-test.pth", "resnet18"))
    said: list[str] = []
    plain = evaluated(corpora, tmp_path / "store", finished)
    begun = evaluated(corpora, tmp_path / "store", finished, start=weights, say=said.append)
    assert "ImageNet (resnet18-test.pth)" in begun.table().title
    assert "ImageNet" not in plain.table().title
    assert begun.runs.computed == 2  # not those that started from random weights
    assert any("branches starts from ImageNet (resnet18-test.pth)" in text for text in said)
    assert len(list((tmp_path / "store" / "models").glob("*.safetensors"))) == 2
    assert plain.folds[0].digest == begun.folds[0].digest
    again = evaluated(corpora, tmp_path / "store", finished, start=weights)
    assert again.runs.computed == 0


def test_how_a_set_differs_from_clips_is_said(finished: Path) -> None:
    def said(recognizer: str, **options: Any) -> str:
        notes: list[str] = []
        view_of(finished, recipe_of(None, recognizer=recognizer, **options), say=notes.append)
        return "\n".join(notes)

    size = int(miex.open(finished).record["settings"]["size"])
    assert f"frames of {size} pixels are enlarged to 224" in said("apexme")
    assert "pairs, between which clip fades" in said("lbp-top", side=32)
    assert said("apexme", side=size) == said("ststnet") == ""


def test_a_set_until_the_apex_is_no_whole_clip(tmp_path: Path, model: Path) -> None:
    made = miex.synthesize(tmp_path / "set", ids=1, frames=3, size=32, nuisances="off", landmarker=model)
    notes: list[str] = []
    view_of(made, recipe_of(None, recognizer="lbp-top", side=32), say=notes.append)
    assert "its samples end at the apex" in notes[0]


def test_what_an_expert_table_knows_of_the_tested_corpus_and_how_a_set_was_planned_is_said(
    tmp_path: Path, model: Path
) -> None:
    """The default table is made from frequencies of MMEW: a set with it, tested on MMEW, says so."""
    miex.corpora.fake("mmew", tmp_path / "mmew", size=64)
    tested = pa.table({"corpus": ["mmew"], "source": ["expert"]})
    given = {"ids": 1, "size": 32, "nuisances": "off", "landmarker": model, "classes": ["mmew-6"]}
    options = {"mode": "direct", "folds": "2-fold", "repeats": 1, "epochs": 1, "no_apex": "middle", "store": tmp_path}
    for table, warned in (("micro", True), ("du2014", False)):
        out = tmp_path / table
        miex.synthesize(out, sources=[miex.sources.expert(table)], **given)
        said: list[str] = []
        found = miex.evaluate(f"mmew={tmp_path / 'mmew'}", extra=out, where="AU1 >= 0", say=said.append, **options)
        assert any("`extra`: its expert table, micro " in note for note in said) == warned
        assert ("in mmew, which is tested" in found.table().note) == (len(found.plain()["notes"]) == 2) == warned
        assert "only samples that meet a query were trained on: AU1 >= 0" in found.table().note
        assert ("mmew, which is tested" in repr(found)) == warned
        assert any("planned by emotion" in note for note in said)
    assert on_expert_tables(miex.open(tmp_path / "micro")[:0], tested, tested) == []  # none of its samples is used
    assert len(on_expert_tables(miex.open(tmp_path / "micro"), tested, tested)) == 1


def test_flow_maps_say_from_which_expert_table_they_are(tmp_path: Path, model: Path) -> None:
    """As their set does; of maps of another origin, and of those that say nothing, it is not known."""
    from miex.api.examples import tables_of
    from miex.dataset.plan_file import read_record

    made = miex.synthesize(tmp_path / "set", ids=1, size=32, nuisances="off", landmarker=model)
    miex.export(made, tmp_path / "maps.npz")
    told = read_record(tmp_path / "set")["config"]["sources"]["expert"]["emotions"]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    maps = miex.examples(tmp_path / "maps.npz")
    assert tables_of(made) == tables_of(tmp_path / "maps.npz") == tables_of(maps) == (f"micro-dfme {digest[:8]}",)
    assert miex.examples(made).digest != maps.digest  # frames and maps
    with np.load(tmp_path / "maps.npz") as file:
        arrays = dict(file)
    assert set(arrays.pop("au_table").tolist()) == {f"micro-dfme {digest[:8]}"}
    np.savez(tmp_path / "silent.npz", **arrays)
    np.savez(tmp_path / "real.npz", **(arrays | {"source": np.full(len(arrays["label"]), "real")}))
    assert tables_of(tmp_path / "silent.npz") == ("",)
    assert tables_of(tmp_path / "real.npz") == ()
    tested = pa.table({"corpus": ["casme2"]})
    known, unknown, nothing = (
        on_expert_tables(tmp_path / f"{name}.npz", maps.rows, tested) for name in ("maps", "silent", "real")
    )
    assert f"its expert table, micro-dfme {digest[:8]}, holds" in known[0]
    assert "do not say from which table" in unknown[0]
    assert nothing == []
    assert miex.examples(tmp_path / "silent.npz").digest == maps.digest  # stored results keep their names


@pytest.mark.parametrize(
    ("tested", "table", "said"),
    [
        ("CASME II", "micro 0f1e2d3c", "casme3, whose laboratory filmed casme2, which is tested"),
        ("CAS(ME)^3", "micro 0f1e2d3c", "casme3, which is tested"), ("mmew", "micro 0f1e2d3c", "mmew, which is tested"),
        ("dfme", "micro 0f1e2d3c", "dfme, which is tested"), ("mmew", "micro-dfme 0f1e2d3c", "mmew, which is tested"),
        ("mmew", "dfme 0f1e2d3c", ""), ("mmew", "my own 0f1e2d3c", ""),
        ("casme2", "", "the default one, micro-dfme, holds"),
        ("samm", "micro 0f1e2d3c", ""), ("samm", "", ""), ("casme2", "du2014 0f1e2d3c", ""),
    ],
)  # fmt: skip
def test_an_expert_table_is_kin_to_what_its_laboratory_filmed(tested: str, table: str | None, said: str) -> None:

    from miex.api.evaluate import _frequencies

    notes = list(_frequencies(table, pa.table({"corpus": [tested]})))
    assert len(notes) == bool(said)
    assert all(said in note for note in notes)
