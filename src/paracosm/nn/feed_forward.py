"""The feed-forward layer: two products with a gated nonlinearity between (SwiGLU).

Source: Shazeer 2002.05202, section 2.
"""

from torch import Tensor, nn
from torch.nn import functional

from .fused import can_fuse, fused_gate


class FeedForward(nn.Module):
    """Gated feed-forward.

    Args:
        width: numbers in and out.
        hidden: numbers between.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width, 2 * hidden, bias=False)
        self.leave = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to (..., width)."""
        x = self.enter(x)
        if can_fuse(x):
            return self.leave(fused_gate(x))
        gate, value = x.chunk(2, -1)
        return self.leave(functional.silu(gate) * value)
