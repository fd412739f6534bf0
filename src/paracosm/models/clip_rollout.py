"""Clips made from words, and continued clip after clip, by the one rollout.

A block is all frames that are new. The past is the last frames as they are; it is given clean at level 0 and
sits before the new frames in every pass. This file does NOT know pixels, worlds or losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from paracosm.core.shapes import Latents

from .dynamics_masked import MaskedDynamics
from .instruct import Instructions, InstructNet, predict_instructed
from .rollout import check_levels, next_frame
from .text import TextTokens


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What leads to the next clip.

    Attributes:
        text: words of the base.
        conditions: (b, 3), of the whole clip, given frames included.
        told: instructions of the branch over the whole clip; None leaves the branch out.
    """

    text: TextTokens
    conditions: Tensor
    told: Instructions | None = None


class ClipRollout:
    """Makes the next frames of clips.

    Args:
        base: the masked dynamics, in eval mode.
        branch: its branch, or None.
        levels: noise levels of the passes, falling from 1.
        guidance: how far from nothing said towards what is said; 1 is plain and costs one pass, else two.
    """

    def __init__(
        self,
        base: MaskedDynamics,
        branch: InstructNet | None = None,
        *,
        levels: Sequence[float],
        guidance: float = 1.0,
    ) -> None:
        check_levels(levels)
        self.base, self.branch, self.levels, self.guidance = base, branch, levels, guidance

    @torch.no_grad()
    def next(self, noise: Latents, past: Latents | None, asked: Asked) -> Latents:
        """Make the frames that follow.

        Args:
            noise: (b, n, z, h, w), standard normal, of the new frames.
            past: (b, x, z, h, w), the frames before; None makes a clip from words alone.
            asked: what leads to the clip of x + n frames.

        Returns:
            (b, n, z, h, w), clean.
        """
        given = noise[:, :0] if past is None else past
        made, _ = next_frame(self._denoise, _keep, noise, self.levels, asked, given)
        return made

    def _denoise(self, x: Latents, level: float, control: Asked, cache: Latents) -> Latents:
        given = cache.shape[1]
        clip = torch.cat([cache, x], 1)
        levels = clip.new_full(clip.shape[:2], level)
        levels[:, :given] = 0.0
        clean = self._predict(clip, levels, control)
        if self.guidance != 1.0:
            none = torch.zeros(len(x), dtype=torch.bool)
            told = None if control.told is None else control.told.keep(none)
            free = Asked(text=control.text.keep(none), conditions=control.conditions, told=told)
            unasked = self._predict(clip, levels, free)
            clean = unasked + self.guidance * (clean - unasked)
        return clean[:, given:]

    def _predict(self, clip: Latents, levels: Tensor, asked: Asked) -> Latents:
        told = asked.told
        return predict_instructed(
            self.base, self.branch, clip, levels, asked.text, asked.conditions, told
        ).float()


def _keep(clean: Latents, control: Asked, cache: Latents) -> Latents:
    return torch.cat([cache, clean], 1)
