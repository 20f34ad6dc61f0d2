"""A user's own OpenFace 2 binary (FeatureExtraction), run over the clips of a corpus."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from miex.aus.tracks import Track
from miex.aus.vector import N_AUS
from miex.corpora.clip import Clip
from miex.errors import InputError
from miex.extraction.csv_tables import import_csv
from miex.extraction.extractor import AUExtractor, track_name

_SECONDS = 600  # for one clip: OpenFace needs a tenth of a second a frame


@dataclass(frozen=True)
class OpenFaceBinary(AUExtractor):
    """FeatureExtraction of OpenFace 2.x.

    Its frames are handed over under names that sort: OpenFace reads folders in lexical order, which puts `img10.jpg`
    before `img2.jpg`.

    Attributes:
        binary: the program.
        stated: its version in the user's words; the program itself does not tell. The recorded version also has the
            first digits of the file's sha256.
    """

    binary: Path
    stated: str = ""
    name: ClassVar[str] = "openface"

    @cached_property
    def _program(self) -> Path:
        # a file in this folder is meant, too, which no shell would look for
        found = self.binary.resolve() if self.binary.is_file() else shutil.which(self.binary)
        if found is None:
            raise InputError(
                f"OpenFace binary {self.binary}", expected="a program", found="none that can be started",
                do="give the path of FeatureExtraction in your OpenFace",
            )  # fmt: skip
        return Path(found)

    @cached_property
    def version(self) -> str:
        """Raises InputError where there is no such program."""
        digest = hashlib.sha256(self._program.read_bytes()).hexdigest()[:12]
        return f"{self.stated or 'unknown'} (sha256 {digest})"

    def extract(self, clip: Clip) -> Track:
        asked = f"OpenFace on {clip.corpus} {track_name(clip)}"
        with tempfile.TemporaryDirectory(prefix="miex-openface-") as folder:
            frames, out = Path(folder) / "frames", Path(folder) / "out"
            frames.mkdir()
            for i, path in enumerate(clip.frames):
                _hand_over(path.resolve(), frames / f"{i:06d}{path.suffix.lower()}")
            command = [
                shutil.which(self.binary) or self.binary,
                "-fdir",
                frames,
                "-out_dir",
                out,
                "-of",
                "clip",
                "-aus",
            ]
            try:
                done = subprocess.run(
                    list(map(str, command)), capture_output=True, text=True, errors="replace", check=False,
                    timeout=_SECONDS, stdin=subprocess.DEVNULL,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired) as error:
                raise InputError(asked, expected="its output", found=str(error)) from error
            table = out / "clip.csv"
            if done.returncode or not table.is_file():
                last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
                raise InputError(
                    asked,
                    expected="clip.csv",
                    found=f"exit code {done.returncode}: {last[:200]}",
                    do="run the program by hand on one clip, and check that it finds its models",
                )
            (track,) = import_csv([table], format_name="openface", version=self.version, first_frame=1).tracks
        if len(track.frames) and track.frames[-1] >= len(clip.frames):
            found = f"frame {track.frames[-1] + 1}"
            raise InputError(asked, expected=f"at most {len(clip.frames)} frames", found=found)
        # what it says nothing of has failed
        every = np.arange(len(clip.frames), dtype=np.int32)
        aus = np.full((len(every), N_AUS), np.nan, np.float32)
        confidence = np.full(len(every), np.nan, np.float32)
        aus[track.frames], confidence[track.frames] = track.aus, track.confidence
        return replace(track, clip=track_name(clip), frames=every, aus=aus, confidence=confidence)


def _hand_over(path: Path, target: Path) -> None:
    try:
        target.symlink_to(path)
    except OSError:  # systems and disks without links
        shutil.copyfile(path, target)
