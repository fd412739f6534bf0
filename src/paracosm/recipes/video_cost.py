"""What a streamed video world describes and would cost, counted on the meta device without a weight.

Operations are those of matrix products and attention as torch counts them; those of the picture codec were
counted once for the published one and are kept as a figure a pixel, since its library is optional. This file
does NOT time anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from paracosm.models.dynamics_video import BlockInput, VideoDynamics

from .matrix_game2 import VideoRecipe

DECODE_FLOPS_PER_PIXEL = 8.466e6
"""Of Wan 2.1's decoder for each pixel of each frame, counted with diffusers 0.42.1 at 352 x 640."""
CODEC_PARAMETERS = 126_892_531
"""Of Wan 2.1's autoencoder."""
IMAGE_ENCODER_PARAMETERS = 632_076_800
"""Of CLIP ViT-H/14's image tower as published; it runs once a session."""
CODEC_STATE_BYTES_PER_PIXEL = 4730.0
"""Of the decoder's memory of the past at two bytes a number, at 352 x 640."""
HALF, SINGLE = 2, 4
"""Bytes of a number."""


@dataclass(frozen=True, kw_only=True)
class VideoCost:
    """What a recipe is and costs.

    Attributes:
        tensors: tensors of its weights file.
        parameters: numbers in them.
        forward_flops: operations of one pass over one block with a full window; of one clip for a network
            that sees whole clips.
        decode_flops: operations of decoding a block.
        block_flops: operations of a whole block: every pass, the write and the decoder; 0 when it does not
            play.
        block_frames: frames of a block.
        cache_bytes: keys and values of the window, at two bytes a number.
        training_flops: operations of each training stage.
    """

    tensors: int
    parameters: int
    forward_flops: int
    decode_flops: int
    block_flops: int
    block_frames: int
    cache_bytes: int
    training_flops: Mapping[str, int]

    def frames_per_second(self, flops_per_second: float) -> float:
        """Frames a second of a machine with this speed; 0 when it does not play."""
        return self.block_frames * flops_per_second / self.block_flops if self.block_flops else 0.0

    def memory_bytes(self, pixels: int, number_bytes: int) -> int:
        """Memory that play needs: three networks, the window, the decoder's past, and room to work."""
        weights = (self.parameters + CODEC_PARAMETERS + IMAGE_ENCODER_PARAMETERS) * number_bytes
        past = (self.cache_bytes + int(pixels * CODEC_STATE_BYTES_PER_PIXEL)) * number_bytes // HALF
        # the ring is copied once while a block is written; activations are smaller than the decoder's past
        return weights + 2 * past


def video_cost(recipe: VideoRecipe) -> VideoCost:
    """Count a recipe on the meta device."""
    config = recipe.model
    frames = config.block * config.actions.frames_per_latent
    decode = int(frames * recipe.height * recipe.width * DECODE_FLOPS_PER_PIXEL) if recipe.levels else 0
    clip = next(iter(recipe.training.values())).clip_latents
    forward = _forward_flops(recipe, config.block if config.window else clip)
    passes = len(recipe.levels) + 1 if recipe.levels else 0
    return VideoCost(
        tensors=_of_any_depth(recipe, _num_tensors),
        parameters=_of_any_depth(recipe, _num_numbers),
        forward_flops=forward,
        decode_flops=decode,
        block_flops=passes * forward + decode if passes else 0,
        block_frames=frames,
        cache_bytes=_of_any_depth(recipe, _cache_bytes) if config.window else 0,
        training_flops={
            name: int(plan.num_steps * plan.batch_size * plan.passes)
            * _forward_flops(_whole_clips(recipe), plan.clip_latents)
            for name, plan in recipe.training.items()
        },
    )


def _whole_clips(recipe: VideoRecipe) -> VideoRecipe:
    """The recipe as it trains: whole clips, no cache."""
    return replace(recipe, model=replace(recipe.model, window=0))


def _forward_flops(recipe: VideoRecipe, num_latents: int) -> int:
    """Operations of one pass."""
    return _of_any_depth(recipe, lambda shallow: _count(shallow, num_latents))


def _of_any_depth(recipe: VideoRecipe, measure: Callable[[VideoRecipe], int]) -> int:
    """A sum over blocks, measured on networks of one and two: blocks are alike, many take long to make."""
    model = recipe.model

    def at(depth: int, action_layers: tuple[int, ...]) -> int:
        return measure(replace(recipe, model=replace(model, depth=depth, action_layers=action_layers)))

    plain = at(1, ())
    around = 2 * plain - at(2, ())
    num_actions = len(model.action_layers)
    with_actions = at(1, (0,)) - around if num_actions else 0
    return around + (model.depth - num_actions) * (plain - around) + num_actions * with_actions


def _state(recipe: VideoRecipe) -> list[torch.Tensor]:
    with torch.device("meta"):
        return list(VideoDynamics(recipe.model).state_dict().values())


def _num_numbers(recipe: VideoRecipe) -> int:
    return sum(tensor.numel() for tensor in _state(recipe))


def _num_tensors(recipe: VideoRecipe) -> int:
    return len(_state(recipe))


def _cache_bytes(recipe: VideoRecipe) -> int:
    with torch.device("meta"):
        return VideoDynamics(recipe.model).empty_cache(*recipe.grid).num_bytes * HALF // SINGLE


def _count(recipe: VideoRecipe, num_latents: int) -> int:
    config, grid = recipe.model, recipe.grid
    with torch.device("meta"), torch.no_grad():
        network = VideoDynamics(config)
        tokens = torch.zeros(1, recipe.image_tokens, config.context_width)
        given = BlockInput(
            condition=torch.zeros(1, num_latents, config.condition_channels, *grid),
            keyboard=torch.zeros(1, num_latents, config.actions.rows, config.actions.keys),
            mouse=torch.zeros(1, num_latents, config.actions.rows, config.actions.mouse),
            context=network.read_context(tokens),
        )
        x, level = torch.zeros(1, num_latents, config.latent_channels, *grid), torch.zeros(1, num_latents)
        with FlopCounterMode(display=False) as counter:
            if config.window:
                cache = network.empty_cache(*grid)
                _, full = cache.plan.take(config.window)
                network.step(x, level, given, replace(cache, plan=full))
            else:
                network(x, level, given)
    return counter.get_total_flops()
