"""What a flow dynamics says of whole clips, causal or bidirectional: predictions, guidance, trajectories.

A causal network is asked about every frame under a clean past beside it; a bidirectional one sees the whole
noisy clip, of which the first frames may be given clean. This file does NOT know losses or caches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from paracosm.core.shapes import Controls, Latents, NoiseLevels

from .dynamics_flow import FlowDynamics
from .rollout import euler


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is given of clips when their frames are asked for.

    Attributes:
        past: (b, t, z, h, w): for a causal network the past of every frame; for a bidirectional one only its
            first ``start`` frames count.
        past_levels: (b, t), noise levels of the past.
        controls: (b, t, a), entry t leads to frame t.
        known: bool (b, t), which controls are known.
        start: frames given at the beginning, which are not asked for.
    """

    past: Latents
    past_levels: NoiseLevels
    controls: Controls
    known: Tensor
    start: int


def predict_clips(
    dynamics: FlowDynamics, noisy: Latents, levels: NoiseLevels, setting: Setting, guidance: float = 1.0
) -> Latents:
    """Predict the clean latents of every frame; those of the start are as the network made them.

    Args:
        dynamics: causal or bidirectional.
        noisy: (b, t, z, h, w).
        levels: (b, t).
        setting: what is given.
        guidance: how far from no control towards the control; 1 is plain and costs one pass, else two.
    """
    asked = _predict(dynamics, noisy, levels, setting, setting.known)
    if guidance == 1.0:
        return asked
    given = torch.arange(noisy.shape[1], device=noisy.device) < setting.start
    free = _predict(dynamics, noisy, levels, setting, setting.known & given)
    return free + guidance * (asked - free)


def solve_clips(
    dynamics: FlowDynamics,
    noise: Latents,
    setting: Setting,
    levels: Sequence[float],
    guidance: float = 1.0,
) -> list[Latents]:
    """Follow the flow of every frame from noise by Euler steps.

    Args:
        dynamics: see :func:`predict_clips`, like ``setting`` and ``guidance``.
        noise: (b, t, z, h, w), standard normal.
        setting: see ``dynamics``.
        levels: noise levels of the passes, falling from 1.
        guidance: see ``dynamics``.

    Returns:
        The clips at each of ``levels``, then the clean ones.
    """
    x, trajectory = noise, [noise]
    for index, level in enumerate(levels):
        at = x.new_full(x.shape[:2], level)
        clean = predict_clips(dynamics, x, at, setting, guidance).float()
        lower = levels[index + 1] if index + 1 < len(levels) else 0.0
        x = euler(x, clean, level, lower)
        trajectory.append(x)
    return trajectory


def _predict(
    dynamics: FlowDynamics, noisy: Latents, levels: NoiseLevels, setting: Setting, known: Tensor
) -> Latents:
    if not dynamics.config.ahead:
        past = (setting.past, setting.past_levels)
        return dynamics(noisy, levels, setting.controls, known, past, setting.known)
    start = setting.start
    noisy = torch.cat([setting.past[:, :start], noisy[:, start:]], 1)
    levels = torch.cat([torch.zeros_like(levels[:, :start]), levels[:, start:]], 1)
    return dynamics(noisy, levels, setting.controls, known)
