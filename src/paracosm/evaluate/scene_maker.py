"""Finds the scenes that ship with a case set: ``paracosm evaluate doom --make-scenes N``.

The game's own player walks to them once; from then on only what he did counts. This file does NOT judge.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paracosm.core.errors import DataError
from paracosm.core.progress import ProgressMaker, no_progress

from .case_set import load_case_set
from .cases import LevelSplit
from .interaction_cases import KINDS, STRAFE, Kind, Scene, covered, find_scene
from .rollouts import ConfiguredOpener
from .scenes import SceneSet, write_scenes

OTHER_NUMBER = 1000
"""Numbers of scenes on unseen levels begin here, so that they have seeds of their own."""


@dataclass(frozen=True, kw_only=True)
class SceneSetConfig:
    """Which scenes are found."""

    case_set: Path
    """folder of the case set that they join; its configs of the game are theirs"""
    version: int
    """raise it with every change"""
    num_scenes: int = 8
    """of each kind on the main levels; half as many on unseen ones where the set has both"""
    steps: int = 24
    """steps played with and without the key"""


def make_scenes(
    config: SceneSetConfig, opener: ConfiguredOpener, *, progress: ProgressMaker = no_progress
) -> SceneSet:
    """Find scenes in the true game, write them, and return them.

    Raises:
        DataError: when a kind that the game covers is found nowhere.
        MissingPackageError: when the game is not installed.
    """
    case_set = load_case_set(config.case_set)
    configs: dict[LevelSplit, Any] = {}
    for episode in case_set.episodes.values():
        configs.setdefault(episode["split"], episode["recipe"]["config"])
    game = case_set.info.name
    main = case_set.main_config
    kinds = [kind for kind in KINDS.get(game, ()) if covered(kind, main)]
    kinds += [STRAFE] if "depth" in main else []
    wanted = _wanted(configs, case_set.split, config.num_scenes)
    line = progress("find scenes", len(kinds) * len(wanted), "scene")
    found: dict[str, tuple[Kind, LevelSplit, Scene]] = {}
    done = 0
    for split, settings in configs.items():
        with contextlib.closing(opener(game, settings)) as world:
            for kind in kinds:
                for label, (number, own) in wanted.items():
                    if own == split:
                        scene = find_scene(world, settings, kind, number, config.steps)
                        done += 1
                        line.update(done)
                        if scene is not None:
                            found[f"{kind.name}/{label}"] = (kind, split, scene)
    line.close()
    missing = [kind.name for kind in kinds if not any(name.startswith(f"{kind.name}/") for name in found)]
    if missing:
        raise DataError(
            f"the player of {game} came to no scene of {missing[0]}; raise MAX_TRIES in interaction_cases.py"
        )
    return write_scenes(config.case_set, case_set.info.controls, config.version, found)


def _wanted(
    configs: Mapping[LevelSplit, Any], main: LevelSplit, count: int
) -> dict[str, tuple[int, LevelSplit]]:
    """Number and split of each scene by its label."""
    found: dict[str, tuple[int, LevelSplit]] = {str(number): (number, main) for number in range(count)}
    if len(configs) > 1:
        others = range(max(1, count // 2))
        found |= {f"unseen-{number}": (OTHER_NUMBER + number, "unseen_level") for number in others}
    return found
