"""`python -m tools.clean_environment`: miex as whoever installs it has it.

Builds the source archive and, from that, the wheel; proves that the wheel holds every file of src/miex that git knows,
the licences, and nothing else; installs it into a new environment and runs there, outside the checkout, commands that
work without extras, and then the studio with its own. Ends with an error at the first thing that is not as it should
be.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
import zipfile
from http.cookiejar import CookieJar
from pathlib import Path

ROOT = Path(__file__).parents[1]
LICENCES = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["license-files"]
OWN = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", *(f"licenses/{name}" for name in LICENCES)}
# what no one who installs miex has set: another miex on the path, models named by hand
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MIEX_LANDMARKER", "MIEX_SFACE")


def main() -> None:
    """Build, compare, install and run."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _timed("build", sys.executable, "-m", "build", "--outdir", str(place / "dist"), str(ROOT))
        (wheel,) = (place / "dist").glob("*.whl")
        wrong = differing(wheel)
        if wrong:
            sys.exit(f"the wheel and the files of src/miex that git knows differ: {wrong}")
        binaries = place / "environment" / "bin"
        _timed("environment", sys.executable, "-m", "venv", str(binaries.parent))
        install = (str(binaries / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _timed("installation", *install, str(wheel))
        _run(binaries / "miex", place / "work")
        _timed("installation of the studio", *install, f"{wheel}[studio]")
        _look(binaries / "miex", place / "work")


def differing(wheel: Path) -> list[str]:
    """Names that only the wheel has, or only src/miex."""
    listed = subprocess.run(["git", "ls-files", "src/miex"], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = {name.removeprefix("src/") for name in listed.stdout.splitlines()}
    about = "-".join(wheel.name.split("-")[:2]) + ".dist-info/"
    return sorted(set(zipfile.ZipFile(wheel).namelist()) ^ (expected | {about + name for name in OWN}))


def _run(miex: Path, work: Path) -> None:
    """What a first user does, in a folder of their own."""
    work.mkdir()

    def command(*words: str) -> str:
        return _timed(f"miex {words[0]}", str(miex), *words, cwd=work)

    command("--version")
    command("--help")
    command("doctor", "--fetch")
    command("synthesize", "--out", "set", "--samples", "6")
    command("verify", "set")
    command("export", "set", "--to", "folder", "--out", "frames")
    onset, apex = sorted(map(str, next(work.glob("frames/frames/*negative*")).glob("*.png")))
    command("predict", onset, apex)
    command("render", onset, "--au", "12=0.5", "--out", "smile")


def _look(miex: Path, work: Path) -> None:
    """The pages of a studio at the address that it prints, and its end by Ctrl-C."""
    start = time.monotonic()
    command = (str(miex), "studio", "set", "--json")
    running = subprocess.Popen(command, cwd=work, env=_clear(), stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        address = json.loads(running.stdout.readline())["address"]
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        pages = [browser.open(one, timeout=60).read() for one in (address, address.replace("/set?", "/?"))]
        if not all(page.startswith(b"<!doctype html>") for page in pages):
            sys.exit(f"miex studio gave no pages: {pages}")
        running.send_signal(signal.SIGINT)
        running.wait(60)
    finally:
        running.kill()
    _ended("miex studio", start, running.returncode, *command)


def _timed(name: str, *command: str, cwd: Path | None = None) -> str:
    """What a command prints. One that fails ends all, with what it said."""
    start = time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=_clear(), capture_output=True, text=True, check=False)
    _ended(name, start, done.returncode, *command, f"\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def _ended(name: str, start: float, code: int, *told: str) -> None:
    """Print how long a command took; one that failed ends all."""
    print(f"{time.monotonic() - start:6.1f} s  {name}", flush=True)
    if code:
        sys.exit(f"{' '.join(told)}\nended with {code}")


def _clear() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in FOREIGN}


if __name__ == "__main__":
    main()
