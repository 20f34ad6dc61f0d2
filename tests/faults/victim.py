"""`miex run FOLDER` in processes of its own, to one of which a fault comes at a known call; and which calls there are.

Its workers import this module, too, so that what is asked by the environment holds in them as in the driver.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from tests.faults.disk import Call, Disk, Fault

ASKED = "MIEX_TEST_FAULT"


class _Recorded(Disk):
    """Notes each call in a file before it is made."""

    def __init__(self, folder: Path, notes: str) -> None:
        super().__init__(folder)
        self._notes = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def act(self, act: str, name: str) -> None:
        super().act(act, name)
        os.write(self._notes, json.dumps(self.calls[-1]).encode() + b"\n")


def _disk() -> Disk | None:
    asked = json.loads(os.environ[ASKED])
    who = "driver" if __name__ == "__main__" else "worker"
    if "notes" in asked:
        return _Recorded(Path(asked["folder"]), f"{asked['notes']}/{who}")
    if who != asked["who"]:
        return None

    def happens() -> None:
        if asked["once"]:
            try:
                os.close(os.open(asked["once"], os.O_CREAT | os.O_EXCL))
            except FileExistsError:  # the task is done again
                return
        if asked["what"] == "memory":
            raise MemoryError
        os.kill(os.getpid(), signal.Signals[asked["what"]])

    later = frozenset() if asked["once"] else frozenset({asked["at"][0]})
    return Disk(Path(asked["folder"]), Call(*asked["at"]), Fault(happens, later))


if ASKED in os.environ and __name__ in ("__main__", "__mp_main__") and (disk := _disk()):
    disk.__enter__()

if __name__ == "__main__":
    from miex.commands.main import program_and_exit

    sys.argv = ["miex", "run", *sys.argv[1:]]
    program_and_exit()
