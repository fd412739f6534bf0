"""A world that follows instructions: a World whose frames come clip after clip from a base and its branch.

A clip is made when its first frame is asked for, under what is held then; presses that began and ended while
the former clip was shown still count, and a turn is spread over the clip. Words hold until others are given,
a guide for one clip. The state is a value. Needs torch only when a world is opened. This file does NOT know
browsers or training.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import IDLE, Control
from paracosm.core.errors import ControlError, WorldError
from paracosm.core.extras import need
from paracosm.core.instruct_spec import InstructPlay, load_instruct_spec, load_instruct_starts
from paracosm.core.instructions import parse_instruction
from paracosm.core.rng import stream
from paracosm.core.tuning import CacheAction, Dials, Tuning
from paracosm.core.world_spec import WEIGHTS_FILE
from paracosm.models.rollout import check_levels

from .neural_base import (
    Moment,
    NeuralBase,
    check_knobs,
    control_of_block,
    describe,
    offer_levels,
    tune_levels,
)
from .weights import count_parameters


@dataclass(frozen=True, kw_only=True)
class InstructEngineConfig:
    """How a world that follows instructions is run."""

    levels: tuple[float, ...] = ()
    """noise levels of the passes of a clip, falling from 1; () takes the world's own"""
    guidance: float = 0.0
    """push from nothing said towards what is said; 1 is plain; 0 takes the world's own"""
    num_threads: int = 0
    """threads of torch, for the whole process; 0 leaves them as they are"""
    branch: Literal["on", "off"] = "on"
    """off leaves the branch out: the base reads the instruction as free words, and keys do nothing"""

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        check_knobs(self.levels, self.guidance, self.num_threads)


@dataclass(frozen=True, kw_only=True, eq=False)
class InstructMoment(Moment):
    """Everything that makes the next frames.

    Attributes:
        networks: state of the networks.
        frames: made and not yet shown, uint8 (h, w, 3).
        clip: number of the next clip.
        said: the standing instruction by field; {} when nothing is said.
        guide: video prompt of the next clip, or None.
        decided: the control of the newest clip.
        since: controls of the steps after the one that decided it.
    """

    networks: Any
    frames: tuple[np.ndarray, ...] = ()
    clip: int = 0
    said: Mapping[str, str]
    guide: np.ndarray | None = None
    decided: Control = IDLE
    since: tuple[Control, ...] = ()


class InstructWorld(NeuralBase[Any, InstructMoment]):
    """A world that follows keys, words and video prompts; see :class:`paracosm.core.world.World`.

    Args:
        folder: the world's folder.
        config: how to run it.
        name: how it is called in ``info``; "" takes "model:" and the folder.

    Raises:
        DataError: when a file is missing or corrupt.
        ConfigError: when world.json does not fit, or its networks do not fit each other.
        MissingPackageError: when torch or the encoder's weights are not installed.
    """

    def __init__(self, folder: Path, config: InstructEngineConfig | None = None, name: str = "") -> None:
        config = config or InstructEngineConfig()
        self._spec = spec = load_instruct_spec(folder)
        self._starts = load_instruct_starts(folder, spec)
        need("torch", "train")
        module = importlib.import_module("paracosm.play.backends.torch_instruct")
        player: Any = module.open_player(folder, spec, config.num_threads)
        settings = replace(
            spec.play,
            levels=config.levels or spec.play.levels,
            guidance=config.guidance or spec.play.guidance,
        )
        check_levels(settings.levels)
        self._steered = config.branch == "on"
        parts = [part for part in (spec.parts.tokenizer, spec.parts.base, spec.parts.branch) if part]
        weights = "-".join(part.weights for part in parts)
        about = describe(
            spec,
            name=name or f"model:{folder}",
            starts=("seed", "image", "clip", "prompt"),
            engine=f"{player.runtime}, weights {weights}",
            details={
                "frames_per_block": spec.new_frames,
                "tokens_per_frame": player.tokens,
                "parameters": sum(count_parameters(folder / part.folder / WEIGHTS_FILE) for part in parts),
                "backend": "torch",
            },
        )
        super().__init__(about, weights, player, settings)

    def _begin(
        self, seed: int, start: np.ndarray | None, controls: Sequence[Control], prompt: str | None
    ) -> tuple[np.ndarray, InstructMoment]:
        """Begin from words, which the base alone draws, or from a start."""
        if prompt is not None and start is not None:
            raise WorldError("a prompt and a start were both given; begin from one of them")
        player, spec = self._need_networks(), self._spec
        if prompt is not None:
            said = parse_instruction(prompt, spec.prompt_fields, spec.unchanged)
            shape = (spec.given_frames + spec.new_frames, *player.latent_shape)
            noise = stream(seed, "prompt").standard_normal(shape, np.float32)
            image, networks = player.imagine(said, noise, self._settings)
        else:
            if start is None:
                chosen = int(stream(seed, "start").integers(len(self._starts)))
                clip, rows = self._starts.frames[chosen], self._starts.controls[chosen]
            else:
                clip = start if start.ndim == 4 else start[None]
                rows = spec.controls.to_vectors(controls)
            image, networks = player.begin(clip, rows)
        return image, InstructMoment(
            weights=self._weights, seed=seed, settings=self._settings, networks=networks, said={}
        )

    def _next(
        self, moment: InstructMoment, control: Control, index: int
    ) -> tuple[np.ndarray, InstructMoment]:
        """Return the next frame; when it begins a clip, make that clip under this control first."""
        self._spec.controls.check(control)
        moment = self._listen(replace(moment, since=(*moment.since, _hands(control))), control)
        if not moment.frames:
            moment = self._make(moment)
        image, *rest = moment.frames
        return image, replace(moment, frames=tuple(rest))

    def _count_passes(self) -> int:
        return len(self._settings.levels)

    def _offer(self) -> Dials:
        return replace(offer_levels(self._settings, self._spec.play), cache=())

    def _tuned(self, tuning: Tuning) -> InstructPlay:
        return tune_levels(self._settings, self._spec.play.levels, tuning)

    def _with_past(self, moment: InstructMoment, action: CacheAction) -> InstructMoment:
        raise AssertionError(f"{action} is not on offer")

    def _listen(self, moment: InstructMoment, control: Control) -> InstructMoment:
        """Take in words, which stand, and a guide, which waits for the next clip."""
        spec = self._spec
        if control.text is not None:
            said = parse_instruction(control.text, spec.fields, spec.unchanged)
            moment = replace(moment, said=said)
        guide = control.guide
        if guide is not None:
            size = (spec.height, spec.width, 3)
            fits = guide.dtype == np.uint8 and guide.ndim == 4 and guide.shape[1:] == size
            if not fits or not 1 <= len(guide) <= spec.new_frames:
                raise ControlError(
                    f"guide is {guide.dtype} {guide.shape}; this world takes uint8 (t, {size[0]}, {size[1]}, "
                    f"3) with t from 1 to {spec.new_frames}, the frames of its next clip"
                )
            moment = replace(moment, guide=guide)
        return moment

    def _make(self, moment: InstructMoment) -> InstructMoment:
        player, spec = self._need_networks(), self._spec
        control = control_of_block(moment.decided, moment.since)
        said = moment.said or dict.fromkeys(spec.fields[1:], spec.unchanged)
        if spec.parts.branch is None:
            said = moment.said  # the base was trained on what clips show, and on nothing said
        noise = stream(moment.seed, "noise", moment.clip).standard_normal(
            (spec.new_frames, *player.latent_shape), np.float32
        )
        # Idle hands say "stand still" only where nothing else says what to do.
        asked = moment.guide is not None or any(text != spec.unchanged for text in said.values())
        idle = not control.keys and not any(control.look)
        numbers = None if idle and asked else spec.controls.to_vectors([control])[0]
        frames, networks = player.next(
            moment.networks, said, numbers, moment.guide, noise, self._settings, self._steered
        )
        return replace(
            moment,
            networks=networks,
            frames=tuple(frames),
            clip=moment.clip + 1,
            guide=None,
            decided=control,
            since=(),
        )


def _hands(control: Control) -> Control:
    """Keys and turn of a control."""
    return Control(control.keys, control.look)
