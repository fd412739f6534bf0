"""Players that know no game: idle, scripted, sticky random, and a mixture of two others.

Keys are held and turns swell and fade as a person's do; a control drawn anew at each step would average out
to standing still. This file does NOT know any game: explorers that plan on a level live beside their game.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from paracosm.core.controls import IDLE, Control
from paracosm.core.errors import ConfigError, ControlError
from paracosm.core.rng import stream, sub_seed
from paracosm.core.world import Frame, Policy, World

KEYS_AT_ONCE = "keys_at_once"
"""Name in ``WorldInfo.details`` of how many keys have an effect together; absent when all of them do."""


class IdlePolicy:
    """Does nothing."""

    def reset(self, world: World, frame: Frame, seed: int) -> None:
        """Begin an episode."""

    def act(self, frame: Frame) -> Control:
        """Return the idle control."""
        return IDLE


class ScriptPolicy:
    """Plays a list of controls, then does nothing."""

    def __init__(self, controls: Sequence[Control]) -> None:
        """Take the controls to play, in order."""
        self._controls = tuple(controls)
        self._next = 0

    def reset(self, world: World, frame: Frame, seed: int) -> None:
        """Begin the list again."""
        for control in self._controls:
            world.info.controls.check(control)
        self._next = 0

    def act(self, frame: Frame) -> Control:
        """Return the next control of the list."""
        self._next += 1
        return self._controls[self._next - 1] if self._next <= len(self._controls) else IDLE


@dataclass(frozen=True, kw_only=True)
class StickyConfig:
    """How a sticky random player moves."""

    hold_steps: float = 12.0
    """Mean number of steps that a key stays down."""
    rest_steps: float = 18.0
    """Mean number of steps that a key stays up."""
    opposites: tuple[tuple[str, str], ...] = (("forward", "back"), ("left", "right"), ("up", "down"))
    """Pairs of keys, of which only the one pressed last stays down."""
    weights: dict[str, float] = field(default_factory=dict)
    """Share of time down of single keys, in (0, 1), by name; their hold time stays, their rest time
    follows."""
    turn_steps: float = 15.0
    """Mean number of steps of one turn of the camera."""
    turn_share: float = 0.6
    """Share of the time that the camera turns at all."""
    pitch_share: float = 0.25
    """Largest pitch as a share of its limit: most games are played looking ahead."""

    def __post_init__(self) -> None:
        """Refuse times and shares that make no sense."""
        if min(self.hold_steps, self.rest_steps, self.turn_steps) < 1:
            raise ConfigError(
                "hold_steps, rest_steps and turn_steps are mean numbers of steps; use 1 or more"
            )
        if not all(0 < share < 1 for share in self.weights.values()):
            raise ConfigError(f"weights {self.weights} are shares of time; use numbers between 0 and 1")


class StickyRandom:
    """Holds and releases each key at random, and turns the camera in smooth random arcs."""

    def __init__(self, config: StickyConfig = StickyConfig()) -> None:
        """Take how it moves."""
        self._config = config

    def reset(self, world: World, frame: Frame, seed: int) -> None:
        """Begin an episode."""
        self._space = world.info.controls
        self._one_key = world.info.details.get(KEYS_AT_ONCE) == 1
        self._rng = stream(seed, "sticky")
        self._down = dict.fromkeys(self._space.keys, False)
        self._yaw = _Turn(self._space.look_limit[0], self._config)
        self._pitch = _Turn(self._space.look_limit[1] * self._config.pitch_share, self._config)
        self._latent = 0

    def act(self, frame: Frame) -> Control:
        """Return the next control."""
        for key in self._space.keys:
            if self._rng.random() < self._switch_chance(key):
                self._down[key] = not self._down[key]
                if self._down[key]:
                    self._release_others(key)
        look = (self._yaw.step(self._rng), self._pitch.step(self._rng))
        latent = None
        if self._space.num_latents:
            if self._rng.random() < 1 / self._config.hold_steps:
                self._latent = int(self._rng.integers(self._space.num_latents))
            latent = self._latent
        return Control({key for key, down in self._down.items() if down}, look, latent=latent)

    def _switch_chance(self, key: str) -> float:
        if self._down[key]:
            return 1 / self._config.hold_steps
        share = self._config.weights.get(key)
        if share is None:
            return 1 / self._config.rest_steps
        return min(1.0, share / ((1 - share) * self._config.hold_steps))

    def _release_others(self, key: str) -> None:
        """Lift the keys that cannot stay down beside ``key``."""
        if self._one_key:
            self._down = {other: other == key for other in self._down}
        for pair in self._config.opposites:
            if key in pair:
                other = pair[1] if key == pair[0] else pair[0]
                if other in self._down:
                    self._down[other] = False


class NewRandom:
    """Draws a control anew at each step, all combinations of keys that can stay down together alike.

    The random player of published studies, without action repeats; :class:`StickyRandom` gets further.
    """

    def reset(self, world: World, frame: Frame, seed: int) -> None:
        """Begin an episode."""
        self._space = world.info.controls
        self._rng = stream(seed, "random")
        pairs = [pair for pair in StickyConfig().opposites if set(pair) <= set(self._space.keys)]
        paired = {key for pair in pairs for key in pair}
        singles = [(key,) for key in self._space.keys if key not in paired]
        self._groups = [tuple(self._space.keys)]
        if world.info.details.get(KEYS_AT_ONCE) != 1:
            self._groups = [*pairs, *singles]

    def act(self, frame: Frame) -> Control:
        """Return the next control."""
        picks = [(group, int(self._rng.integers(len(group) + 1))) for group in self._groups]
        keys = {group[pick] for group, pick in picks if pick < len(group)}
        limits = self._space.look_limit
        look = tuple(float(self._rng.uniform(-limit, limit)) if limit else 0.0 for limit in limits)
        latents = self._space.num_latents
        latent = int(self._rng.integers(latents)) if latents else None
        return Control(keys, (look[0], look[1]), latent=latent)


class _Turn:
    """The camera's turn on one axis: arcs of random length and rate, with smooth changes of rate."""

    smoothing = 0.35
    """Share of the way to the wanted rate that one step goes."""
    rest = 0.02
    """Share of the limit below which a fading turn has ended."""

    def __init__(self, limit: float, config: StickyConfig) -> None:
        self._limit, self._config = limit, config
        self._rate = self._target = 0.0
        self._left = 0

    def step(self, rng: np.random.Generator) -> float:
        """Return the degrees of the next step."""
        if self._limit == 0:
            return 0.0
        if self._left == 0:
            self._left = int(rng.geometric(1 / self._config.turn_steps))
            turns = rng.random() < self._config.turn_share
            self._target = float(rng.uniform(-self._limit, self._limit)) if turns else 0.0
        self._left -= 1
        self._rate += self.smoothing * (self._target - self._rate)
        if self._target == 0 and abs(self._rate) < self.rest * self._limit:
            self._rate = 0.0
        return round(self._rate, 3)


@dataclass(frozen=True, kw_only=True)
class MixedConfig:
    """How a mixed player changes between two others."""

    segment_steps: float = 40.0
    """Mean number of steps before the player may change."""
    first_share: float = 0.7
    """Share of the segments that the first player plays."""

    def __post_init__(self) -> None:
        """Refuse shares and times that make no sense."""
        if self.segment_steps < 1 or not 0 <= self.first_share <= 1:
            raise ConfigError(
                f"segment_steps {self.segment_steps} and first_share {self.first_share} make no "
                "mixture; use >= 1 and 0 to 1"
            )


class MixedPolicy:
    """Plays segments of two players in turn, e.g. an explorer and sticky random.

    Both are asked at every step, so that each knows where the world is; one of the answers is used.
    """

    def __init__(self, first: Policy, second: Policy, config: MixedConfig = MixedConfig()) -> None:
        """Take the two players."""
        self._players = (first, second)
        self._config = config

    def reset(self, world: World, frame: Frame, seed: int) -> None:
        """Begin an episode; each player gets a seed of its own."""
        for index, player in enumerate(self._players):
            player.reset(world, frame, sub_seed(seed, "mixed", index))
        self._rng = stream(seed, "mixed")
        self._left = 0
        self._current = 0

    def act(self, frame: Frame) -> Control:
        """Return the control of the player whose segment it is."""
        if self._left == 0:
            self._left = int(self._rng.geometric(1 / self._config.segment_steps))
            self._current = 0 if self._rng.random() < self._config.first_share else 1
        self._left -= 1
        return [player.act(frame) for player in self._players][self._current]


def require_known(policy: str, known: Sequence[str]) -> None:
    """Refuse a policy name that a world does not have.

    Raises:
        ControlError: names those it has.
    """
    if policy not in known:
        raise ControlError(f'there is no policy "{policy}" for this world; choose one of {", ".join(known)}')
