"""Controls as condition vectors: one for each frame, from the control that led to it.

A frame whose control is unknown (the first of a clip) or dropped on purpose (for guidance) gets a learnt null
vector.
"""

import torch
from torch import Tensor, nn

from paracosm.core.shapes import Controls


class ControlEmbedding(nn.Module):
    """Rows of ``ControlSpace.to_vectors`` to condition vectors.

    Args:
        control_width: numbers of a control: keys, yaw, pitch.
        look_limit: degrees of yaw and pitch that count as 1; 0 where an axis is not used.
        width: numbers of a condition vector.
    """

    def __init__(self, control_width: int, look_limit: tuple[float, float], width: int) -> None:
        super().__init__()
        scale = torch.ones(control_width)
        scale[-2:] = torch.tensor([1.0 / limit if limit else 0.0 for limit in look_limit])
        self.register_buffer("scale", scale, persistent=False)
        self.scale: Tensor
        self.enter = nn.Linear(control_width, width)
        self.leave = nn.Linear(width, width)
        self.null = nn.Parameter(torch.zeros(width))

    def forward(self, controls: Controls, known: Tensor) -> Tensor:
        """Embed the controls that led to each frame.

        Args:
            controls: (b, t, a); entry t is the control applied at frame t - 1.
            known: bool (b, t); False takes the null vector.

        Returns:
            (b, t, d).
        """
        embedded = self.leave(nn.functional.silu(self.enter(controls * self.scale)))
        return torch.where(known[..., None], embedded, self.null.to(embedded.dtype))

    def misheard(self, said: Tensor, controls: Controls, new: Tensor) -> Tensor:
        """How far what words say lies from what the held controls would have said, relative to the latter.

        Args:
            said: (b, d), what is added to the null vector where controls are unknown.
            controls: as they were held while the words came true, (b, t, a).
            new: bool (b, t), the frames that the words tell of.

        Returns:
            Squared distance from the mean over those frames (b,), as a share of the batch's mean square.
        """
        with torch.no_grad():
            held = self(controls, torch.ones_like(new)) - self.null
            held = (held * new[..., None]).sum(1) / new.sum(1, keepdim=True).clamp_min(1)
        return (said - held).float().square().mean(-1) / held.float().square().mean().clamp_min(1e-6)
