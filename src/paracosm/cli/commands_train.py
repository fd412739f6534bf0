"""Commands that make worlds: train, recipe, export and plan."""

import importlib
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paracosm.cli.arguments import parse, stderr_progress
from paracosm.core.config import load_config
from paracosm.core.errors import ConfigError

STAGES: dict[str, str] = {
    "tokenizer": "paracosm.train.stages.tokenizer:main",
    "encode": "paracosm.train.stages.encode:main",
    "dynamics": "paracosm.train.stages.teacher:main",
    "distil_init": "paracosm.train.stages.distil_init:main",
    "self_forcing": "paracosm.train.stages.self_forcing:main",
    "extend": "paracosm.train.stages.extend:main",
    "tokenizer_vq": "paracosm.train.stages.tokenizer_vq:main",
    "encode_codes": "paracosm.train.stages.encode_codes:main",
    "latent_actions": "paracosm.train.stages.latent_actions:main",
    "maskgit": "paracosm.train.stages.maskgit:main",
    "video_codec": "paracosm.train.stages.video_codec:main",
    "encode_video": "paracosm.train.stages.encode_video:main",
    "video_teacher": "paracosm.train.stages.video_teacher:main",
    "video_student": "paracosm.train.stages.video_student:main",
    "video_forcing": "paracosm.train.stages.video_forcing:main",
    "inverse_dynamics": "paracosm.train.stages.inverse_dynamics:main",
    "encode_texts": "paracosm.train.stages.encode_texts:main",
    "encode_guides": "paracosm.train.stages.encode_guides:main",
    "masked": "paracosm.train.stages.masked:main",
    "instruct": "paracosm.train.stages.instruct:main",
}
"""Stages by name, in the order of the street; each takes a config and a maker of progress lines."""

FROM = "--from"


def train(arguments: list[str]) -> None:
    """Run ``paracosm train``."""
    if not arguments or arguments[0] in ("--help", "-h"):
        print(TRAIN_HELP)
        return
    stage, *options = arguments
    if stage not in STAGES:
        raise ConfigError(f'there is no stage "{stage}"; choose one of {", ".join(STAGES)}')
    run = _load(STAGES[stage])
    cls = typing.get_type_hints(run)["config"]
    default, options = _take_default(cls, options)
    made = run(parse(cls, options, f"paracosm train {stage}", default), progress=stderr_progress())
    print(made)


TRAIN_HELP = f"""usage: paracosm train STAGE [--from FILE] [OPTIONS]

Train one stage. A run that was stopped goes on from its last checkpoint, bit for bit.

stages: {", ".join(STAGES)}

--from FILE takes the config of an earlier run, its config.json; options then change single values.
paracosm train STAGE --help tells the options of a stage."""


def _take_default(cls: Any, options: list[str]) -> tuple[Any, list[str]]:
    """Take ``--from FILE`` out of the options and load the config that it names."""
    if FROM not in options:
        return None, options
    place = options.index(FROM)
    if place + 1 == len(options):
        raise ConfigError(f"{FROM} names no file; give the config.json of a run")
    return load_config(cls, Path(options[place + 1])), options[:place] + options[place + 2 :]


def _load(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
