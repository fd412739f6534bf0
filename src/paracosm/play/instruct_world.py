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
from paracosm.core.errors import ConfigError, ControlError, WorldError
from paracosm.core.extras import need
from paracosm.core.instruct_spec import InstructPlay, load_instruct_spec, load_instruct_starts
from paracosm.core.instructions import parse_instruction
from paracosm.core.rng import stream
from paracosm.core.world import Frame, Snapshot, WorldInfo, check_snapshot, check_start
from paracosm.models.rollout import check_levels

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
        if self.levels:
            check_levels(self.levels)
        if self.guidance < 0.0:
            raise ConfigError(f"guidance {self.guidance:g} is negative; use 1 for plain play or more")


@dataclass(frozen=True, kw_only=True, eq=False)
class InstructMoment:
    """Everything that makes the next frames; never changed.

    Attributes:
        weights: hashes of the networks that made it.
        seed: of the noise.
        play: passes and guidance in use.
        networks: state of the networks.
        frames: made and not yet shown, uint8 (h, w, 3).
        clip: number of the next clip.
        said: the standing instruction by field; {} when nothing is said.
        guide: video prompt of the next clip, or None.
        decided: the control of the newest clip.
        since: controls of the steps after the one that decided it.
    """

    weights: str
    seed: int
    play: InstructPlay
    networks: Any
    frames: tuple[np.ndarray, ...] = ()
    clip: int = 0
    said: Mapping[str, str]
    guide: np.ndarray | None = None
    decided: Control = IDLE
    since: tuple[Control, ...] = ()


class InstructWorld:
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
        self._player: Any = module.open_player(folder, spec, config.num_threads)
        self._play = replace(
            spec.play,
            levels=config.levels or spec.play.levels,
            guidance=config.guidance or spec.play.guidance,
        )
        check_levels(self._play.levels)
        self._steered = config.branch == "on"
        parts = [part for part in (spec.parts.tokenizer, spec.parts.base, spec.parts.branch) if part]
        self._weights = "-".join(part.weights for part in parts)
        self._parameters = sum(count_parameters(folder / part.folder / "model.safetensors") for part in parts)
        self._name = name or f"model:{folder}"
        self._moment: InstructMoment | None = None
        self._frame: Frame | None = None

    @property
    def info(self) -> WorldInfo:
        """What this world is."""
        spec, player = self._spec, self._need_player()
        return WorldInfo(
            name=self._name,
            fps=spec.fps,
            height=spec.height,
            width=spec.width,
            controls=spec.controls,
            starts=("seed", "image", "clip", "prompt"),
            engine=f"{player.runtime}, weights {self._weights}",
            description=spec.description,
            details={
                "denoise_steps": len(self._play.levels),
                "frames_per_block": spec.new_frames,
                "tokens_per_frame": player.tokens,
                "parameters": self._parameters,
                "backend": "torch",
            },
        )

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin again: from words, a picture or a clip; without any the seed picks one of the world's own.

        The first frame is the last of the start, as the decoder shows it. Words are drawn by the base alone.

        Raises:
            WorldError: for a negative seed, a start of another size, or a prompt beside a start.
            ControlError: for a start control that is not offered, or a prompt with an unknown field.
        """
        check_start(self.info, start, controls, prompt)
        if seed < 0:
            raise WorldError(f"seed {seed} is negative; use a whole number from 0 up")
        if prompt is not None and start is not None:
            raise WorldError("a prompt and a start were both given; begin from one of them")
        player, spec = self._need_player(), self._spec
        if prompt is not None:
            said = parse_instruction(prompt, spec.prompt_fields, spec.unchanged)
            shape = (spec.given_frames + spec.new_frames, *player.latent_shape)
            noise = stream(seed, "prompt").standard_normal(shape, np.float32)
            image, networks = player.imagine(said, noise, self._play)
        else:
            if start is None:
                chosen = int(stream(seed, "start").integers(len(self._starts)))
                clip, rows = self._starts.frames[chosen], self._starts.controls[chosen]
            else:
                clip = start if start.ndim == 4 else start[None]
                rows = spec.controls.to_vectors(controls)
            image, networks = player.begin(clip, rows)
        self._moment = InstructMoment(
            weights=self._weights, seed=seed, play=self._play, networks=networks, said={}
        )
        self._frame = _show(image, 0)
        return self._frame

    def step(self, control: Control) -> Frame:
        """Return the next frame; when it begins a clip, make that clip under this control first.

        Raises:
            ControlError: when the control is not offered, a field is not known, or a guide does not fit.
            WorldError: before reset or after close.
        """
        self._spec.controls.check(control)
        self._need_player()
        moment, shown = self._moment, self._frame
        if moment is None or shown is None:
            raise WorldError(f"{self._name} has not begun; call reset first")
        moment = self._listen(replace(moment, since=(*moment.since, _hands(control))), control)
        if not moment.frames:
            moment = self._make(moment)
        image, *rest = moment.frames
        self._moment = replace(moment, frames=tuple(rest))
        self._frame = _show(image, shown.index + 1)
        return self._frame

    def snapshot(self) -> Snapshot:
        """Return the complete state."""
        if self._moment is None or self._frame is None:
            raise WorldError(f"{self._name} has not begun; call reset first")
        return Snapshot(world=self._name, frame=self._frame, payload=self._moment)

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go to a snapshot of this world, also one that another copy of it took; settings included.

        Raises:
            WorldError: when it belongs to another world or to other weights.
        """
        check_snapshot(self.info, snapshot)
        moment = snapshot.payload
        if not isinstance(moment, InstructMoment) or moment.weights != self._weights:
            raise WorldError(
                f"the snapshot was taken with other weights of {self._name}; it cannot go on with these"
            )
        self._moment, self._play, self._frame = moment, moment.play, snapshot.frame
        return snapshot.frame

    def close(self) -> None:
        """Let go of the networks."""
        self._player, self._moment, self._frame = None, None, None

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
        player, spec = self._need_player(), self._spec
        control = _decide(moment)
        said = moment.said or dict.fromkeys(spec.fields[1:], spec.unchanged)
        if spec.parts.branch is None:
            said = moment.said  # the base was trained on what clips show, and on nothing said
        noise = stream(moment.seed, "noise", moment.clip).standard_normal(
            (spec.new_frames, *player.latent_shape), np.float32
        )
        numbers = spec.controls.to_vectors([control])[0]
        frames, networks = player.next(
            moment.networks, said, numbers, moment.guide, noise, moment.play, self._steered
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

    def _need_player(self) -> Any:
        if self._player is None:
            raise WorldError(f"{self._name} is closed; open it again")
        return self._player


def _hands(control: Control) -> Control:
    """Keys and turn of a control."""
    return Control(control.keys, control.look)


def _decide(moment: InstructMoment) -> Control:
    """The control of a new clip: what is held now, taps since the last one, and the mean turn."""
    newest = moment.since[-1]
    pressed = {key for control in moment.since for key in control.keys - moment.decided.keys}
    yaw, pitch = np.mean([control.look for control in moment.since], axis=0).tolist()
    return Control(newest.keys | pressed, (yaw, pitch))


def _show(image: np.ndarray, index: int) -> Frame:
    image = np.ascontiguousarray(image)
    image.flags.writeable = False
    return Frame(image=image, index=index)
