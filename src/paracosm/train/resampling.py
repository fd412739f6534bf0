"""A past as play will see it: the frames of a clip as the network itself would make them, errors and all.

True frames are noised, and the network says what they were, each under its past. The answers differ from the
truth as far as the noise hides it, so that the true next frame still follows from them, but look made. Who
learns to go on from such a past to true frames learns to mend it. This file does NOT know losses or stages.

Source: Guo et al. 2512.15702 (Resampling Forcing), who make one frame after the other; here all frames of a
clip are made at once, and again under the past just made: errors add up over as many frames as rounds.
"""

from __future__ import annotations

import torch

from paracosm.core.shapes import Controls, Latents
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.flow_clip import Setting, predict_clips
from paracosm.models.noise import mix

from .clip_batches import known_controls


@torch.no_grad()
def resample(
    dynamics: FlowDynamics,
    clean: Latents,
    controls: Controls,
    generator: torch.Generator,
    *,
    rounds: int,
    mean: float,
    deviation: float,
) -> Latents:
    """Make the frames of true clips anew.

    Args:
        dynamics: causal.
        clean: (b, t, z, h, w), true frames.
        controls: (b, t, a), entry t leads to frame t.
        generator: of noise, on the CPU.
        rounds: passes; the past of each is what the one before made, of the first the truth.
        mean: of the normal whose sigmoid is a clip's noise level, drawn anew in each round.
        deviation: standard deviation of that normal.

    Returns:
        Like ``clean``, without a gradient; the first frame, which has no past, stays true.
    """
    b, t = clean.shape[:2]
    known, past = known_controls(b, t, clean.device), clean
    for _ in range(rounds):
        drawn = torch.sigmoid(mean + deviation * torch.randn(b, 1, generator=generator))
        levels = drawn.expand(b, t).to(clean)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        setting = Setting(
            past=past, past_levels=torch.zeros_like(levels), controls=controls, known=known, start=1
        )
        made = predict_clips(dynamics, mix(clean, noise, levels), levels, setting).to(clean)
        past = torch.cat([clean[:, :1], made[:, 1:]], 1)
    return past
