"""A world that follows instructions, of random weights and a recording's size, for commands to run on."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from paracosm.core.instruct_spec import InstructPlay
from paracosm.core.world_spec import Starts
from paracosm.curate.captions import GEN_FIELDS, INS_FIELDS, UNCHANGED
from paracosm.data.reader import Dataset
from paracosm.models.base import weights_hash
from paracosm.models.dynamics_masked import MaskedDynamics
from paracosm.models.instruct import InstructNet
from paracosm.models.instruct_world import build_instruct_world
from paracosm.models.tokenizer_vae import TokenizerVAE
from tests import tiny, tiny_instruct
from tests.tiny import perturb

GIVEN, NEW = 4, 6


def build_toy_world(folder: Path, dataset: Dataset, steered: bool) -> Path:
    """Build it in FOLDER/world, with a branch or of words alone."""
    info = dataset.info
    codec = TokenizerVAE(replace(tiny.tokenizer_config(), height=info.height, width=info.width))
    codec.save(folder / "tokenizer")
    config = replace(
        tiny_instruct.base_config(),
        latent_channels=codec.config.latent_channels,
        depth=2,
        fields=("text", *GEN_FIELDS),
    )
    base = MaskedDynamics(config)
    perturb(base, 0)
    base.save(folder / "base")
    net = InstructNet(
        replace(
            tiny_instruct.branch_config(),
            base=config,
            depth=1,
            fields=("text", *INS_FIELDS),
            control_width=info.controls.width,
            look_limit=info.controls.look_limit,
            base_weights=weights_hash(folder / "base"),
        )
    )
    perturb(net, 1)
    net.save(folder / "branch")
    episode = dataset.episodes[0]
    build_instruct_world(
        folder / "world",
        tokenizer=folder / "tokenizer",
        base=folder / "base",
        branch=folder / "branch" if steered else None,
        starts=Starts(
            frames=episode.read_frames(0, GIVEN)[None],
            controls=episode.control_vectors[None, : GIVEN - 1].astype(np.float32),
        ),
        name="toy",
        description="Random weights.",
        fps=info.fps,
        controls=info.controls,
        encoder="hashed_words",
        given_frames=GIVEN,
        new_frames=NEW,
        unchanged=UNCHANGED,
        play=InstructPlay(levels=(1.0, 0.5)),
    )
    return folder / "world"
