"""Opens any world by name: games, Gymnasium environments, recordings, neural worlds; and makes their players.

One visible table of kinds; each kind's code is imported when it is asked for, so that a playing machine needs
no game and a recording machine no network. This file does NOT know how any world works.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paracosm.collect.policies import IdlePolicy, MixedPolicy, NewRandom, StickyRandom, require_known
from paracosm.core.config import from_json
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.world import Policy, World

POLICIES = ("explorer", "mixed", "sticky", "random", "idle")
"""Names of players; worlds without an explorer have the last two."""


@dataclass(frozen=True)
class _Game:
    """Where a game's code lives: names, not objects, so that nothing is imported before it is needed."""

    module: str
    world: str
    config: str
    explorer_module: str = ""
    explorer: str = ""


GAMES = {
    "doom": _Game(
        "paracosm.collect.games.doom",
        "DoomWorld",
        "DoomConfig",
        "paracosm.collect.explorers.doom",
        "DoomExplorer",
    ),
    "coinrun": _Game(
        "paracosm.collect.games.coinrun",
        "CoinRunWorld",
        "CoinRunConfig",
        "paracosm.collect.explorers.coinrun",
        "CoinRunExplorer",
    ),
    "minetest": _Game(
        "paracosm.collect.games.minetest",
        "MinetestWorld",
        "MinetestConfig",
        "paracosm.collect.explorers.minetest",
        "MinetestExplorer",
    ),
    "counting": _Game("paracosm.collect.games.counting", "CountingWorld", "CountingConfig"),
}


def open_world(name: str, config: Any = None) -> World:
    """Open a world.

    Args:
        name: "model:NAME" or "model:PATH" (a neural world), "game:doom", "game:coinrun", "game:minetest",
            "game:counting", "gym:ENVIRONMENT-ID" (a Gymnasium environment with pixels), "replay:PATH#3"
            (episode 3 of a recording), "socket:HOST:PORT" or "socket:unix:/path" (an engine that serves its
            world there).
        config: the world's own config, as its dataclass or as the JSON values of one; None takes the
            defaults.

    Returns:
        The open world; call ``reset`` to begin and ``close`` when done.

    Raises:
        WorldError: when there is no such world.
        MissingPackageError: when its game is not installed; names what to install.
        ConfigError: when the config does not fit the world.
    """
    kind, colon, rest = name.partition(":")
    if kind not in _KINDS or not colon or not rest:
        close = difflib.get_close_matches(name, [f"game:{game}" for game in GAMES], n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise WorldError(
            f'"{name}" names no world; use model:NAME, game:NAME, gym:ID or replay:PATH#0, or '
            f"socket:HOST:PORT for an engine{hint}"
        )
    return _KINDS[kind](rest, config)


def world_config(name: str, values: Any = None) -> Any:
    """Build the config of a world from JSON values; None for kinds that take none.

    Raises:
        WorldError: when there is no such game.
        ConfigError: when a value does not fit.
    """
    kind, _, rest = name.partition(":")
    if kind == "game":
        cls = _load(_find_game(rest).module, _find_game(rest).config)
    elif kind == "gym":
        cls = _load("paracosm.collect.gym_games", "GymConfig")
    elif kind == "socket":
        cls = _load("paracosm.collect.socket_world", "SocketConfig")
    else:
        if values is not None:
            raise ConfigError(f"{name} takes no config; leave it out")
        return None
    return _build(cls, values)


def make_policy(world: str, policy: str) -> Policy:
    """Make a player for a world.

    Args:
        world: name of the world, as for :func:`open_world`.
        policy: "explorer" (plans on the game's own level), "mixed" (segments of explorer and sticky random),
            "sticky", "random" (a control drawn anew at each step) or "idle".

    Raises:
        ControlError: when this world has no such player.
    """
    game = GAMES.get(world.partition(":")[2]) if world.startswith("game:") else None
    has_explorer = game is not None and bool(game.explorer)
    require_known(policy, POLICIES if has_explorer else POLICIES[2:])
    if policy == "idle":
        return IdlePolicy()
    if policy == "random":
        return NewRandom()
    if policy == "sticky" or game is None:
        return StickyRandom()
    explorer: Policy = _load(game.explorer_module, game.explorer)()
    return explorer if policy == "explorer" else MixedPolicy(explorer, StickyRandom())


def _open_game(rest: str, config: Any) -> World:
    game = _find_game(rest)
    return _load(game.module, game.world)(_build(_load(game.module, game.config), config))


def _open_gym(rest: str, config: Any) -> World:
    gym_games = importlib.import_module("paracosm.collect.gym_games")
    return gym_games.GymWorld(rest, _build(gym_games.GymConfig, config))


def _open_socket(rest: str, config: Any) -> World:
    socket_world = importlib.import_module("paracosm.collect.socket_world")
    return socket_world.SocketWorld(rest, _build(socket_world.SocketConfig, config))


def _open_replay(rest: str, config: Any) -> World:
    _refuse_config("replay", config)
    path, _, which = rest.partition("#")
    if which and not which.isdigit():
        raise WorldError(
            f'"replay:{rest}" does not end in an episode number; use replay:PATH#3, counted from 0'
        )
    return _load("paracosm.collect.replay", "ReplayWorld")(Path(path), int(which or 0))


def _open_model(rest: str, config: Any) -> World:
    _refuse_config("model", config)
    return _load("paracosm.play.engine", "open_model_world")(rest)


_KINDS: dict[str, Callable[[str, Any], World]] = {
    "game": _open_game,
    "gym": _open_gym,
    "replay": _open_replay,
    "socket": _open_socket,
    "model": _open_model,
}


def _find_game(name: str) -> _Game:
    if name not in GAMES:
        raise WorldError(
            f'there is no game "{name}"; choose one of {", ".join(f"game:{game}" for game in GAMES)}'
        )
    return GAMES[name]


def _build(cls: Any, config: Any) -> Any:
    if config is None:
        return cls()
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        if not isinstance(config, cls):
            raise ConfigError(
                f"{type(config).__name__} is not the config of this world; pass a {cls.__name__}"
            )
        return config
    return from_json(cls, config)


def _refuse_config(kind: str, config: Any) -> None:
    if config is not None:
        raise ConfigError(f"{kind} worlds take no config; leave it out")


def _load(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)
