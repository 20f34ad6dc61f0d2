"""Where a training runs; none of it is part of a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from miex.errors import UsageError


@dataclass(frozen=True)
class Machine:
    """Devices and threads.

    Attributes:
        devices: torch names. Several CUDA devices share each batch (torch.nn.DataParallel).
        threads: of torch on the CPU. The same number gives the same numbers again; small nets gain nothing by more.
    """

    devices: tuple[str, ...] = ("cpu",)
    threads: int = 1

    def __post_init__(self) -> None:
        try:
            kinds = {torch.device(name).type for name in self.devices}
        except RuntimeError as error:
            raise UsageError(
                f"devices {self.devices}", expected="names of torch devices, such as cpu or cuda:0", found=str(error)
            ) from error
        there = {"cpu", *(["cuda"] if torch.cuda.is_available() else [])}
        if not kinds <= there or not self.devices:
            raise UsageError(
                f"devices {', '.join(self.devices)}",
                expected=" or ".join(sorted(there)),
                found="not available on this machine",
            )
        if len(self.devices) > 1 and kinds != {"cuda"}:
            raise UsageError(
                f"devices {', '.join(self.devices)}", expected="one device, or several of CUDA",
                do="on a CPU, set `threads` instead",
            )  # fmt: skip


@contextmanager
def running_on(machine: Machine) -> Iterator[None]:
    """Torch with the machine's threads, and deterministic where it can be; as before when the block ends."""
    with _threads(machine.threads), _deterministic():
        yield


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deterministic() -> Iterator[None]:
    before, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(not torch.cuda.is_available())  # on CUDA it would refuse what nets need
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn)
