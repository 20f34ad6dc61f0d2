"""The losses of GANimation against hand-made cases."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from miex.generator_training.losses import gradient_penalty, total_variation  # noqa: E402


class Linear(nn.Module):  # type: ignore[misc]
    """Scores that grow by `slope` along a direction of length 1: a critic whose gradient is known."""

    def __init__(self, slope: float, patches: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.full((3, 4, 4), slope / 48**0.5))
        self.patches = patches

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        score = (pictures * self.direction).sum(dim=(1, 2, 3)) / self.patches**2
        return score[:, None, None, None].expand(-1, 1, self.patches, self.patches), score[:, None]


@pytest.mark.parametrize("patches", [1, 2])
@pytest.mark.parametrize(("slope", "penalty"), [(1.0, 0.0), (3.0, 4.0), (0.0, 1.0)])
def test_the_penalty_is_that_of_the_slope_of_all_patches(slope: float, penalty: float, patches: int) -> None:
    critic = Linear(slope + 1e-9, patches)
    real, fake, share = torch.rand(5, 3, 4, 4), torch.rand(5, 3, 4, 4), torch.rand(5)
    found = gradient_penalty(critic, real, fake, share)  # type: ignore[arg-type]
    assert float(found.detach()) == pytest.approx(penalty, abs=1e-5)
    if slope:
        found.backward()  # it can be learned from
        assert critic.direction.grad is not None
        assert bool(torch.isfinite(critic.direction.grad).all())


def test_the_penalty_is_taken_between_photo_and_painted() -> None:
    """A critic that is steep for bright pictures only: the share of the photo decides."""

    class Steep(nn.Module):  # type: ignore[misc]
        def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
            score = (pictures.mean(dim=(1, 2, 3)) ** 2) * 10
            return score[:, None, None, None], score[:, None]

    bright, black = torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    penalties = [
        float(gradient_penalty(Steep(), bright, black, torch.tensor([share])).detach())  # type: ignore[arg-type]
        for share in (0.0, 1.0)
    ]
    # the gradient of 10·mean² is 20·mean/48 in each of 48 pixels, of length 20·mean/√48
    assert penalties == pytest.approx([1.0, (20 / 48**0.5 - 1) ** 2], abs=1e-5)


def test_total_variation_by_hand() -> None:
    maps = torch.tensor([[[[0.0, 1.0], [0.0, 0.5]]], [[[0.3, 0.3], [0.3, 0.3]]]])
    assert float(total_variation(maps)) == pytest.approx((0.5 + 1.0 + 0.5) / 2)
