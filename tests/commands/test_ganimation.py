"""`miex ganimation`, and sets that are made with it, as a user types them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from miex.api.plan_frames import view_of_plan  # noqa: E402
from miex.aus.vector import AU_INDEX  # noqa: E402
from miex.dataset.plan_file import read_plan  # noqa: E402
from miex.errors import InputError, UsageError  # noqa: E402
from miex.executors.base import IN_PROCESS, silent  # noqa: E402
from miex.generators.weights import VARIABLE  # noqa: E402
from miex.recognition.inputs.flow import FlowMaps  # noqa: E402
from miex.storage.local import Folder  # noqa: E402
from miex.synthesis.stream import renderer_of  # noqa: E402
from tests.generators.ganimation_files import discriminator, generator, named, write  # noqa: E402
from tests.support import command, facts, flip_bit, photo_folder  # noqa: E402


@pytest.fixture(autouse=True)
def no_weights_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "net_epoch_30_id_G.pth"
    return write(path, named(generator("original"), "original"))


def test_inspect_says_what_a_file_is(weights: Path, tmp_path: Path) -> None:
    found = facts("ganimation", "inspect", weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert found["sha256"] == digest
    assert (found["family"], found["part"], found["aus"], found["epoch"]) == ("original", "generator", 17, 30)
    assert (found["problems"], found["known"], found["path"]) == ([], None, str(weights))
    judge = write(tmp_path / "30_net_dis.pth", named(discriminator(128), "replicate"))
    text = command("ganimation", "inspect", judge).stdout
    assert "discriminator of the replicate family" in text
    assert "trained at 128 px" in text
    assert "epoch 30, by its name" in text


def test_inspect_says_why_a_file_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    done = command("ganimation", "inspect", path)
    assert done.returncode == InputError.exit_code
    assert "no GANimation" in done.stdout
    assert "cannot be used: it would run torch.nn.modules.linear.Linear" in done.stdout
    done = command("ganimation", "inspect", tmp_path / "nothing.pth")
    assert (done.returncode, done.stdout) == (InputError.exit_code, "")
    assert "no such file" in done.stderr


def test_its_sets_hold_nothing_on_one_side_alone(weights: Path, model: Path, tmp_path: Path) -> None:
    """It moves both sides alike: contempt's AU 12 on one side would be a smile, and is left out, aloud."""
    options = ["--classes", "contempt", "--per", 30, "--size", 64, "--generator", "ganimation", "--weights", weights]
    done = command("plan", "--ids", 1, *options, "--out", tmp_path / "set")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("sets with an AU on one side alone are left out") == 1
    rows = read_plan(tmp_path / "set").rows
    assert rows["sides"].null_count == len(rows) == 30
    smiles = [row[1][AU_INDEX[12]] > 0 for row in rows["aus"].to_pylist()]
    assert sum(smiles) < 10  # of dfme's contempt 67 % show AU 12, hardly ever on both sides


def test_a_set_is_planned_run_resumed_and_repaired(weights: Path, model: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "G.pth", tmp_path / "set"
    shutil.copy(weights, file)
    options = ["--ids", 2, "--size", 64, "--shard-size", 3, "--generator", "ganimation", "--out", out,
               "--generator-option", "precision=bfloat16", "--generator-option", "painted=32"]  # fmt: skip
    made = facts("synthesize", *options, "--weights", file)
    assert (made["made"], made["failed"], made["rendered"]) == (6, 0, 6)
    planned = json.loads((out / "plan.json").read_text())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert planned["settings"]["generator"] == {
        "name": "ganimation", "version": 2,
        "settings": {"weights": digest, "scale": 1.0, "precision": "bfloat16", "painted": 32, "device": "cpu"},
        "options": {"precision": "bfloat16", "painted": 32},
    }  # fmt: skip
    assert str(file) not in (out / "plan.json").read_text()
    assert facts("synthesize", *options, "--weights", file)["rendered"] == 0
    two = facts(
        "synthesize", *options[:-6], "--out", tmp_path / "two", *options[-4:], "--weights", file, "--workers", 2
    )
    assert two["rendered"] == 6
    for shard in (out / "shards").iterdir():
        assert shard.suffix != ".tar" or (tmp_path / "two" / "shards" / shard.name).read_bytes() == shard.read_bytes()
    shard = out / "shards" / "00001.tar"
    content = shard.read_bytes()
    flip_bit(shard, 2000)
    done = command("repair", out)
    assert done.returncode == InputError.exit_code
    assert digest in done.stderr
    assert "--weights" in done.stderr
    file = file.rename(tmp_path / "moved.pth")
    assert facts("repair", out, "--weights", file)["rendered"] == 3
    assert shard.read_bytes() == content
    shard.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path))  # a folder
        assert facts("run", out)["rendered"] == 3
    assert shard.read_bytes() == content
    shard.unlink()
    other = write(tmp_path / "other.pth", named(generator("original", seed=3), "original"))
    done = command("run", out, "--weights", other)
    assert done.returncode == InputError.exit_code
    assert digest in done.stderr
    done = command("synthesize", *options, "--weights", other)  # another plan
    assert done.returncode == 5
    assert facts("run", out, "--weights", file)["rendered"] == 3
    assert facts("verify", out)["problems"] == []


def test_a_streamed_plan_is_read_with_the_weights_that_are_given(weights: Path, model: Path, tmp_path: Path) -> None:
    options = ["--ids", 1, "--size", 64, "--generator", "ganimation", "--weights", weights]
    assert command("plan", *options, "--out", tmp_path).returncode == 0
    renderer = renderer_of(Folder(tmp_path), weights=weights)  # which are found nowhere else
    view, unread = view_of_plan(renderer, None, FlowMaps(), IN_PROCESS, silent)
    assert (len(view.rows), unread) == (3, {})


def test_weights_are_asked_for_before_any_work(weights: Path, face_photo: Path, model: Path, tmp_path: Path) -> None:
    done = command("plan", "--generator", "ganimation", "--out", tmp_path / "set")
    assert done.returncode == UsageError.exit_code
    assert "--weights" in done.stderr
    done = command("plan", "--weights", weights, "--out", tmp_path / "set")
    assert done.returncode == UsageError.exit_code
    assert "has no weights" in done.stderr
    assert not (tmp_path / "set").exists()
    made = facts("render", face_photo, "--au", "12=0.5", "--generator", "ganimation", "--weights", weights, "--size",
                 64, "--out", tmp_path / "pair")  # fmt: skip
    assert made["motion_from"] == "flow"
    assert not made["identical"]


SMALL = ["--size", 64, "--width", 4, "--blocks", 1, "--batch", 2, "--epochs", 2, "--decay-epochs", 0, "--look", 9]


@pytest.fixture(scope="module")
def two_faces(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A set of two photos."""
    folder = tmp_path_factory.mktemp("faces")
    facts("synthesize", "--faces", photo_folder(folder / "photos", 2), "--size", 64, "--out", folder / "two-faces")
    return folder / "two-faces"


def test_a_generator_is_trained_on_a_set_and_makes_one(two_faces: Path, tmp_path: Path) -> None:
    out, made = tmp_path / "out", tmp_path / "set"
    done = command("ganimation", "train", "--faces", two_faces, "--out", out, *SMALL)
    assert done.returncode == 0, done.stderr
    assert "of 1 others to look at" in done.stderr
    assert "generator.safetensors" in done.stdout
    weights = out / "generator.safetensors"
    known = facts("ganimation", "inspect", weights)["known"]
    assert known["origin"].startswith("trained with miex on the set two-faces (muscle ")
    assert known["licence"] == "photos: unknown (2)"
    assert facts("ganimation", "train", "--faces", two_faces, "--out", out, *SMALL)["step"] == 6
    told = facts(
        "synthesize", "--ids", 1, "--size", 64, "--generator", "ganimation", "--weights", weights, "--out", made
    )
    assert told["made"] == 3


def test_training_asks_for_aus_before_any_work(two_faces: Path, face_photo: Path, tmp_path: Path) -> None:
    done = command("ganimation", "train", "--faces", face_photo.parent, "--out", tmp_path / "out", *SMALL)
    assert done.returncode == UsageError.exit_code
    assert "--au-table" in done.stderr
    assert "--openface" in done.stderr
    assert "miex synthesize" in done.stderr  # how to do without a table
    done = command("ganimation", "train", "--faces", two_faces, "--aus", "a.csv", "--out", tmp_path / "out", *SMALL)
    assert done.returncode == UsageError.exit_code
    assert "its AUs are known" in done.stderr
    done = command("ganimation", "train", "--faces", two_faces, "--out", tmp_path / "out", "--size", 128)
    assert done.returncode == UsageError.exit_code
    assert "frames of 128 px or more" in done.stderr
    done = command("ganimation", "train", "--faces", two_faces, "--out", tmp_path / "out", "--size", 100)
    assert "multiple of 64" in done.stderr
    assert not (tmp_path / "out").exists()


def test_clips_of_a_corpus_train_it_with_aus_that_are_extracted(tmp_path: Path, model: Path) -> None:
    fake, out = tmp_path / "casme2", tmp_path / "out"
    facts("corpora", "fake", "casme2", fake, "--subjects", 2, "--size", 200)
    done = command(
        "ganimation", "train", "--faces", f"casme2={fake}", "--out", out, *SMALL, "--held-out", 0.5, "--per-clip", 2
    )
    assert done.returncode == 0, done.stderr
    assert "frames of casme2" in facts("ganimation", "inspect", out / "generator.safetensors")["known"]["origin"]
