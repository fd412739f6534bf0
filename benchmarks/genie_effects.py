"""Which effect a key had: asks the true game, put into the same state, what other keys would have shown.

Keys that would have shown the same are one effect: a leap in the air that cannot begin, two keys held of
which one wins. The effect of a step is the fewest keys that show what the held keys showed; no key at all
means that nothing visible came of them. Effects are kept beside the recording as labels, so that asking again
costs nothing. This file does NOT know networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paracosm.collect.record import ConfiguredOpener
from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import DataError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world import World
from paracosm.data.format import LABELS_FOLDER
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.data.writer import write_labels
from paracosm.evaluate.metrics.responses import EFFECT_SHARE, changed_share

LABELS, LABELS_VERSION = "key_effects", 1
"""Where effects are kept beside a recording."""
NOT_ASKED = -1
"""Effect of steps that the game was not asked about, and of the last frame, which no step follows."""


@dataclass(frozen=True, kw_only=True)
class KeyEffects:
    """Effects of one episode; sets of keys are numbers whose bit i is key i of the world.

    Attributes:
        held: int64 (t - 1,), keys held at each step.
        effect: int64 (t - 1,), fewest keys that look the same: less than EFFECT_SHARE of the pixels differ
            clearly (``changed_share``); 0 where no key at all looks the same.
        exact: int64 (t - 1,), fewest keys that show the very same bytes.
    """

    held: np.ndarray
    effect: np.ndarray
    exact: np.ndarray


def label_effects(
    dataset: Dataset,
    num_episodes: int,
    max_steps: int,
    open_world: ConfiguredOpener,
    progress: ProgressMaker = no_progress,
) -> list[KeyEffects]:
    """Effects of the first episodes of a recording: read where they were found before, else asked for.

    Args:
        dataset: recorded in a world that snapshots and repeats itself.
        num_episodes: episodes, from the first on.
        max_steps: steps of each, from its start on.
        open_world: opens the world of a recipe with its config.
        progress: begins a progress line.

    Raises:
        DataError: when the world turns too, or does not draw the recorded frames again.
    """
    _check_controls(dataset.info.controls)
    chosen = dataset.episodes[:num_episodes]
    sets = key_sets(dataset.episodes)
    line = progress("ask the true game", len(chosen), "episode")
    found = []
    for i, episode in enumerate(chosen):
        effects = _read_labels(dataset, episode, max_steps)
        if effects is None:
            effects = _ask(episode, sets, max_steps, open_world)
            _keep_labels(dataset, episode, effects)
        found.append(effects)
        line.update(i + 1)
    line.close()
    return found


def key_sets(episodes: Sequence[EpisodeRef]) -> tuple[int, ...]:
    """Sets of keys that were ever held in some episodes, the empty one among them, fewest keys first."""
    held = {0}.union(*(set(held_keys(episode).tolist()) for episode in episodes))
    return tuple(sorted(held, key=lambda one: (one.bit_count(), one)))


def held_keys(episode: EpisodeRef) -> np.ndarray:
    """Keys held at each step, int64 (t - 1,)."""
    count = len(episode.info.controls.keys)
    return (episode.control_vectors[:, :count] > 0.5) @ (1 << np.arange(count))


def name_keys(keys: int, space: ControlSpace) -> str:
    """Names of a set of keys, "none" for the empty one."""
    return "+".join(key for i, key in enumerate(space.keys) if keys >> i & 1) or "none"


def ask_step(world: World, held: int, shown: np.ndarray, sets: Sequence[int]) -> tuple[int, int]:
    """Find the fewest keys that show the same as the held ones, from where the world stands now.

    Args:
        world: it is put back where it stood.
        held: keys held.
        shown: what came of them, uint8 (h, w, 3).
        sets: sets of keys to try, fewest first.

    Returns:
        The set that looks the same, and the set of the very same bytes.
    """
    state, like = world.snapshot(), None
    for keys in sets:
        if keys == held:
            return (keys if like is None else like), keys
        other = world.step(to_control(keys, world.info.controls)).image
        world.restore(state)
        if like is None and changed_share(other[None], shown[None])[0] < EFFECT_SHARE:
            like = keys
        if np.array_equal(other, shown):
            return (keys if like is None else like), keys
    raise DataError(f"keys {held} are not among {list(sets)}; give every set that is held in the recording")


def to_control(keys: int, space: ControlSpace) -> Control:
    """The control that holds a set of keys."""
    return Control({key for i, key in enumerate(space.keys) if keys >> i & 1})


def _ask(
    episode: EpisodeRef, sets: Sequence[int], max_steps: int, open_world: ConfiguredOpener
) -> KeyEffects:
    world = open_world(episode.recipe.world, episode.recipe.config)
    try:
        return _ask_world(world, episode, sets, max_steps)
    finally:
        world.close()


def _ask_world(world: World, episode: EpisodeRef, sets: Sequence[int], max_steps: int) -> KeyEffects:
    frames, held, recipe = episode.frames, held_keys(episode), episode.recipe
    effect, exact = np.full(len(held), NOT_ASKED), np.full(len(held), NOT_ASKED)
    shown = world.reset(recipe.seed, recipe.start, recipe.start_controls, recipe.prompt).image
    for i, keys in enumerate(held[:max_steps]):
        if not np.array_equal(shown, frames[i]):
            raise DataError(
                f"{recipe.world} does not draw frame {i} of {episode.path} again; "
                "ask the version of the game that recorded it, or record anew"
            )
        effect[i], exact[i] = ask_step(world, int(keys), frames[i + 1], sets)
        shown = world.step(to_control(int(keys), world.info.controls)).image
    return KeyEffects(held=held, effect=effect, exact=exact)


def _keep_labels(dataset: Dataset, episode: EpisodeRef, effects: KeyEffects) -> None:
    last = [NOT_ASKED]
    columns: dict[str, np.ndarray] = {
        "effect": np.concatenate([effects.effect, last]),
        "exact": np.concatenate([effects.exact, last]),
    }
    write_labels(dataset.path, LABELS, LABELS_VERSION, episode.name, columns)


def _read_labels(dataset: Dataset, episode: EpisodeRef, max_steps: int) -> KeyEffects | None:
    """Labels that reach as far as is asked, or None."""
    file = dataset.path / LABELS_FOLDER / LABELS / f"v{LABELS_VERSION}" / f"{episode.name}.parquet"
    if not file.exists():
        return None
    table = dataset.read_labels(LABELS, LABELS_VERSION, episode.name)
    effect, exact = (table[name].to_numpy()[:-1] for name in ("effect", "exact"))
    if (effect[:max_steps] == NOT_ASKED).any():
        return None
    return KeyEffects(
        held=held_keys(episode), effect=_until(effect, max_steps), exact=_until(exact, max_steps)
    )


def _until(found: np.ndarray, stop: int) -> np.ndarray:
    return np.where(np.arange(len(found)) < stop, found, NOT_ASKED)


def _check_controls(space: ControlSpace) -> None:
    if not space.keys or max(space.look_limit) > 0:
        raise DataError(
            f"a world of keys {list(space.keys)} that turns by up to {space.look_limit} degrees cannot be "
            "asked; use one that is steered by keys alone, such as game:coinrun"
        )
