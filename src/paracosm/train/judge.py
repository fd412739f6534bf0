"""A quick judge of dreams while a student learns: closeness, sharpness, motion and control on recorded clips.

Figures are shares of what real frames show, so that 1 is the game and a still or blurred picture cannot
score. The evaluation measures the same ideas with intervals and anchors; this one takes seconds. It does NOT
decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from paracosm.core.rng import sub_seed
from paracosm.core.shapes import Controls, Latents
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.flow_rollout import RolloutConfig, continue_clips
from paracosm.models.inverse_dynamics import FRAMES_AFTER, FRAMES_BEFORE, InverseDynamics
from paracosm.models.pixels import to_frames
from paracosm.models.tokenizer_vae import TokenizerVAE

HELD = 0.5
"""Probability from which a key counts as read."""


@dataclass(frozen=True, kw_only=True)
class JudgedClips:
    """Clips that dreams are held against.

    Attributes:
        latents: (b, t, z, h, w), as the tokenizer encoded them.
        controls: (b, t, a), entry t leads to frame t.
        real: uint8 (b, t, h, w, 3): the frames as the decoder shows them, so that only the dream is judged.
        start: frames that a dream is given.
    """

    latents: Latents
    controls: Controls
    real: np.ndarray
    start: int


def judged_clips(latents: Latents, controls: Controls, start: int, tokenizer: TokenizerVAE) -> JudgedClips:
    """Decode clips once, for many judgements."""
    return JudgedClips(latents=latents, controls=controls, real=show_frames(latents, tokenizer), start=start)


@torch.no_grad()
def show_frames(latents: Latents, tokenizer: TokenizerVAE) -> np.ndarray:
    """Decode latents (b, t, z, h, w) on the tokenizer's device to uint8 (b, t, h, w, 3)."""
    return to_frames(tokenizer.decode(latents.to(tokenizer.shift.device))[0]).cpu().numpy()


@torch.no_grad()
def dream_clips(dynamics: FlowDynamics, clips: JudgedClips, config: RolloutConfig, seed: int = 0) -> Latents:
    """Continue the clips from their starts, freely."""
    generator = torch.Generator().manual_seed(sub_seed(seed, "judge"))
    device = dynamics.place.device
    start, controls = clips.latents[:, : clips.start].to(device), clips.controls.to(device)
    return continue_clips(dynamics, start, controls, config, generator)


def judge_dream(
    made: np.ndarray, clips: JudgedClips, reader: InverseDynamics | None = None
) -> dict[str, float]:
    """Measure dreamt frames uint8 (b, t, h, w, 3) against the real ones.

    Returns:
        ``gain_db``, PSNR above that of standing still, mean over the dreamt frames; ``sharpness_share`` and
        ``motion_share`` of the real frames'; with a reader ``control_f1``, mean over keys of the F1 of keys
        read in the dream, and ``control_share`` of the same in real frames.
    """
    dreamt, real = made[:, clips.start :], clips.real[:, clips.start :]
    still = np.broadcast_to(clips.real[:, clips.start - 1 : clips.start], real.shape)
    last = slice(clips.start - 1, None)
    figures = {
        "gain_db": float(np.mean(_psnr(dreamt, real) - _psnr(still, real))),
        "sharpness_share": _sharpness(dreamt) / max(_sharpness(real), 1e-6),
        "motion_share": _motion(made[:, last]) / max(_motion(clips.real[:, last]), 1e-6),
    }
    if reader is not None and reader.config.keys:
        scores = [_read_f1(frames, clips, reader) for frames in (made, clips.real)]
        figures["control_f1"] = scores[0]
        figures["control_share"] = scores[0] / max(scores[1], 1e-6)
    return figures


def _read_f1(frames: np.ndarray, clips: JudgedClips, reader: InverseDynamics) -> float:
    """Mean over keys of F1; reading i of a clip is that of the control that leads to frame i + 2."""
    first = max(0, clips.start - 1 - FRAMES_BEFORE)
    last = frames.shape[1] - FRAMES_AFTER
    keys = len(reader.config.keys)
    asked = clips.controls[:, first + FRAMES_BEFORE + 1 : last + 1, :keys].cpu().numpy() > 0.5
    read = np.stack([reader.read(clip[first:]).keys for clip in frames]) >= HELD
    hit = (read & asked).sum((0, 1))
    wrong = (read ^ asked).sum((0, 1))
    judged = hit + wrong > 0
    return float(np.mean((2 * hit / np.maximum(2 * hit + wrong, 1))[judged])) if judged.any() else 0.0


def _psnr(made: np.ndarray, real: np.ndarray) -> np.ndarray:
    error = np.square(made.astype(np.float32) - real.astype(np.float32)).mean((-3, -2, -1))
    return 10 * np.log10(255.0**2 / np.maximum(error, 0.07))


def _sharpness(frames: np.ndarray) -> float:
    grey = frames.astype(np.float32).mean(-1)
    return float(np.abs(np.diff(grey, axis=-1)).mean() + np.abs(np.diff(grey, axis=-2)).mean()) / 2


def _motion(frames: np.ndarray) -> float:
    return float(np.abs(np.diff(frames.astype(np.float32).mean(-1), axis=1)).mean())
