"""A world that follows instructions, put together from its networks and saved as one folder that plays.

This file does NOT know how frames are made in play, nor how the networks were trained.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from paracosm.core.config import save_config
from paracosm.core.controls import ControlSpace
from paracosm.core.errors import ConfigError
from paracosm.core.files import whole_folder
from paracosm.core.instruct_spec import (
    FORMAT_VERSION,
    InstructParts,
    InstructPlay,
    InstructWorldSpec,
    check_instruct_starts,
)
from paracosm.core.world_spec import Part, Starts, save_starts

from .base import Model, weights_hash
from .dynamics_masked import MaskedDynamics
from .instruct import InstructNet
from .storage import Storage
from .text import ENCODERS, EncoderName
from .tokenizer_vae import TokenizerVAE


def check_fit(tokenizer: TokenizerVAE, base: MaskedDynamics, branch: InstructNet | None) -> None:
    """Refuse networks that do not belong together.

    Raises:
        ConfigError: says what each is for.
    """
    made, seen = tokenizer.config, base.config
    divides = made.latent_height % seen.patch == 0 and made.latent_width % seen.patch == 0
    if made.latent_channels != seen.latent_channels or not divides:
        raise ConfigError(
            f"the tokenizer makes {made.latent_channels} x {made.latent_height} x {made.latent_width}, "
            f"the base takes {seen.latent_channels} channels in patches of {seen.patch}; "
            "pass the tokenizer that the base was trained with"
        )
    if branch is not None and branch.config.base != seen:
        raise ConfigError(
            "the branch was made for a base of other sizes; pass the base beside which it learnt"
        )


def build_instruct_world(
    folder: Path,
    *,
    tokenizer: Path,
    base: Path,
    branch: Path | None,
    starts: Starts,
    name: str,
    description: str,
    fps: float,
    controls: ControlSpace,
    encoder: EncoderName,
    given_frames: int,
    new_frames: int,
    unchanged: str,
    play: InstructPlay | None = None,
    guide: bool = True,
    storage: Storage = "float32",
) -> InstructWorldSpec:
    """Write a world folder; it appears whole or not at all.

    Args:
        folder: an earlier one is replaced as a whole.
        tokenizer: model folder.
        base: model folder of the masked dynamics.
        branch: model folder of what steers it; None makes a world of words alone.
        starts: clips of ``given_frames`` frames to begin from.
        name: short name.
        description: one or two sentences for people.
        fps: steps a second at the world's own pace.
        controls: keys and turns of the recordings; ignored without a branch.
        encoder: who turns words into token states.
        given_frames: frames that the next clip is given.
        new_frames: frames of a clip that are new.
        unchanged: what a field says when nothing is asked of it.
        play: how it is played; None takes the defaults.
        guide: whether the branch has learnt to follow video prompts.
        storage: number type of the stored weights.

    Returns:
        What world.json now holds.

    Raises:
        ConfigError: when the parts do not fit each other.
        DataError: when a file is missing, the starts do not fit or the disk is full.
    """
    codec, dynamics = TokenizerVAE.load(tokenizer), MaskedDynamics.load(base)
    net = InstructNet.load(branch) if branch is not None else None
    check_fit(codec, dynamics, net)
    networks: dict[str, Model] = {"tokenizer": codec, "base": dynamics}
    if net is not None:
        trained = net.config.base_weights
        if trained != weights_hash(base):
            raise ConfigError(
                f"the branch in {branch} learnt beside a base with the hash {trained or 'of none'}, "
                f"{base} has {weights_hash(base)}; pass the base beside which it learnt"
            )
        networks["branch"] = net
    if ENCODERS[encoder].width != dynamics.config.text_width:
        raise ConfigError(
            f"{encoder} makes token states of {ENCODERS[encoder].width} numbers, the base takes "
            f"{networks['base'].config.text_width}; choose the encoder that it was trained with"
        )
    offered = replace(controls, text=True, guide=guide) if net is not None else ControlSpace(text=True)
    with whole_folder(folder, "world.json") as partial:
        parts = {}
        for part, model in networks.items():
            model.save(partial / part, storage)
            parts[part] = Part(folder=part, weights=weights_hash(partial / part))
        spec = InstructWorldSpec(
            kind="instruct",
            format_version=FORMAT_VERSION,
            name=name,
            description=description,
            fps=fps,
            height=codec.config.height,
            width=codec.config.width,
            controls=offered,
            parts=InstructParts(tokenizer=parts["tokenizer"], base=parts["base"], branch=parts.get("branch")),
            encoder=encoder,
            prompt_fields=dynamics.config.fields,
            fields=net.config.fields if net is not None else dynamics.config.fields,
            unchanged=unchanged,
            given_frames=given_frames,
            new_frames=new_frames,
            play=play or InstructPlay(),
            starts="starts.safetensors",
        )
        if net is None:  # nobody steers: what was recorded between the frames says nothing
            still = np.zeros((*starts.controls.shape[:2], offered.width), np.float32)
            starts = replace(starts, controls=still)
        check_instruct_starts(starts, spec, name)
        save_starts(starts, partial / spec.starts)
        save_config(spec, partial / "world.json")
    return spec
