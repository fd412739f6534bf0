"""The only place where uint8 frames become model floats and back."""

import torch
from einops import rearrange

from paracosm.core.shapes import Frames, Pixels


def to_pixels(frames: Frames) -> Pixels:
    """Turn uint8 (b, t, h, w, c) into float32 (b, t, c, h, w) in [-1, 1]."""
    return rearrange(frames, "b t h w c -> b t c h w").float() / 127.5 - 1.0


def to_frames(pixels: Pixels) -> Frames:
    """Turn float (b, t, c, h, w) into uint8 (b, t, h, w, c).

    Values beyond [-1, 1] are clipped, halves round to even.
    """
    scaled = (pixels.float() + 1.0) * 127.5
    return rearrange(scaled.round().clamp(0, 255).to(torch.uint8), "b t c h w -> b t h w c")
