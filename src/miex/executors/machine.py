"""Where a training runs: devices and threads, which are not part of a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from miex.errors import UsageError


@dataclass(frozen=True)
class Machine:
    """The devices and threads of a training.

    Attributes:
        devices: names of torch devices. Each batch is split among several CUDA devices (torch.nn.DataParallel).
        threads: number of torch's threads on the CPU. Results are repeatable for the same number of threads; small
            networks gain nothing from more.

    Raises:
        UsageError: a device does not exist, or several are given that are not all CUDA devices.
    """

    devices: tuple[str, ...] = ("cpu",)
    threads: int = 1

    def __post_init__(self) -> None:
        try:
            kinds = {torch.device(name).type for name in self.devices}
        except RuntimeError as error:
            asked = f"`device` {', '.join(self.devices)}"
            raise UsageError(
                asked, expected="names of torch devices, such as cpu or cuda:0", found=str(error)
            ) from error
        there = {"cpu", *(["cuda"] if torch.cuda.is_available() else [])}
        if not kinds <= there or not self.devices:
            raise UsageError(
                f"`device` {', '.join(self.devices)}",
                expected=" or ".join(sorted(there)),
                found="a device that torch does not find on this machine" if self.devices else "none",
            )
        if len(self.devices) > 1 and kinds != {"cuda"}:
            raise UsageError(
                f"`device` {', '.join(self.devices)}", expected="one device, or several CUDA devices",
                do="to use more of a CPU, give cpu once and a larger number of `threads`",
            )  # fmt: skip


@contextmanager
def running_on(machine: Machine) -> Iterator[None]:
    """Set torch's number of threads, and make it deterministic on CPUs; both are restored when the block ends."""
    with torch_threads(machine.threads), _deterministic():
        yield


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Torch with n threads on the CPU, until the block ends. With one, workers share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deterministic() -> Iterator[None]:
    before, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(
        not torch.cuda.is_available()
    )  # on CUDA it would refuse operations that networks need
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn)
