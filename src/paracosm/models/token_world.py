"""A world of tokens put together from its networks, saved as one folder that plays.

This file does NOT know how frames are made in play, nor how the networks were trained.
"""

from __future__ import annotations

from pathlib import Path

from paracosm.core.config import save_config
from paracosm.core.errors import ConfigError
from paracosm.core.files import whole_folder
from paracosm.core.token_spec import (
    FORMAT_VERSION,
    TokenStarts,
    TokenWorldSpec,
    check_token_starts,
    save_token_starts,
)
from paracosm.core.world_spec import Part, WorldParts

from .base import weights_hash
from .dynamics_maskgit import MaskGITDynamics
from .export import export_graphs, token_graphs
from .mask_schedule import SamplerConfig
from .storage import Storage
from .tokenizer_vq import TokenizerVQ


def check_fit(tokenizer: TokenizerVQ, dynamics: MaskGITDynamics, num_actions: int) -> None:
    """Refuse networks that do not belong together.

    Raises:
        ConfigError: says what each is for.
    """
    made, seen = tokenizer.config, dynamics.config
    if (made.rows, made.columns, made.num_codes) != (seen.rows, seen.columns, seen.num_codes):
        raise ConfigError(
            f"the tokenizer makes {made.num_codes} codes on a grid of {made.rows} x {made.columns}, the "
            f"dynamics is for {seen.num_codes} on {seen.rows} x {seen.columns}; "
            "pass the tokenizer that the dynamics was trained with"
        )
    if seen.num_actions != num_actions:
        raise ConfigError(
            f"the dynamics knows {seen.num_actions} latent actions, the world has {num_actions}; "
            "pass a dynamics trained on latent actions, and their number"
        )


def build_token_world(
    folder: Path,
    *,
    tokenizer: TokenizerVQ,
    dynamics: MaskGITDynamics,
    starts: TokenStarts,
    name: str,
    description: str,
    fps: float,
    idle_action: int,
    sampler: SamplerConfig,
    key_actions: dict[str, int] | None = None,
    storage: Storage = "float32",
) -> TokenWorldSpec:
    """Write a world folder, graphs included; it appears whole or not at all.

    Args:
        folder: an earlier one is replaced as a whole.
        tokenizer: makes the codes that the dynamics was trained on.
        dynamics: predicts them.
        starts: clips to begin from.
        name: short name.
        description: one or two sentences for people.
        fps: steps a second at the world's own pace.
        idle_action: learnt action of a step at which the player chooses none.
        sampler: passes and temperature.
        key_actions: learnt action of each real key, where known.
        storage: number type of the stored weights; int8 is of the dynamics alone, which then also multiplies
            in bytes without torch, and leaves the tokenizer at float16.

    Returns:
        What world.json now holds.

    Raises:
        ConfigError: when the parts do not fit each other.
        DataError: when the starts do not fit or the disk is full.
        MissingPackageError: when onnx is not installed.
    """
    check_fit(tokenizer, dynamics, dynamics.config.num_actions)
    with whole_folder(folder, "world.json") as partial:
        parts = {}
        tokenizer.save(partial / "tokenizer", "float16" if storage == "int8" else storage)
        dynamics.save(partial / "dynamics", storage)
        for part in ("tokenizer", "dynamics"):
            parts[part] = Part(folder=part, weights=weights_hash(partial / part))
        arithmetic = "int8" if storage == "int8" else "float32"
        for part, graphs in zip(parts, token_graphs(tokenizer, dynamics, arithmetic), strict=True):
            export_graphs(graphs, partial / part)
        spec = TokenWorldSpec(
            kind="tokens",
            format_version=FORMAT_VERSION,
            name=name,
            description=description,
            fps=fps,
            height=tokenizer.config.height,
            width=tokenizer.config.width,
            num_actions=dynamics.config.num_actions,
            idle_action=idle_action,
            key_actions=key_actions or {},
            parts=WorldParts(**parts),
            num_passes=sampler.num_passes,
            temperature=sampler.temperature,
            starts="starts.safetensors",
        )
        check_token_starts(starts, spec, name)
        save_token_starts(starts, partial / spec.starts)
        save_config(spec, partial / "world.json")
    return spec
