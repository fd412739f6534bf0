"""Scenes of interaction that ship with a case set, drawn again by the true game and checked.

    case_sets/doom-1/
        scenes.json       of each scene: kind, split, recipe, length of the way to it, hashes of its start and
                          of what followed with and without the key, and the step at which the game itself
                          said that it happened
        scenes.parquet    what the player did on the way to each scene, standing still included

Since the way is kept and not the player, a player that learns to walk otherwise moves no figure. This file
does NOT find scenes; ``interaction_cases.py`` does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import DataError, WorldError
from paracosm.core.files import file_hash, read_json, whole_file
from paracosm.core.world import World
from paracosm.data.format import KEY_PREFIX, recipe_from_json, recipe_to_json

from .cases import LevelSplit
from .interaction_cases import Kind, Scene, stage

FORMAT_VERSION = 1
"""Version of the two files; not that of the scenes, which their own number tells."""
JSON_NAME, TABLE_NAME = "scenes.json", "scenes.parquet"
"""Their names in the folder of a case set."""


@dataclass(frozen=True, kw_only=True)
class ScenePlace:
    """A scene by name.

    Attributes:
        name: kind and number, e.g. "door/3", or "door/unseen-1".
        split: as for a case.
    """

    name: str
    split: LevelSplit


@dataclass(frozen=True, kw_only=True)
class SceneSet:
    """The scenes of a case set, as its files tell them.

    Attributes:
        folder: of the case set.
        version: raised with every change of a scene.
        steps: steps that were played with and without the key.
        space: controls of the game.
        scenes: by name, in the order of the table.
    """

    folder: Path
    version: int
    steps: int
    space: ControlSpace
    scenes: Mapping[str, Mapping[str, Any]]

    @cached_property
    def hash(self) -> str:
        """Of everything that decides a scene."""
        both = "".join(file_hash(self.folder / name) for name in (JSON_NAME, TABLE_NAME))
        return hashlib.sha256(both.encode()).hexdigest()[:16]

    def places(self, kind: str, count: int) -> list[ScenePlace]:
        """The first ``count`` scenes of a kind, and half as many of unseen levels where there are both."""
        own = [
            ScenePlace(name=name, split=one["split"])
            for name, one in self.scenes.items()
            if one["kind"] == kind
        ]
        main = [place for place in own if "unseen-" not in place.name]
        other = [place for place in own if "unseen-" in place.name]
        return main[:count] + other[: max(1, count // 2)]

    @cached_property
    def ways(self) -> Mapping[str, Sequence[Control]]:
        """What the player did on the way to each scene."""
        table = pq.read_table(self.folder / TABLE_NAME)
        found, first = {}, 0
        for name, one in self.scenes.items():
            found[name] = _read_way(self.space, table.slice(first, one["way"]))
            first += one["way"]
        if first != table.num_rows:
            raise DataError(
                f"{self.folder / TABLE_NAME} has {table.num_rows} rows, {JSON_NAME} tells of {first}; "
                "restore both from a copy"
            )
        return found

    def draw(self, game: World, kind: Kind, name: str, steps: int) -> Scene:
        """Have the true game play a scene again, with the key and without.

        Args:
            game: the true game under the scene's config, open; see :meth:`config`.
            kind: of interaction.
            name: of the scene.
            steps: steps wanted, at most those that were kept.

        Raises:
            WorldError: when the game shows another start, another outcome, or tells of it at another step.
            DataError: for more steps than were kept.
        """
        if steps > self.steps:
            raise DataError(f"scenes were kept for {self.steps} steps, {steps} are wanted; take fewer")
        kept = self.scenes[name]
        recipe = recipe_from_json(kept["recipe"], None, self.folder / JSON_NAME)
        scene = stage(game, recipe, tuple(self.ways[name]), kind.script(self.steps))
        found = None if scene is None else outcome(scene, kind)
        changed = [part for part, value in (found or {}).items() if value != kept[part]]
        if scene is None or changed:
            what = ", ".join(changed) if changed else "its length: the episode ends before"
            raise WorldError(
                f"{recipe.world} ({game.info.engine}) does not repeat the scene {name} of "
                f"{self.folder.name}, made with {recipe.engine}: another {what}; install that version"
            )
        return _cut(scene, kind, steps)

    def config(self, name: str) -> Any:
        """Config of the game in a scene."""
        return self.scenes[name]["recipe"]["config"]


def outcome(scene: Scene, kind: Kind) -> dict[str, Any]:
    """What must come out again: start, both courses, and when the game says that it happened."""
    steps = range(1, len(scene.truths) + 1)
    return {
        "start": _digest(scene.rollout.start),
        "acted": _digest(scene.true_acted),
        "idle": _digest(scene.true_idle),
        "happened_at": next((step for step in steps if kind.happened(scene.truths[:step])), None),
    }


def load_scenes(folder: Path, space: ControlSpace) -> SceneSet | None:
    """Read the scenes of a case set; None when it has none.

    Raises:
        DataError: for another format, or a file that is not whole.
    """
    file = folder / JSON_NAME
    if not file.is_file():
        return None
    value = read_json(file)
    if value.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{file} has format version {value.get('format_version')}, this version reads {FORMAT_VERSION}; "
            "upgrade paracosm, or find the scenes anew with paracosm evaluate --make-scenes"
        )
    needed = {"kind", "split", "way", "recipe", "start", "acted", "idle", "happened_at"}
    lame = [name for name, one in value.get("scenes", {}).items() if not needed <= set(one)]
    if lame or not {"version", "steps", "scenes"} <= set(value):
        raise DataError(f"{file} holds no whole scenes ({lame[:1]}); restore it from a copy")
    return SceneSet(
        folder=folder, version=value["version"], steps=value["steps"], space=space, scenes=value["scenes"]
    )


def write_scenes(
    folder: Path,
    space: ControlSpace,
    version: int,
    found: Mapping[str, tuple[Kind, LevelSplit, Scene]],
) -> SceneSet:
    """Write scenes into the folder of a case set, both files whole.

    Args:
        folder: of the case set.
        space: controls of the game.
        version: of the scenes.
        found: kind, split and scene by name, all of one length.
    """
    steps = len(next(iter(found.values()))[2].truths)
    rows = [control for _, _, scene in found.values() for control in scene.rollout.past]
    scenes = {
        name: {
            "kind": kind.name,
            "split": split,
            "way": len(scene.rollout.past),
            "recipe": recipe_to_json(scene.rollout.recipe),
            **outcome(scene, kind),
        }
        for name, (kind, split, scene) in found.items()
    }
    head = {"format_version": FORMAT_VERSION, "version": version, "steps": steps}
    lines = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(one, sort_keys=True)}" for name, one in scenes.items()
    )
    top = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items())
    with whole_file(folder / TABLE_NAME) as temporary:
        pq.write_table(_ways_table(space, rows), temporary, compression="zstd", compression_level=19)
    with whole_file(folder / JSON_NAME) as temporary:
        temporary.write_text(f'{{\n{top},\n"scenes": {{\n{lines}\n}}\n}}\n')
    made = load_scenes(folder, space)
    assert made is not None
    return made


def _cut(scene: Scene, kind: Kind, steps: int) -> Scene:
    return replace(
        scene,
        rollout=replace(scene.rollout, controls=kind.script(steps)),
        true_acted=scene.true_acted[:steps],
        true_idle=scene.true_idle[:steps],
        truths=scene.truths[:steps],
        idle_truths=scene.idle_truths[:steps],
    )


def _ways_table(space: ControlSpace, controls: Sequence[Control]) -> pa.Table:
    columns = {
        KEY_PREFIX + key: pa.array([key in one.keys for one in controls], pa.bool_()) for key in space.keys
    }
    for axis, name in enumerate(("look_yaw", "look_pitch")):
        columns[name] = pa.array([one.look[axis] for one in controls], pa.float64())
    return pa.table(columns)


def _read_way(space: ControlSpace, table: pa.Table) -> list[Control]:
    return [
        Control({key for key in space.keys if row[KEY_PREFIX + key]}, (row["look_yaw"], row["look_pitch"]))
        for row in table.to_pylist()
    ]


def _digest(frames: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(frames).tobytes()).hexdigest()[:32]
