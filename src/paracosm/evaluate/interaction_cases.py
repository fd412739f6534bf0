"""Scenes in which a key has an effect: found in the true game by its own player, brought to rest, then acted.

A scene is played twice in the true game, with the key and without it (the no-op counterfactual); the game's
own truth says that the event happened, and that it did not happen by itself. Everything is derived from
seeds that no recipe records training episodes from. Case sets ship scenes that were found once, see
``scenes.py``. This file does NOT play dreams and gives no marks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import IDLE, Control
from paracosm.core.episode import Recipe
from paracosm.core.errors import ControlError, WorldError
from paracosm.core.rng import stream, sub_seed
from paracosm.core.world import Frame, World
from paracosm.worlds import make_policy

from .cases import START_FRAMES
from .rollouts import Rollout

Group = Literal["environment", "actor", "entity"]
"""InterBench's three classes: weather and physical events; what the player's body does; who appears."""
SETTLE_STEPS = 24
"""Steps without control before the key, so that sliding and swaying do not count as its effect."""
LONGEST_WALK = 700
"""Steps that the player may take to come to a scene: replaying them costs time for each clip."""
WALK_STEPS = (40, 160)
"""Steps that the player takes first where a scene can begin anywhere."""
MAX_TRIES = 12
"""Episodes that are tried for one scene."""
FIRST_SEED, NUM_SEEDS = 1_500_000_000, 400_000_000
"""World seeds of scenes; recipes record training from seeds below a million, held-out from a billion up."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of interaction.

    Attributes:
        name: last part of figure names.
        group: its class.
        keys: what is held to cause it.
        hold_steps: for how long.
        event: name in ``truth["events"]`` that says that it happened; "" for a rise or a move instead.
        rise: units of ``truth["pose"]`` by which the player must have risen; 0 where an event tells.
        height: which entry of the pose is the height.
        move: units of ``truth["pose"]`` by which the player must have moved over ground; 0 for no matter.
        begin: where scenes begin: just before the player causes it himself, or after any walk.
        needs: dotted key of the game's config that must be above 0, "" for none.
    """

    name: str
    group: Group
    keys: frozenset[str]
    hold_steps: int
    event: str = ""
    rise: float = 0.0
    height: str = "z"
    move: float = 0.0
    begin: Literal["before_event", "anywhere"] = "anywhere"
    needs: str = ""

    def happened(self, truths: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the game's truth says that it happened within these steps."""
        if self.event:
            return any(self.event in truth.get("events", ()) for truth in truths)
        if self.move:
            first, last = truths[0]["pose"], truths[-1]["pose"]
            return math.hypot(last["x"] - first["x"], last["y"] - first["y"]) >= self.move
        heights = [truth["pose"][self.height] for truth in truths]
        return max(heights) - min(heights) >= self.rise

    def script(self, steps: int) -> tuple[Control, ...]:
        """Hold the keys, then let go."""
        held = min(self.hold_steps, steps)
        return (Control(self.keys),) * held + (IDLE,) * (steps - held)


KINDS: dict[str, tuple[Kind, ...]] = {
    "game:doom": (
        Kind(name="door", group="actor", keys=frozenset({"use"}), hold_steps=2, event="door_opened",
             begin="before_event"),
        Kind(name="shot", group="actor", keys=frozenset({"attack"}), hold_steps=2, event="shot"),
        Kind(name="jump", group="actor", keys=frozenset({"jump"}), hold_steps=2, rise=16.0),
        Kind(name="hit", group="actor", keys=frozenset({"attack"}), hold_steps=2, event="hit",
             begin="before_event", needs="level.monsters"),
        Kind(name="pickup", group="actor", keys=frozenset({"forward"}), hold_steps=8, event="pickup",
             begin="before_event", needs="level.items"),
    ),
    "game:coinrun": (
        Kind(name="jump", group="actor", keys=frozenset({"up"}), hold_steps=4, event="jumped", height="y"),
    ),
}  # fmt: skip
"""What can be caused in each game; a game that is not here has no interaction cases yet."""
STRAFE = Kind(
    name="strafe", group="actor", keys=frozenset({"right"}), hold_steps=8, move=40.0, begin="anywhere"
)
"""Stepping aside, which shows parallax where a game tells depth; no interaction, but found the same way."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A moment in which a key has an effect, and what the true game shows with and without it.

    Attributes:
        rollout: how a world is brought there (noise seed 0), and the script with the key.
        true_acted: uint8 (steps, h, w, 3), the true game under the script.
        true_idle: the same without the key.
        truths: what the game knew at each step under the script.
        idle_truths: the same without the key.
    """

    rollout: Rollout
    true_acted: np.ndarray
    true_idle: np.ndarray
    truths: Sequence[Mapping[str, Any]]
    idle_truths: Sequence[Mapping[str, Any]]

    def under(self, controls: Sequence[Control], seed: int = 0) -> Rollout:
        """The same start under other controls and another noise seed."""
        return replace(self.rollout, controls=tuple(controls), seed=seed)


def covered(kind: Kind, config: Any) -> bool:
    """Whether the game, configured so, can show this kind at all.

    Args:
        kind: of interaction.
        config: the game's config as JSON values, None for its defaults.
    """
    if not kind.needs:
        return True
    value = config
    for key in kind.needs.split("."):
        value = value.get(key, 0) if isinstance(value, Mapping) else 0
    return bool(value)


def find_scene(game: World, config: Any, kind: Kind, number: int, steps: int) -> Scene | None:
    """Find scene ``number`` of a kind; the same game and number give the same scene.

    Args:
        game: the true game, open.
        config: its config as JSON values, for the recipe.
        kind: of interaction.
        number: which scene, from 0.
        steps: of the script.

    Returns:
        None when MAX_TRIES episodes did not hold one.
    """
    for attempt in range(MAX_TRIES):
        seed = FIRST_SEED + sub_seed(number, "scene", kind.name, attempt) % NUM_SEEDS
        past = _walk(game, kind, seed)
        if past is None:
            continue
        recipe = Recipe(
            world=game.info.name, config=config, engine=game.info.engine, seed=seed, split="held_out"
        )
        scene = stage(game, recipe, (*past, *(IDLE,) * SETTLE_STEPS), kind.script(steps))
        if scene is not None and kind.happened(scene.truths) and not kind.happened(scene.idle_truths):
            return scene
    return None


def _walk(game: World, kind: Kind, seed: int) -> tuple[Control, ...] | None:
    """Let the game's player walk to where a scene can begin: the controls up to there."""
    frame = game.reset(seed)
    policy = _player(game)
    policy.reset(game, frame, sub_seed(seed, "walk"))
    low, high = WALK_STEPS
    walk = int(stream(seed, "walk").integers(low, high)) if kind.begin == "anywhere" else LONGEST_WALK
    controls: list[Control] = []
    for _ in range(walk):
        control = policy.act(frame)
        frame = game.step(control)
        if frame.truth.get("ended"):
            return None
        caused = kind.begin == "before_event" and kind.event in frame.truth.get("events", ())
        # a key held for a while may act late: only a press that acts at once places the scene
        if caused and kind.keys <= control.keys and len(controls) >= START_FRAMES:
            return tuple(controls)
        controls.append(control)
    return tuple(controls) if kind.begin == "anywhere" else None


def _player(game: World) -> Any:
    try:
        return make_policy(game.info.name, "explorer")
    except ControlError:
        return make_policy(game.info.name, "sticky")


def stage(
    game: World, recipe: Recipe, before: tuple[Control, ...], script: tuple[Control, ...]
) -> Scene | None:
    """Play a scene with the key and without it.

    Args:
        game: the true game, open, under the recipe's config.
        recipe: of the episode.
        before: controls up to the scene, standing still included.
        script: controls with the key.

    Returns:
        None when the episode ends before the scene does.

    Raises:
        WorldError: when the game does not repeat itself.
    """
    acted = _play(game, recipe, before, script)
    idle = _play(game, recipe, before, (IDLE,) * len(script))
    if acted is None or idle is None:
        return None
    start = np.stack([frame.image for frame in acted[:START_FRAMES]])
    if not np.array_equal(start, np.stack([frame.image for frame in idle[:START_FRAMES]])):
        raise WorldError(
            f"{game.info.name} ({game.info.engine}) does not repeat seed {recipe.seed}; "
            "without exact repeats there is no counterfactual"
        )
    return Scene(
        rollout=Rollout(
            seed=0,
            start=start,
            start_controls=before[len(before) - START_FRAMES + 1 :],
            controls=script,
            recipe=recipe,
            past=before,
        ),
        true_acted=np.stack([frame.image for frame in acted[START_FRAMES:]]),
        true_idle=np.stack([frame.image for frame in idle[START_FRAMES:]]),
        truths=[frame.truth for frame in acted[START_FRAMES:]],
        idle_truths=[frame.truth for frame in idle[START_FRAMES:]],
    )


def _play(
    game: World, recipe: Recipe, before: Sequence[Control], script: Sequence[Control]
) -> list[Frame] | None:
    """The last START_FRAMES frames before the script and those after each of its controls."""
    frame = game.reset(recipe.seed)
    frames = [frame]
    for control in (*before, *script):
        if frame.truth.get("ended"):
            return None
        frame = game.step(control)
        frames.append(frame)
    return frames[len(before) + 1 - START_FRAMES :]
