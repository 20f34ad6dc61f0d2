"""Look at checkpoints of GANimation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from miex.api.examples import need_training
from miex.api.work import PathLike, path
from miex.arguments import checking

if TYPE_CHECKING:
    from miex.generators.ganimation.checkpoints import Checkpoint
    from miex.generators.ganimation.manifest import KnownWeights


@dataclass(frozen=True)
class Inspected:
    """What a file is.

    Attributes:
        checkpoint: what its tensors tell.
        known: what weights.toml says of it; None if that is nothing.
    """

    checkpoint: Checkpoint
    known: KnownWeights | None

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it cannot be used; none if it can."""
        return self.checkpoint.problems

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        known = None if self.known is None else self.known.model_dump()
        return {**asdict(self.checkpoint), "path": str(self.checkpoint.path), "known": known}

    def __str__(self) -> str:
        one = self.checkpoint
        lines = [f"{one.path}: " + (f"{one.part} of the {one.family} family" if one.part else "no GANimation")]
        if one.parameters is not None:
            blocks = f", {one.blocks} residual blocks" if one.blocks is not None else ""
            lines += [f"{one.aus} AUs; {one.parameters:,} parameters, {one.width} maps in the first layer{blocks}"]
        if one.size is not None:
            lines += [f"trained at {one.size} px"]
        if one.epoch is not None:
            lines += [f"epoch {one.epoch}, by its name"]
        if self.known is not None:
            lines += [f"{self.known.origin}; {self.known.licence}; AU scale {self.known.scale:g}"]
        if one.ignored:
            lines += [f"{len(one.ignored)} tensors that the network does not use: {', '.join(one.ignored[:3])} …"]
        lines += [f"sha256 {one.sha256}, {one.bytes:,} bytes"]
        lines += [f"cannot be used: {problem}" for problem in one.problems]
        return "\n".join(lines)


@checking()
def inspect(file: PathLike) -> Inspected:
    """What a checkpoint of GANimation is, and every reason why it cannot be used. No code in it is run.

    Args:
        file: a file of torch.save or of safetensors.

    Raises:
        UsageError: torch is not installed.
        InputError: there is no such file, or it is larger than 1 GiB; or the weights.toml beside it is not one.
    """
    need_training("reading checkpoints")
    from miex.generators.ganimation.checkpoints import inspect as look
    from miex.generators.ganimation.manifest import known_weights

    found = look(path(file))
    return Inspected(found, known_weights(found.sha256, found.path))
