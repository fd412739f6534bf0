"""A neural world as one value: tokenizer, dynamics, description and starts; saved as one folder that plays.

This file does NOT know how frames are made in play, nor how the networks were trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from paracosm.core.config import save_config
from paracosm.core.controls import ControlSpace
from paracosm.core.errors import ConfigError
from paracosm.core.files import whole_folder
from paracosm.core.world_spec import (
    FORMAT_VERSION,
    Arithmetic,
    Part,
    PlayDefaults,
    PlaySizes,
    Starts,
    WorldParts,
    WorldSpec,
    check_parts,
    check_starts,
    load_spec,
    load_starts,
    save_starts,
)
from paracosm.nn.rope import axis_frequencies, axis_widths

from .base import weights_hash
from .dynamics_flow import FlowDynamics, FlowDynamicsConfig
from .export import dynamics_graphs, export_graphs, tokenizer_graphs
from .rollout import check_levels, check_window
from .storage import Storage
from .tokenizer_vae import TokenizerVAE

WORLD_STORAGE: Storage = "int8"
"""Number type of a world's weights: half of half precision, for 0.02 dB at most in two trained tokenizers."""
_UNKNOWN = WorldParts(
    tokenizer=Part(folder="tokenizer", weights=""), dynamics=Part(folder="dynamics", weights="")
)


@dataclass(frozen=True, kw_only=True)
class WorldModel:
    """Everything that a world is made of.

    Attributes:
        spec: its description; the weight hashes in it are those of the folder it was read from or saved to.
        tokenizer: frames to latents and back.
        dynamics: noise to the next latents.
        starts: clips to begin from.
    """

    spec: WorldSpec
    tokenizer: TokenizerVAE
    dynamics: FlowDynamics
    starts: Starts

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a world folder; the networks are in eval mode, float32.

        Raises:
            DataError: when a file is missing, corrupt or of other weights.
            ConfigError: when world.json or a config does not fit or is of a newer format.
        """
        spec = load_spec(folder)
        check_parts(folder, spec)
        return cls(
            spec=spec,
            tokenizer=TokenizerVAE.load(folder / spec.parts.tokenizer.folder),
            dynamics=FlowDynamics.load(folder / spec.parts.dynamics.folder),
            starts=load_starts(folder, spec),
        )

    def save(self, folder: Path, storage: Storage = WORLD_STORAGE) -> WorldSpec:
        """Write the world folder, graphs included; it appears whole or not at all.

        Args:
            folder: an earlier one is replaced as a whole.
            storage: number type of the stored weights; both backends compute from the same ones.

        Returns:
            The spec as written, with the hashes of the stored weights.

        Raises:
            MissingPackageError: when onnx is not installed.
            DataError: when the disk is full.
        """
        parts = self.spec.parts
        arithmetic: Arithmetic = "int8" if storage == "int8" else "float32"
        with whole_folder(folder, "world.json") as partial:
            tokenizer, dynamics = partial / parts.tokenizer.folder, partial / parts.dynamics.folder
            self.tokenizer.save(tokenizer, storage)
            self.dynamics.save(dynamics, storage)
            export_graphs(tokenizer_graphs(self.tokenizer), tokenizer)
            export_graphs(dynamics_graphs(self.dynamics, arithmetic), dynamics)
            save_starts(self.starts, partial / self.spec.starts)
            spec = replace(
                self.spec,
                arithmetic=arithmetic,
                parts=WorldParts(
                    tokenizer=replace(parts.tokenizer, weights=weights_hash(tokenizer)),
                    dynamics=replace(parts.dynamics, weights=weights_hash(dynamics)),
                ),
            )
            save_config(spec, partial / "world.json")
        return spec


def assemble_world(
    tokenizer: TokenizerVAE,
    dynamics: FlowDynamics,
    starts: Starts,
    *,
    name: str,
    description: str,
    fps: float,
    controls: ControlSpace,
    play: PlayDefaults,
    game: str = "",
    game_config: Mapping[str, Any] | None = None,
) -> WorldModel:
    """Put a world together and check that its parts fit.

    Args:
        tokenizer: makes the latents that the dynamics was trained on.
        dynamics: predicts them.
        starts: clips to begin from.
        name: short name, e.g. "doom".
        description: one or two sentences for people.
        fps: steps a second at the world's own pace.
        controls: what the player may do.
        play: how it is played by default.
        game: the true game that it dreams of, as ``open_world`` calls it; "" when it cannot be opened.
        game_config: that game's config as JSON values.

    Raises:
        ConfigError: when the parts do not fit each other.
        DataError: when the starts do not fit.
    """
    seen, made = dynamics.config, tokenizer.config
    grids = [(c.latent_channels, c.latent_height, c.latent_width) for c in (made, seen)]
    if grids[0] != grids[1]:
        raise ConfigError(
            f"the tokenizer makes latents {grids[0]}, the dynamics was made for {grids[1]}; "
            "pass the tokenizer that the dynamics was trained with"
        )
    if seen.control_width != controls.width:
        raise ConfigError(
            f"the dynamics takes {seen.control_width} control numbers, the controls {list(controls.keys)} "
            f"with yaw and pitch make {controls.width}; pass the controls of the recording"
        )
    check_levels(play.levels)
    check_window(seen.window, play.window, play.sink)
    if seen.ahead:
        raise ConfigError("a bidirectional dynamics cannot play; give the causal student distilled from it")
    spec = WorldSpec(
        format_version=FORMAT_VERSION,
        name=name,
        description=description,
        fps=fps,
        height=made.height,
        width=made.width,
        controls=controls,
        sizes=_play_sizes(seen),
        parts=_UNKNOWN,
        play=play,
        starts="starts.safetensors",
        game=game,
        game_config=game_config or {},
    )
    check_starts(starts, spec, name)
    return WorldModel(spec=spec, tokenizer=tokenizer, dynamics=dynamics, starts=starts)


def build_world(
    folder: Path,
    *,
    tokenizer: Path,
    dynamics: Path,
    starts: Starts,
    name: str,
    description: str,
    fps: float,
    controls: ControlSpace,
    play: PlayDefaults,
    game: str = "",
    game_config: Mapping[str, Any] | None = None,
    storage: Storage = WORLD_STORAGE,
) -> WorldSpec:
    """Make a world folder from two model folders.

    Args:
        folder: written whole; an earlier one is replaced.
        tokenizer: model folder.
        dynamics: model folder.
        starts: see :func:`assemble_world`, like all that follow.
        name: see ``starts``.
        description: see ``starts``.
        fps: see ``starts``.
        controls: see ``starts``.
        play: see ``starts``.
        game: see ``starts``.
        game_config: see ``starts``.
        storage: number type of the stored weights.

    Returns:
        What world.json now holds.

    Raises:
        ConfigError: when the parts do not fit.
        DataError: when a file is missing or the disk is full.
    """
    model = assemble_world(
        TokenizerVAE.load(tokenizer),
        FlowDynamics.load(dynamics),
        starts,
        name=name,
        description=description,
        fps=fps,
        controls=controls,
        play=play,
        game=game,
        game_config=game_config,
    )
    return model.save(folder, storage)


def _play_sizes(config: FlowDynamicsConfig) -> PlaySizes:
    return PlaySizes(
        latent_channels=config.latent_channels,
        latent_height=config.latent_height,
        latent_width=config.latent_width,
        tokens_per_frame=config.tokens_per_frame,
        layers=config.depth,
        heads=config.heads,
        head_width=config.head_width,
        window=config.window,
        attention=config.attention,
        frame_frequencies=tuple(axis_frequencies(axis_widths(config.head_width)[0]).tolist()),
    )
