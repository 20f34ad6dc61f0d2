"""STSTNet in the order of its authors' code: batch norm before the max-pool (see `ststnet`)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from miex.recognition.networks.ststnet import STSTNet


class STSTNetAuthors(STSTNet):
    """STSTNet whose batch norm uses all positions of the convolved maps, not only those that max-pool keeps.

    Layers and parameters are those of `ststnet`; the reference results of miex were computed with the order there.
    """

    def join(self, x: Tensor) -> Tensor:
        """The output of the three streams, joined: [n, 16, (s + 4) // 3, (s + 4) // 3]."""
        x = self.norm(self.convolved(x).relu())
        joined: Tensor = self.dropout(F.max_pool2d(x, 3, 3, 1))
        return joined
