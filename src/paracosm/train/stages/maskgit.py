"""Stage: codes and actions to the masked dynamics.

Actions come from a finished latent action model, from one that is trained beside the dynamics on its own loss
as in the paper (no gradient of the dynamics reaches it), or from recorded controls. This file does NOT know
play.

Source: Genie 2402.15391, section 2.1; clean past: this project; corrupted past: 1xgpt, genie/config.py; past
of own guesses: scheduled sampling in two parallel passes, 1906.07651.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.run_dir import RunDir
from paracosm.data.clips import control_rows, select_episodes
from paracosm.data.latents import LatentStore
from paracosm.data.pieces import CutKind, FrameClips
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.models.base import weights_hash
from paracosm.models.dynamics_flow import shift_controls
from paracosm.models.dynamics_maskgit import MaskGITDynamics, MaskGITDynamicsConfig
from paracosm.models.latent_actions import CodeInput, LatentActions, LatentActionsConfig, repeat_last
from paracosm.models.mask_schedule import SamplerConfig
from paracosm.models.masking import corrupt, draw_codes, draw_mask, mix
from paracosm.models.pixels import to_frames, to_pixels
from paracosm.models.token_rollout import dream_codes
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.train.first_weights import first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.previews import contact_sheet

from .encode_codes import open_codes, run_in_pieces
from .latent_actions import latent_action_loss
from .tokenizer_vq import stack_blocks

PREVIEW_CLIPS = 3
"""Clips in a preview picture; each has the true frames above the dreamt ones."""
PIECE_FRAMES = 128
"""Frames whose actions are found at once."""
PREVIEW_CONTEXT = 4
"""True frames that a previewed dream starts from."""


@dataclass(frozen=True, kw_only=True)
class FinishedActions:
    """Actions of a latent action model that is trained already."""

    kind: Literal["finished"] = "finished"
    """where actions come from"""
    model: Path
    """folder of the latent action model"""


@dataclass(frozen=True, kw_only=True)
class ParallelActions:
    """A latent action model is trained beside the dynamics, on its own loss, as in the paper."""

    kind: Literal["parallel"] = "parallel"
    """where actions come from"""
    model: LatentActionsConfig
    """sizes of the latent action model"""


@dataclass(frozen=True, kw_only=True)
class RecordedControls:
    """The recorded controls are the actions: an upper bound for learnt ones."""

    kind: Literal["controls"] = "controls"
    """where actions come from"""


@dataclass(frozen=True, kw_only=True)
class MaskGITStageConfig:
    """What the dynamics is trained on and how."""

    run: Path
    """run folder; the model lands in RUN/dynamics, and in RUN/latent_actions when trained in parallel"""
    data: Path
    """dataset folder, encoded by the encode_codes stage"""
    tokenizer: Path
    """folder of the discrete tokenizer whose codes are used"""
    actions: FinishedActions | ParallelActions | RecordedControls
    """where actions come from"""
    model: MaskGITDynamicsConfig
    """sizes of the dynamics"""
    loop: LoopConfig
    """length, optimiser, logging"""
    split: str = "train"
    """episodes to train on; "" takes all"""
    cuts: CutKind = "none"
    """whether the episodes have cuts: none in a world's recordings, find in videos"""
    batch_size: int = 16
    """clips a batch"""
    clip_frames: int = 16
    """frames a clip"""
    first_codes: Literal["random", "codebook"] = "random"
    """what the tables of codes begin as: codebook lays codes as far apart as the tokenizer's vectors are"""
    past: Literal["masked", "clean"] = "masked"
    """masked: one stream whose past is masked too, as in the paper; clean: masked frames see clean frames
    before them, as in play, at twice the cost"""
    mask_rates: tuple[float, float] = (0.5, 1.0)
    """smallest and largest share of masked tokens, drawn once a clip"""
    corruption: float = 0.0
    """largest share of wrong tokens in a clean past, drawn once a clip; the paper has none"""
    own_past: float = 0.0
    """largest share of masked tokens that a clean past shows as the dynamics' own guess, drawn once a clip:
    the mistakes of play, from which it learns to come back; costs a third of a step more"""
    own_past_from: int = 0
    """steps before the first such guess, since early ones teach nothing"""
    preview_sampler: SamplerConfig = field(default_factory=SamplerConfig)
    """passes and temperature of previews"""

    def __post_init__(self) -> None:
        """Refuse guesses that nothing would see."""
        if not 0 <= self.own_past <= 1 or (self.own_past and self.past != "clean"):
            raise ConfigError(
                f'own_past {self.own_past} with past="{self.past}" cannot be trained; own_past is a share '
                'from 0 to 1 and needs past="clean"'
            )


class MaskGITStage:
    """Networks and loss of the stage.

    Args:
        config: of the stage.
        progress: begins the progress line of finding actions, which takes minutes when it is done first.
    """

    def __init__(self, config: MaskGITStageConfig, progress: ProgressMaker = no_progress) -> None:
        self.config = config
        dataset = Dataset(config.data)
        episodes = select_episodes(dataset, config.split)
        self.tokenizer = TokenizerVQ.load(config.tokenizer)
        check_codes(self.tokenizer, config.model, config.tokenizer)
        store = open_codes(dataset, config.tokenizer)
        self.codes = tuple(store.read(episode).reshape(episode.num_frames, -1) for episode in episodes)
        self.clips = FrameClips(episodes, config.clip_frames, config.loop.seed, config.cuts)
        with first_weights(config.loop.seed, "dynamics"):
            dynamics = MaskGITDynamics(config.model)
            if config.first_codes == "codebook":
                codes = torch.arange(config.model.num_codes)
                dynamics.lay_codes(self.tokenizer.quantizer.lookup(codes).detach())
        self.networks: dict[str, nn.Module] = {"dynamics": dynamics}
        self.blocks: Sequence[nn.Module] = stack_blocks(dynamics.stack)
        self.vectors: tuple[np.ndarray, ...] = ()
        self._open_actions(config, dataset, episodes, dynamics, progress)

    def _open_actions(
        self,
        config: MaskGITStageConfig,
        dataset: Dataset,
        episodes: Sequence[EpisodeRef],
        dynamics: MaskGITDynamics,
        progress: ProgressMaker,
    ) -> None:
        """Find the action vectors of all episodes, or make the model that will find them."""
        actions = config.actions
        if isinstance(actions, RecordedControls):
            _check_width(dataset.info.controls.width, config.model, 0, "the recording's controls")
            self.vectors = tuple(control_rows(episode) for episode in episodes)
            return
        if isinstance(actions, FinishedActions):
            model = LatentActions.load(actions.model)
        else:
            with first_weights(config.loop.seed, "latent actions"):
                model = LatentActions(actions.model)
        sizes = model.config
        width = sizes.quantizer.width
        _check_width(width, config.model, sizes.num_actions, "the latent actions")
        if isinstance(actions, ParallelActions):
            self.networks["latent_actions"] = model
            self.blocks = (*self.blocks, *stack_blocks(model.encoder, model.decoder))
            return
        dynamics.set_actions(model.quantizer.lookup(torch.arange(sizes.num_actions)))
        vectors = dynamics.actions.numpy()
        store = open_actions(dataset, actions.model, config.tokenizer)
        # no clip is cut from a shorter one, and its actions may not be told
        least = max(config.clip_frames, sizes.span + 1)
        found: list[np.ndarray] = []
        line = progress("find actions", len(episodes), unit="episode")
        for i, episode in enumerate(episodes):
            enough = episode.num_frames >= least
            found.append(vectors[keep_actions(store, model, episode, self.tokenizer) if enough else []])
            line.update(i + 1)
        line.close()
        self.vectors = tuple(found)

    def batch(self, step: int, part: int, count: int) -> tuple[Tensor, Tensor, list[tuple[int, int]]]:
        """Return codes (b, t, s), the actions that led to each frame (b, t, a), and where they are from."""
        places, length = self.clips.places(step, part, count), self.config.clip_frames
        device = self.config.loop.device
        codes = np.stack([self.codes[i][first : first + length] for i, first in places]).astype(np.int64)
        if not self.vectors:
            return torch.from_numpy(codes).to(device), torch.empty(0), places
        actions = np.stack([self.vectors[i][first : first + length - 1] for i, first in places])
        return (
            torch.from_numpy(codes).to(device),
            shift_controls(torch.from_numpy(actions).to(device)),
            places,
        )

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Stage.loss``."""
        config = self.config
        dynamics = cast("MaskGITDynamics", self.networks["dynamics"])
        codes, actions, places = self.batch(step, part, config.batch_size)
        extra: Tensor | float = 0.0
        metrics: dict[str, Tensor] = {}
        if "latent_actions" in self.networks:
            model = cast("LatentActions", self.networks["latent_actions"])
            frames: Tensor = codes
            if not isinstance(model.config.input, CodeInput):
                frames = to_pixels(torch.from_numpy(self.clips.cut(places))).to(codes.device)
            extra, metrics, actions = _find_actions(model, frames, generator, dynamics)
        mask = draw_mask(codes.shape, generator, config.mask_rates).to(codes.device)
        known = torch.ones(codes.shape[:2], dtype=torch.bool, device=codes.device)
        known[:, 0] = False
        past = None
        if config.past == "clean":
            past = corrupt(codes, config.model.num_codes, config.corruption, generator)
        masked = codes.masked_fill(mask, config.model.mask_code)
        if past is not None and config.own_past and step >= config.own_past_from:
            with torch.no_grad():
                logits = dynamics.head(dynamics(masked, actions, known, past)).float()
            guess = draw_codes(logits, torch.rand(codes.shape, generator=generator).to(codes.device))
            past = mix(past, torch.where(mask, guess, past), config.own_past, generator)
        features = dynamics(masked, actions, known, past)
        # The paper does not say which tokens count; those that were not masked would be free.
        logits = dynamics.head(features[mask]).float()
        loss = functional.cross_entropy(logits, codes[mask])
        right = (logits.detach().argmax(-1) == codes[mask]).float().mean()
        return loss + extra, {"cross_entropy": loss.detach(), "tokens_right": right, **metrics}

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray:
        """True clips above dreams that start from their first frames under the same actions."""
        dynamics = cast("MaskGITDynamics", averages["dynamics"])
        codes, actions, places = self.batch(0, 0, PREVIEW_CLIPS)
        if "latent_actions" in averages:
            model = cast("LatentActions", averages["latent_actions"])
            frames = to_pixels(torch.from_numpy(self.clips.cut(places))).to(codes.device)
            actions = shift_controls(
                model(codes if isinstance(model.config.input, CodeInput) else frames)[2].vectors
            )
        dreamt = dream_codes(dynamics, codes[:, :PREVIEW_CONTEXT], actions, self.config.preview_sampler)
        real, made = (to_frames(self.tokenizer.decode(part.cpu())).numpy() for part in (codes, dreamt))
        shown = slice(PREVIEW_CONTEXT - 1, None, 2)
        return contact_sheet([clip[i, shown] for i in range(len(real)) for clip in (real, made)], scale=2)


def _find_actions(
    model: LatentActions, frames: Tensor, generator: torch.Generator, dynamics: MaskGITDynamics
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Loss and metrics of the latent action model, and its actions without their gradient."""
    loss, metrics = latent_action_loss(model, frames, generator)
    with torch.no_grad():
        vectors = model.quantizer.lookup(model.infer(frames))
        dynamics.set_actions(model.quantizer.lookup(torch.arange(model.config.num_actions)))
    return loss, metrics, shift_controls(vectors)


def infer_actions(model: LatentActions, episode: EpisodeRef, tokenizer: TokenizerVQ) -> np.ndarray:
    """Latent actions of a whole episode by number, int64 (t - 1,); row i acts between frames i and i + 1.

    Args:
        model: a finished latent action model.
        episode: its frames are read, its controls are not.
        tokenizer: makes the codes when the model sees codes.

    Raises:
        DataError: when the episode is too short to show what came of any action.
    """
    lead, span = model.config.encoder.depth * model.config.window, model.config.span
    if episode.num_frames <= span:
        raise DataError(
            f"{episode.path} has {episode.num_frames} frames, an action tells of {span} steps; "
            f"leave out episodes of fewer than {span + 1} frames"
        )
    # An action is found when its outcome is seen, so that a piece needs no frame after it.
    early = torch.zeros(1, span, dtype=torch.int64)
    if isinstance(model.config.input, CodeInput):
        lead += tokenizer.config.encoder.depth * tokenizer.config.window

        def find(pixels: Tensor) -> Tensor:
            return torch.cat([early, model.infer_ended(tokenizer.encode(pixels))], 1)
    else:

        def find(pixels: Tensor) -> Tensor:
            return torch.cat([early, model.infer_ended(pixels)], 1)

    # A piece has no action of its own before so many frames.
    found = run_in_pieces(np.ascontiguousarray(episode.frames), find, PIECE_FRAMES, lead + span)[span:]
    return repeat_last(torch.from_numpy(found)[None], span - 1)[0].numpy()


def open_actions(dataset: Dataset, model: Path, tokenizer: Path) -> LatentStore:
    """Open the latent actions of a dataset under a latent action model, which may see a tokenizer's codes."""
    return LatentStore(dataset, f"{weights_hash(model)}-{weights_hash(tokenizer)}", (1,), "uint16")


def keep_actions(
    store: LatentStore, model: LatentActions, episode: EpisodeRef, tokenizer: TokenizerVQ
) -> np.ndarray:
    """Latent actions of an episode, found once by :func:`infer_actions`: a run that goes on reads them."""
    if not store.has(episode):
        found = infer_actions(model, episode, tokenizer)
        store.write(episode, np.concatenate([[0], found])[:, None])  # no action led to the first frame
    return store.read(episode)[1:, 0].astype(np.int64)


def check_codes(tokenizer: TokenizerVQ, model: MaskGITDynamicsConfig, name: Path) -> None:
    """Refuse a tokenizer that does not belong to the dynamics.

    Raises:
        ConfigError: says what the tokenizer makes and what the dynamics is for.
    """
    made = tokenizer.config
    if (made.rows, made.columns, made.num_codes) != (model.rows, model.columns, model.num_codes):
        raise ConfigError(
            f"the tokenizer {name} makes {made.num_codes} codes on a grid of {made.rows} x {made.columns}, "
            f"the dynamics is for {model.num_codes} on {model.rows} x {model.columns}; "
            "pass the tokenizer that it was made with"
        )


def _check_width(width: int, model: MaskGITDynamicsConfig, num_actions: int, who: str) -> None:
    if (width, num_actions) != (model.control_width, model.num_actions):
        raise ConfigError(
            f"{who} are {num_actions} vectors of {width} numbers, the dynamics takes {model.num_actions} of "
            f"{model.control_width}; set model.num_actions and model.control_width to match "
            "(0 actions for recorded controls)"
        )


def main(config: MaskGITStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Train the dynamics and return its model folder; goes on where an earlier run stopped."""
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        stage = MaskGITStage(config, progress)
        averages = train(stage, config.loop, run, progress, "train dynamics")
        folder = config.run / "dynamics"
        cast("MaskGITDynamics", averages["dynamics"]).save(folder)
        if "latent_actions" in averages:
            cast("LatentActions", averages["latent_actions"]).save(config.run / "latent_actions")
    return folder
