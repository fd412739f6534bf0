"""A scripted player for CoinRun that knows the level: it roams all of it, plays about, then takes the coin.

An episode is a row of errands. Most lead to a column of the level, drawn evenly, so that left and right are
walked alike and the whole level scrolls by; some are play: stand, hop, hold something. Before each step the
player looks ahead: keys after which nothing could save it any more are replaced, but for a few reckless
episodes, so that deaths are seen too. This file does NOT look at pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

from paracosm.collect.games.coinrun import CoinRunWorld
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.rng import stream
from paracosm.core.world import Frame, World

from .coinrun_body import Body, Level

Keys = tuple[int, bool]
"""-1 left, 0 none or 1 right, and whether up is held."""

_CONTROLS: dict[Keys, Control] = {
    (across, jump): Control({-1: ("left",), 0: (), 1: ("right",)}[across] + (("up",) if jump else ()))
    for across in (-1, 0, 1)
    for jump in (False, True)
}
_PLAYS: tuple[tuple[Keys, float], ...] = (
    ((0, False), 0.25), ((0, True), 0.2), ((-1, False), 0.15),
    ((1, False), 0.15), ((-1, True), 0.125), ((1, True), 0.125),
)  # fmt: skip
_HORIZON = 50
"""Steps that a rescue is followed at most; the deepest falls take 40."""
_REST = 6
"""Steps of standing, or sliding to a stop, after which a rescue counts as one."""
_SURE_STEPS = 3
"""Keys that are safe for this many steps are not looked at again before."""
_WATCH_STEPS = 5
"""Slimes are looked at again after this many steps."""


@dataclass(frozen=True, kw_only=True)
class CoinRunExplorerConfig:
    """How the explorer spends its time."""

    errands: float = 8.0
    """Mean number of columns visited before the coin."""
    play_share: float = 0.7
    """Chance of play between two errands."""
    whim_share: float = 0.015
    """Chance, for each step of a walk, of play at once."""
    hop_share: float = 0.06
    """Chance, for each step of a walk, of a leap for no reason."""
    reckless_share: float = 0.1
    """Share of episodes that are played without looking ahead."""

    def __post_init__(self) -> None:
        """Refuse shares and counts that make no sense."""
        shares = (self.play_share, self.whim_share, self.hop_share, self.reckless_share)
        if self.errands < 0 or not all(0 <= share <= 1 for share in shares):
            raise ConfigError("errands must be >= 0 and the shares of the CoinRun explorer between 0 and 1")


class CoinRunExplorer:
    """The explorer, a ``core.world.Policy`` for ``game:coinrun``."""

    def __init__(self, config: CoinRunExplorerConfig = CoinRunExplorerConfig()) -> None:
        """Take how it spends its time; it begins with :meth:`reset`."""
        self._config = config

    def reset(self, world: World, frame: Frame, seed: int) -> None:
        """Begin an episode.

        Raises:
            WorldError: when the world is not CoinRun, whose level the explorer must know.
        """
        if not isinstance(world, CoinRunWorld):
            raise WorldError(
                f"the CoinRun explorer cannot see the level of {world.info.name}; use it on game:coinrun only"
            )
        self._world = world
        self._rng = stream(seed, "coinrun-explorer")
        state = world.state()
        self._level = Level(state.tiles, state.entities)
        self._first_index = frame.index
        self._errands_left = int(self._rng.poisson(self._config.errands))
        self._looks_ahead = self._rng.random() >= self._config.reckless_share
        self._held: Keys = (0, False)
        self._hold = 0
        self._stuck = 0
        self._sure = 0
        self._sure_keys: Keys = (0, False)
        self._last_rescue: Keys = (0, False)
        pose = frame.truth["pose"]
        self._choose_target(pose["x"])

    def act(self, frame: Frame) -> Control:
        """Choose the control of this step."""
        pose = frame.truth["pose"]
        x, y, vx, vy = pose["x"], pose["y"], pose["vx"], pose["vy"]
        body = Body(x, y, vx, vy, vy == 0)
        time = frame.index - self._first_index
        if self._level.has_slimes and time % _WATCH_STEPS == 0 and self._level.danger_near(x):
            self._level.watch_slimes(self._world.entities(), time)
        if self._hold > 0:
            self._hold -= 1
            wanted = self._held
        else:
            wanted = self._walk(body)
        return _CONTROLS[self._save(body, wanted, time)]

    def _walk(self, body: Body) -> Keys:
        self._patience -= 1
        arrived = self._patience <= 0 or abs(self._target - body.x) < 0.6
        if arrived:
            self._choose_target(body.x)
        if self._rng.random() < (self._config.play_share if arrived else self._config.whim_share):
            return self._keep(self._draw_play(), 3, 21)
        direction = 1 if self._target > body.x else -1
        self._stuck = self._stuck + 1 if abs(body.vx) < 0.02 else 0
        if self._stuck > 8:
            # A run-up: what could not be crossed from here may be crossed at full speed.
            self._stuck = 0
            return self._keep((-direction, bool(self._rng.random() < 0.3)), 4, 12)
        if body.stands and self._hops(body, direction):
            return self._keep((direction, True), 3, 9)
        if self._rng.random() < 0.2:
            return self._keep((direction, False), 3, 9)
        return direction, False

    def _hops(self, body: Body, direction: int) -> bool:
        if self._level.wall_near(body, direction, 0.1):
            return True
        if self._level.wall_near(body, direction, 2.0):
            return self._rng.random() < 0.3
        return self._rng.random() < self._config.hop_share

    def _keep(self, keys: Keys, shortest: int, longest: int) -> Keys:
        """Hold these keys from now on for at least ``shortest`` and less than ``longest`` steps."""
        self._held, self._hold = keys, int(self._rng.integers(shortest, longest)) - 1
        return keys

    def _draw_play(self) -> Keys:
        chances = [chance for _, chance in _PLAYS]
        return _PLAYS[self._rng.choice(len(_PLAYS), p=chances)][0]

    def _choose_target(self, x: float) -> None:
        if self._errands_left <= 0:
            self._level.beware_of_coin = False
            self._target, self._patience = self._level.coin + 0.5, 400
            return
        self._errands_left -= 1
        self._target = float(self._rng.uniform(1.5, max(2.5, self._level.coin - 1.5)))
        self._patience = 20 + int(abs(self._target - x) * 4)

    def _save(self, body: Body, wanted: Keys, time: int) -> Keys:
        """Return the wanted keys, or the first others after which the player can still be saved."""
        if not self._looks_ahead or not self._level.danger_near(body.x):
            return wanted
        if self._sure > 0 and wanted == self._sure_keys:
            self._sure -= 1
            return wanted
        if self._is_safe(body, wanted, time, _SURE_STEPS):
            self._sure, self._sure_keys = _SURE_STEPS - 1, wanted
            return wanted
        self._sure = 0
        if self._is_safe(body, wanted, time, 1):
            return wanted
        across = wanted[0] or (1 if body.vx > 0 else -1)
        for keys in (
            (across, True),
            (0, False),
            (-across, False),
            (across, False),
            (-across, True),
            (0, True),
        ):
            if keys != wanted and self._is_safe(body, keys, time, 1):
                return self._keep(keys, 2, 6)
        return wanted

    def _is_safe(self, body: Body, keys: Keys, time: int, steps: int) -> bool:
        """Whether something can save the player after these keys were held for so many steps."""
        for ahead in range(1, steps + 1):
            body = self._level.step(body, *keys)
            if self._level.kills(body, time + ahead):
                return False
        rescues: tuple[Keys, ...] = ((0, False), (-1, False), (1, False))
        if body.stands:
            rescues = (*rescues, (1, True), (-1, True))
        # What helped a moment ago most likely helps again.
        for rescue in (self._last_rescue, *rescues):
            if self._survives(body, rescue, time + steps):
                self._last_rescue = rescue
                return True
        return False

    def _survives(self, body: Body, keys: Keys, time: int) -> bool:
        step, kills = self._level.step, self._level.kills
        across, jump = keys
        rest = _REST
        for ahead in range(1, _HORIZON + 1):
            body = step(body, across, jump)
            jump = False
            if kills(body, time + ahead):
                return False
            if body.stands and ahead > 2:
                # Stop where it stands: holding the key on would only walk into the next trouble.
                across = 0
                rest -= 1
                if rest == 0:
                    return True
        return False
