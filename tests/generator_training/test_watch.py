"""What is seen on people held out, and when a training counts as collapsed."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from miex.generator_training.watch import PATIENCE, collapsed, look_at  # noqa: E402
from miex.generators.ganimation.networks import Painted, blend  # noqa: E402


class Writes(nn.Module):  # type: ignore[misc]
    """A generator that writes AUs into the first column of the picture, by a share, and keeps the rest."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, pictures: Tensor, aus: Tensor) -> Painted:
        color = pictures.clone()
        color[:, 0, :17, 0] = color[:, 0, :17, 0] * (1 - self.share) + aus * self.share
        attention = torch.ones_like(pictures[:, :1])
        attention[..., :17, 0] = 0
        return Painted(blend(pictures, color, attention), color, attention)


class Reads(nn.Module):  # type: ignore[misc]
    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return pictures[:, :1, :1, :1], pictures[:, 0, :17, 0]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("piece", [1, 3, 8])
def test_a_look_tells_how_much_of_a_change_is_realized(share: float, piece: int) -> None:
    torch.manual_seed(0)
    aus, targets = torch.rand(8, 17), torch.rand(8, 17)
    pictures = torch.zeros(8, 3, 20, 20)
    pictures[:, 0, :17, 0] = aus
    seen = look_at(Writes(share), Reads(), pictures, aus, targets, piece)  # type: ignore[arg-type]
    assert seen.realized == pytest.approx(share, abs=1e-6)
    apart = float((targets - aus).abs().mean())
    assert seen.au_error == pytest.approx((1 - share) * apart, abs=1e-6)
    assert seen.au_error_kept == pytest.approx(apart)
    assert seen.attention == pytest.approx(1 - 17 / 400)
    assert seen.held_cycle == pytest.approx(share * (1 - share) * apart * 17 / 1200, abs=1e-6)


def rows(n: int = 3 * PATIENCE, **values: Any) -> list[dict[str, Any]]:
    good = {"attention": 0.8, "attention_spread": 0.1, "au_error": 0.1, "au_error_kept": 0.3, "realized": 0.5,
            "held_cycle": 0.1}  # fmt: skip
    return [{**good, **values, "step": 100 * (i + 1)} for i in range(n)]


def test_a_good_training_has_not_collapsed() -> None:
    assert collapsed([], 1000) is None
    assert collapsed(rows(), 1000) is None
    assert collapsed(rows(au_error=0.35, realized=0.2), 1000) is None  # much is painted, not yet well
    assert collapsed(rows(au_error=0.29, realized=0.05), 1000) is None  # little, in the right direction


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"attention": 0.9999}, "paints nothing"),
        ({"attention": 0.001}, "nothing of the photo"),
        ({"realized": 0.001}, "changes of AUs"),
        ({"au_error": 0.5, "realized": 0.08}, "further from what was asked"),
    ],
)
def test_each_collapse_is_named(values: dict[str, float], why: str) -> None:
    history = rows(**values)
    assert why in str(collapsed(history, 1000))
    for i in range(PATIENCE):  # one good look among the last, and it is no collapse
        once = [dict(row) for row in history]
        once[-1 - i] |= rows()[0] | {"step": once[-1 - i]["step"]}
        assert collapsed(once, 1000) is None
    assert collapsed(history[: PATIENCE - 1], 1000) is None
    assert collapsed(history, 100_000) is None  # it has only begun
