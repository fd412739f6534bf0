"""Batches for streamed video worlds: latents, and what each latent frame is given, drawn by step number.

Controls come as the numbers and windows of play: row i acts between frame i and frame i + 1 of the clip,
latent frame n sees the rows up to the one that leads to its last frame, and before the clip its first row was
held. This file does NOT know losses or how clips were encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paracosm.core.controls import ControlSpace
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.shapes import Latents
from paracosm.core.video_spec import ActionMap
from paracosm.data.clips import ClipSampler, select_episodes
from paracosm.data.reader import Dataset
from paracosm.data.video_clips import EncodedClips, read_encoded_clips
from paracosm.models.action_module import ActionModuleConfig, window_rows
from paracosm.models.dynamics_video import BlockInput, VideoDynamics, VideoDynamicsConfig
from paracosm.models.video_codec import join_mask
from paracosm.train.stages.encode_video import open_clip_store


@dataclass(frozen=True, kw_only=True)
class VideoData:
    """Which recordings a stage of a streamed world learns from."""

    data: Path
    """dataset folder, encoded by the encode_video stage"""
    parts: Path
    """folder with vae/ and image_encoder/ that it was encoded with"""
    actions: ActionMap
    """what the recorded controls are in the network's numbers; the same as in play"""
    clip_latents: int
    """latent frames of a clip, as encoded"""
    stride: int
    """frames from clip to clip, as encoded"""
    split: str = "train"
    """episodes to train on; "" takes all"""


@dataclass(frozen=True, kw_only=True)
class VideoBatch:
    """Clips and what their latent frames are given.

    Attributes:
        latents: (b, t, z, h, w), clean.
        condition: (b, t, z', h, w), mask and latents of the start picture and grey.
        keyboard: (b, t, rows, keys).
        mouse: (b, t, rows, numbers).
        tokens: (b, l, d), of the start picture.
        idle: place of the keyboard number that is 1 while no key is held; -1 where all are 0 then.
    """

    latents: Latents
    condition: Tensor
    keyboard: Tensor
    mouse: Tensor
    tokens: Tensor
    idle: int

    def given(self, network: VideoDynamics) -> BlockInput:
        """What a network is given: its own reading of the start picture beside the rest."""
        return BlockInput(
            condition=self.condition,
            keyboard=self.keyboard,
            mouse=self.mouse,
            context=network.read_context(self.tokens),
            idle=self.idle,
        )


class VideoBatches:
    """Clips of a dataset that the encode_video stage has encoded.

    Args:
        config: which.
        model: the network that they are for.
        seed: run seed.
        device: where batches land.

    Raises:
        ConfigError: when the network has other action numbers or another block.
        DataError: when clips are missing, or no episode is long enough.
    """

    def __init__(self, config: VideoData, model: VideoDynamicsConfig, seed: int, device: str) -> None:
        dataset = Dataset(config.data)
        check_fit(config, model)
        store = open_clip_store(dataset, config.parts, config.clip_latents, config.stride)
        episodes = select_episodes(dataset, config.split)
        clips = read_encoded_clips(store, episodes)
        if not sum(clips.lengths):
            length = 1 + (config.clip_latents - 1) * model.actions.frames_per_latent
            raise DataError(
                f"{config.data} has no episode of {length} frames, which {config.clip_latents} latent frames "
                "take; record longer episodes, or encode shorter clips"
            )
        controls = dataset.info.controls
        self._clips = EncodedClips(
            episodes=clips.episodes,
            controls=tuple(number_rows(config.actions, controls, rows) for rows in clips.controls),
        )
        weights = [episode.weight for episode in episodes]
        self._sampler = ClipSampler(clips.lengths, 1, seed, weights=weights)
        self._config, self._actions, self._device = config, model.actions, device

    def draw(self, step: int, part: int, count: int) -> VideoBatch:
        """Return the clips of one step; the same step gives the same."""
        return self.take(self._sampler.draw(step, part, count))

    def take(self, places: Sequence[tuple[int, int]]) -> VideoBatch:
        """Return the clips at (episode, number of the clip in it)."""
        clips, frames = self._clips, self._actions.frames_per_latent
        rows = clips.rows(places, frames * (self._config.clip_latents - 1))
        windows = window_numbers(rows, self._config.clip_latents, self._actions)
        keys = self._actions.keys
        grey = torch.from_numpy(clips.take(places, "grey"))
        parts = {
            "latents": torch.from_numpy(clips.take(places, "latents")),
            "condition": join_mask(grey, frames, is_start=True),
            "keyboard": torch.from_numpy(windows[..., :keys]),
            "mouse": torch.from_numpy(windows[..., keys:]),
            "tokens": torch.from_numpy(clips.take(places, "tokens")),
        }
        on_device = {name: part.to(self._device) for name, part in parts.items()}
        return VideoBatch(**on_device, idle=self._config.actions.idle_number)


def number_rows(actions: ActionMap, controls: ControlSpace, vectors: np.ndarray) -> np.ndarray:
    """Turn recorded controls (t, a) into keyboard and mouse numbers float32 (t, n) by play's own map."""
    width = len(actions.columns) + actions.mouse
    made = np.zeros((len(vectors), width), np.float32)
    for row, control in zip(made, controls.from_vectors(vectors), strict=True):
        row[:] = np.concatenate(actions.numbers(control, controls.look_limit))
    return made


def window_numbers(rows: np.ndarray, num_latents: int, actions: ActionModuleConfig) -> np.ndarray:
    """Give each latent frame of clips the rows that it sees.

    Args:
        rows: (b, at least frames_per_latent (num_latents - 1), n): row i acts after frame i of the clip.
        num_latents: latent frames of a clip.
        actions: says how many rows a latent frame sees.

    Returns:
        (b, num_latents, rows seen, n).
    """
    seen = window_rows(0, num_latents, actions.rows, actions.frames_per_latent)
    return np.ascontiguousarray(rows[:, np.array(seen)])


def check_fit(config: VideoData, model: VideoDynamicsConfig) -> None:
    """Refuse recordings that a network cannot learn from.

    Raises:
        ConfigError: says what each has.
    """
    given, needed = (
        (len(config.actions.columns), config.actions.mouse),
        (model.actions.keys, model.actions.mouse),
    )
    if given != needed:
        raise ConfigError(
            f"the controls become {given[0]} keyboard and {given[1]} mouse numbers, the network takes "
            f"{needed[0]} and {needed[1]}; set model.actions.keys and model.actions.mouse to the recording's"
        )
    if config.clip_latents % model.block:
        raise ConfigError(
            f"clip_latents {config.clip_latents} is no multiple of the {model.block} latent frames that the "
            f"network makes at once; encode clips of e.g. {model.block * 3}"
        )
