"""How the program speaks: quiet or not, with or without a log, options spelled as they are typed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from miex import __version__
from miex.commands import console
from miex.commands.main import app
from tests.support import command, command_name, facts


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("give a new `out`", "give a new --out"),
        ("raise `max_failed`", "raise --max-failed"),
        ("make it with `miex plan`", "make it with `miex plan`"),
        ('below `if __name__ == "__main__":`', 'below `if __name__ == "__main__":`'),
    ],
)
def test_names_of_arguments_are_spelled_as_options(text: str, spelled: str) -> None:
    assert console.spelled(text) == spelled


def test_quiet_is_the_result_and_warnings_alone(tmp_path: Path) -> None:
    options = ["--ids", 1, "--size", 64]
    aloud = command("plan", "--out", tmp_path / "aloud", *options)
    assert "1 identities; 3 samples" in aloud.stderr
    quiet = command("plan", "--out", tmp_path / "quiet", *options, "--quiet")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert quiet.stdout == f"plan written, 1 shard; to render it: miex run {tmp_path / 'quiet'}\n"
    assert command("run", tmp_path / "quiet", "-q").stderr == ""
    again = command("run", tmp_path / "quiet", "-q")
    assert again.stderr == "warning: 3 samples were there and have not been looked at; miex verify proves them\n"
    wrong = command("plan", "--out", tmp_path / "quiet", "--size", 130, "-q")
    assert wrong.returncode == 2
    assert "miex: --size 130" in wrong.stderr


def test_a_log_has_what_was_asked_said_and_done(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "miex.log"
    command("plan", "--out", tmp_path / "set", "--ids", 1, "--size", 64, "--quiet", "--log", log)
    command("plan", "--out", tmp_path / "set", "--ids", 2, "--size", 64, "--log", log)
    text = log.read_text()
    assert f"miex plan --out {tmp_path / 'set'} --ids 1" in text
    assert "1 identities; 3 samples" in text
    assert "planning samples: 3" in text
    assert "ids 1 → 2" in text  # the error of the second
    assert command("plan", "--out", tmp_path / "other", "--log", tmp_path).returncode == 5


@pytest.mark.parametrize("address", ["s3://sets/x", "gcs://sets/x", "https://example.org/x"])
def test_an_address_is_no_file_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.chdir(tmp_path)
    for option in ("--log", "--out"):
        done = command("recognizers", option, address)
        assert (done.returncode, list(tmp_path.iterdir())) == (2, []), done.stderr
        assert "expected: a file or folder of this machine" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize(
    "asked",
    [
        ("plan", "--out", "set", "--ids", 1, "--log", "pipe"),
        ("plan", "--out", "set", "--ids", 1, "--faces-csv", "pipe"),
        ("aus", "import", "pipe", "--out", "aus.parquet"),
    ],
)
def test_a_pipe_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[object, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    done = command(*asked)
    assert done.returncode in (3, 5), done.stderr
    assert "found: a pipe" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_log_that_cannot_be_written_is_said_once_and_the_job_goes_on(tmp_path: Path) -> None:
    done = command("plan", "--out", tmp_path / "set", "--ids", 1, "--size", 64, "--log", "/dev/full")
    assert (done.returncode, done.stderr.count("/dev/full")) == (0, 1)
    assert "plan written" in done.stdout
    wrong = command("plan", "--out", tmp_path / "set", "--size", 130, "--log", "/dev/full")
    assert (wrong.returncode, wrong.stderr.count("/dev/full")) == (2, 1)
    assert "miex: --size 130" in wrong.stderr


@pytest.mark.parametrize("limit", ["nan", "inf", "-inf", "1e999"])
def test_a_limit_of_quality_is_a_finite_number(limit: str, tmp_path: Path) -> None:
    done = command("plan", "--out", tmp_path / "set", "--quality", f"min_light={limit}")
    assert done.returncode == 2
    assert "--quality min_light=" in done.stderr
    done = command("plan", "--out", tmp_path / "set", "--min-inter-ocular", limit)
    assert done.returncode == 2


@pytest.mark.parametrize(
    "options", [("--threads", "9" * 20), ("--epochs", "1" + "0" * 20), ("--threads", 0), ("--epochs", 0)]
)
def test_a_training_has_bounds(options: tuple[str, object], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = command("train", tmp_path, "--out", tmp_path / "net", *options)
    assert done.returncode == 2
    assert options[0] in done.stderr


def test_help_version_and_panels() -> None:
    run = CliRunner().invoke
    assert run(app, ["--version"]).stdout == f"miex {__version__}\n"
    assert run(app, ["-h"]).stdout == run(app, ["--help"]).stdout
    text = run(app, ["synthesize", "-h"]).stdout
    places = [text.index(f"\n{panel}:\n") for panel in ("Faces", "AUs", "Motion", "Output", "Run")]
    assert places == sorted(places)
    for name in ("--json", "--quiet", "--log"):
        assert name in text


def test_every_command_can_print_json(tmp_path: Path) -> None:
    assert all(finding["name"] for finding in facts("doctor"))
    commands = [[command_name(c)] for c in app.registered_commands]
    for name, group in app.groups.items():
        commands += [[name, str(c.name)] for c in group.registered_commands]
    assert len(commands) > 20
    for one in commands:
        text = CliRunner().invoke(app, [*one, "--help"]).stdout
        assert "--json" in text, one
        assert "--log" in text, one


def test_no_text_commands_the_terminal() -> None:
    assert console.visible("a\x1b[2Jb\x9b1m\u202egpj.exe") == r"a\u001b[2Jb\u009b1m\u202egpj.exe"
    assert console.visible("line\nand\ttab, é, 顔") == "line\nand\ttab, é, 顔"
    told = {"name": "\x9b \u202e"}
    assert json.loads(console.visible(json.dumps(told, ensure_ascii=False))) == told
