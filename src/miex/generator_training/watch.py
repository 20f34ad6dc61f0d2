"""Looks at people held out: what the generator does to them, and whether its training has collapsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from miex.generators.ganimation.networks import DiscriminatorNetwork, GeneratorNetwork

KEPT, REPAINTED = 0.998, 0.02  # mean attention: nothing is painted, and nothing of the photo is left
IGNORED = 0.02  # share of the asked changes that the discriminator sees: below, AUs are ignored
POOR = 0.1  # below, and AUs further from the target than without painting: AUs are painted wrong
PATIENCE = 5  # looks in a row


@dataclass(frozen=True)
class Look:
    """What is seen on people held out.

    Attributes:
        attention: A, mean over pixels and pictures: 1 keeps the photo, 0 leaves nothing of it.
        attention_spread: standard deviation of A over the pixels of a picture, mean over pictures.
        au_error: mean absolute difference between the target AUs and those that the discriminator reads off the
            repainted picture.
        au_error_kept: the same if the pictures were not repainted.
        realized: how much of a change of AUs the discriminator sees: least-squares slope of what it reads, repainted −
            picture, on target − own AUs. 0: targets are ignored; 1: they are met.
        held_cycle: mean absolute difference, in [0, 2], between pictures and what is left of them after they were
            repainted and back.
    """

    attention: float
    attention_spread: float
    au_error: float
    au_error_kept: float
    realized: float
    held_cycle: float

    def plain(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


@torch.no_grad()  # type: ignore[untyped-decorator]
def look_at(
    generator: GeneratorNetwork, discriminator: DiscriminatorNetwork, pictures: Tensor, aus: Tensor, targets: Tensor,
    piece: int,
) -> Look:  # fmt: skip
    """Repaint pictures of people held out, and measure it.

    Args:
        generator, discriminator: as trained so far.
        pictures: float32 [n, 3, s, s], in [−1, 1].
        aus, targets: float32 [n, 17].
        piece: pictures at a time.
    """
    attention, spread, cycle, before, after = [], [], [], [], []
    parts = (values.split(piece) for values in (pictures, aus, targets))
    for picture, own, target in zip(*parts, strict=True):
        painted = generator(picture, target)
        back = generator(painted.pictures, own).pictures
        attention.append(painted.attention.flatten(1).mean(1))
        spread.append(painted.attention.flatten(1).std(1))
        cycle.append((back - picture).abs().flatten(1).mean(1))
        before.append(discriminator(picture)[1])
        after.append(discriminator(painted.pictures)[1])
    read_before, read_after = torch.cat(before).float(), torch.cat(after).float()
    asked, seen = (targets - aus).flatten().double(), (read_after - read_before).flatten().double()

    def mean(values: list[Tensor]) -> float:
        return float(torch.cat(values).float().mean())

    return Look(
        attention=mean(attention),
        attention_spread=mean(spread),
        au_error=float((read_after - targets).abs().mean()),
        au_error_kept=float((read_before - targets).abs().mean()),
        realized=float((asked @ seen) / (asked @ asked).clamp_min(1e-9)),
        held_cycle=mean(cycle),
    )


def collapsed(history: Sequence[Mapping[str, Any]], steps: int) -> str | None:
    """Why a training has collapsed, a sentence; None if it has not.

    Attention is judged after a tenth of all steps, AUs after half of them: until then generators mostly keep what they
    see. Each must be wrong at every one of the last looks.

    Args:
        history: rows of the log.
        steps: of the whole training.
    """
    last = history[-PATIENCE:]
    if len(last) < PATIENCE:
        return None
    values: dict[str, list[float]] = {name: [row[name] for row in last] for name in Look.__annotations__}
    seen = f"in each of the last {PATIENCE} looks at people held out"
    if last[0]["step"] > steps / 10:
        if min(values["attention"]) > KEPT:
            return f"mean attention was above {KEPT} {seen}: it keeps the photo and paints nothing"
        if max(values["attention"]) < REPAINTED:
            return f"mean attention was below {REPAINTED} {seen}: it keeps nothing of the photo"
    if last[0]["step"] > steps / 2:
        if max(values["realized"]) < IGNORED:
            return f"less than {IGNORED:.0%} of the changes of AUs that were asked for could be seen {seen}"
        further = all(a > b for a, b in zip(values["au_error"], values["au_error_kept"], strict=True))
        if further and max(values["realized"]) < POOR:
            return f"AUs were further from what was asked for than in unpainted photos {seen}"
    return None
