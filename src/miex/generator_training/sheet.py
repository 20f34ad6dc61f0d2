"""Pictures of a training: sheets of people held out, and the curves of its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from miex.aus.vector import AU_INDEX, N_AUS
from miex.figures import figure
from miex.generators.ganimation.networks import GeneratorNetwork, as_levels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What is asked of each person on a sheet: one after another the muscles that carry most expressions.
ASKED = ((12,), (4,), (1, 2), (15,), (25, 26))


@torch.no_grad()  # type: ignore[untyped-decorator]
def sheet(generator: GeneratorNetwork, pictures: Tensor, intensity: float, title: str) -> Figure:
    """Each person as photographed and with single AUs, and how much of the photo is kept (white: all).

    Args:
        generator: as trained so far.
        pictures: float32 [n, 3, s, s], in [−1, 1].
        intensity: of the AUs.
        title: of the sheet.
    """
    columns = [("photo", as_levels(pictures).cpu().numpy())]
    for i, together in enumerate(ASKED):
        aus = torch.zeros(len(pictures), N_AUS, device=pictures.device)
        aus[:, [AU_INDEX[au] for au in together]] = intensity
        painted = generator(pictures, aus)
        name = f"AU {' + '.join(map(str, together))}"
        columns.append((name, as_levels(painted.pictures).cpu().numpy()))
        if i == 0:
            kept = (painted.attention.float()[:, 0] * 255).round().to(torch.uint8).cpu().numpy()
            columns.append((f"attention, {name}", np.repeat(kept[..., None], 3, -1)))
    side = pictures.shape[-1]
    tiled = np.concatenate([shown.reshape(-1, side, 3) for _, shown in columns], axis=1)
    made = figure(1.5 * len(columns), 1.5 * len(pictures) + 0.6)
    ax = made.subplots()
    ax.imshow(tiled, interpolation="nearest")
    ax.set_xticks([side * (i + 0.5) for i in range(len(columns))], [name for name, _ in columns], fontsize=9)
    ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_title(title, fontsize=10)
    return made


PANELS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("critic: photo − painted", (("critic", ""), ("penalty", "gradient penalty"))),
    ("AU regression, squared error", (("critic_aus", "photos"), ("aus", "repainted"))),
    ("cycle, absolute error", (("cycle", "training"), ("held_cycle", "held out"))),
    ("attention, held out", (("attention", "mean"), ("attention_spread", "spread"))),
    ("AUs read, held out: absolute error", (("au_error", "repainted"), ("au_error_kept", "photo as it is"))),
    ("share of the asked change realized, held out", (("realized", ""),)),
)


def curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """The log as curves over steps."""
    made = figure(11, 5.5)
    steps = [row["step"] for row in history]
    for ax, (title, lines) in zip(made.subplots(2, 3).flat, PANELS, strict=True):
        for name, label in lines:
            ax.plot(steps, [row[name] for row in history], label=label, linewidth=1.2, marker=".", markersize=3)
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("step", fontsize=8)
        ax.tick_params(labelsize=8)
        if len(lines) > 1:
            ax.legend(fontsize=8, frameon=False)
    return made
