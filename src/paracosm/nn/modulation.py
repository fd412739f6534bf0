"""Adaptive norm: a condition vector shifts, scales and gates a layer, one vector a frame.

Source: Peebles and Xie 2212.09748, section 3.2 (adaLN-Zero).
"""

from torch import Tensor, nn
from torch.nn import functional

from .norm import rms_norm


class Modulation(nn.Module):
    """Makes ``count`` vectors of the layer's width from a condition.

    They are zero at first, so that a block begins as identity.

    Args:
        width: numbers of the condition and of each vector.
        count: vectors made, e.g. 6 for two layers with shift, scale and gate each.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.make = nn.Linear(width, count * width)
        nn.init.zeros_(self.make.weight)
        nn.init.zeros_(self.make.bias)

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Return ``count`` tensors (b, t, 1, d) from a condition (b, t, d)."""
        return self.make(functional.silu(condition))[:, :, None].chunk(self.count, -1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalise x (b, t, s, d), then scale by 1 + scale and shift."""
    return rms_norm(x) * (1.0 + scale) + shift
