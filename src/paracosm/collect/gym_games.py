"""Any Gymnasium environment with pixels as a World: its actions become keys, its picture the frame.

A discrete action is a key (names from the environment where it tells them), a binary action a key for each
bit, a continuous action two keys for each number. This file does NOT know any single environment beyond the
names of the actions of those that ship with Gymnasium, which does not tell them.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.extras import need
from paracosm.core.world import (
    Frame,
    Snapshot,
    WorldInfo,
    check_begun,
    check_open,
    check_snapshot,
    check_start,
    check_step,
)

from .pictures import shrink
from .policies import KEYS_AT_ONCE

IDLE_NAMES = ("idle", "noop")
"""An action of such a name needs no key: it is what happens when none is held."""

ACTION_NAMES: Mapping[str, tuple[str, ...]] = {
    "CartPole": ("left", "right"),
    "MountainCar": ("left", "idle", "right"),
    "Acrobot": ("left", "idle", "right"),
    "LunarLander": ("idle", "left", "up", "right"),
    "FrozenLake": ("left", "down", "right", "up"),
    "CliffWalking": ("up", "right", "down", "left"),
    "Taxi": ("down", "up", "right", "left", "pickup", "dropoff"),
}
"""Names of the discrete actions of environments that ship with Gymnasium, from its documentation."""

_BINDINGS = {
    "up": ("ArrowUp", "KeyW"),
    "down": ("ArrowDown", "KeyS"),
    "left": ("ArrowLeft", "KeyA"),
    "right": ("ArrowRight", "KeyD"),
    "fire": ("Space",),
    "jump": ("Space",),
}
_MEANING_PARTS = re.compile(r"UP|DOWN|LEFT|RIGHT|FIRE")


@dataclass(frozen=True, kw_only=True)
class GymConfig:
    """How an environment is made and shown."""

    height: int = 0
    """Rows of a frame; 0 as the environment draws it."""
    width: int = 0
    """Columns of a frame; 0 as the environment draws it. Another shape stretches the picture."""
    image: Literal["render", "observation"] = "render"
    """Where the picture comes from: what the environment renders, or its observation when that is one."""
    frame_skip: int = 1
    """Environment steps of one control; rewards add up."""
    fps: float = 0.0
    """Controls a second for people; 0 takes the environment's own rate divided by frame_skip."""
    action_names: tuple[str, ...] = ()
    """Names of discrete actions in order; empty takes the environment's own. "idle" is what happens without
    a key."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Further arguments of gymnasium.make."""
    snapshots: Literal["replay", "copy"] = "replay"
    """How a state is kept: by playing the seed and controls again (always right, slow when long), or by a
    deep copy."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no picture."""
        if min(self.height, self.width) < 0 or self.frame_skip < 1 or self.fps < 0:
            raise ConfigError("height, width and fps must be 0 or more, frame_skip 1 or more")
        if (self.height == 0) != (self.width == 0):
            raise ConfigError(f"height {self.height} and width {self.width}: give both, or 0 for both")


class GymWorld:
    """One Gymnasium environment as a World."""

    def __init__(self, env_id: str, config: GymConfig = GymConfig()) -> None:
        """Make the environment.

        Args:
            env_id: its Gymnasium id, e.g. "CartPole-v1", "ALE/Pong-v5" or "package:Env-v0".
            config: how it is made and shown.

        Raises:
            WorldError: when there is no such environment, it has no pixels or its actions cannot be keys.
            MissingPackageError: when a package that it needs is not installed.
        """
        self.config = config
        self._gym = need("gymnasium", "games")
        self._id = env_id
        self._env: Any = self._make()
        self._actions = _find_actions(self._env, config, env_id)
        self._env.reset(seed=0)
        height, width = self._picture(self._observe_once()).shape[:2]
        rate = config.fps or float(self._env.metadata.get("render_fps") or 30) / config.frame_skip
        self._info = WorldInfo(
            name=f"gym:{env_id}",
            fps=rate,
            height=height,
            width=width,
            controls=ControlSpace(keys=self._actions.keys, bindings=_bind(self._actions.keys)),
            engine=f"gymnasium {self._gym.__version__} {self._env.spec.id if self._env.spec else env_id}",
            description=self._actions.description,
            details={KEYS_AT_ONCE: 1} if self._actions.one_at_a_time else {},
        )
        self._seed = 0
        self._played: list[Control] = []
        self._frame: Frame | None = None

    @property
    def info(self) -> WorldInfo:
        """What this world is."""
        return self._info

    def reset(
        self,
        seed: int = 0,
        start: np.ndarray | None = None,
        controls: Sequence[Control] = (),
        prompt: str | None = None,
    ) -> Frame:
        """Begin an episode of the environment."""
        env = check_open(self._info, self._env)
        check_start(self._info, start, controls, prompt)
        observation, info = env.reset(seed=seed)
        self._seed, self._played = seed, []
        truth = {"reward": 0.0, "ended": False, "events": ()}
        self._frame = Frame(
            image=self._picture(observation), index=0, truth=truth | _tell(observation, info, self.config)
        )
        return self._frame

    def step(self, control: Control) -> Frame:
        """Apply one control for ``frame_skip`` environment steps."""
        check_open(self._info, self._env)
        shown = check_step(self._info, self._frame, control)
        observation, truth = self._advance(control)
        self._frame = Frame(image=self._picture(observation), index=shown.index + 1, truth=truth)
        return self._frame

    def snapshot(self) -> Snapshot:
        """Return the complete state.

        Raises:
            WorldError: before reset, or when a deep copy was asked for and the environment cannot be copied.
        """
        env = check_open(self._info, self._env)
        frame = check_begun(self._info, self._frame)
        copied = None
        if self.config.snapshots == "copy":
            try:
                copied = copy.deepcopy(env)
            except Exception as error:
                raise WorldError(
                    f'{self._info.name} cannot be copied ({error}); set snapshots to "replay"'
                ) from error
        payload = (self._seed, tuple(self._played), copied)
        return Snapshot(world=self._info.name, frame=frame, payload=payload)

    def restore(self, snapshot: Snapshot) -> Frame:
        """Go back to a snapshot."""
        check_snapshot(self._info, snapshot)
        env = check_open(self._info, self._env)
        seed, played, copied = snapshot.payload
        self._seed, self._played = seed, []
        if copied is not None:
            self._env, self._played = copy.deepcopy(copied), list(played)
        else:
            env.reset(seed=seed)
            for control in played:
                self._advance(control)
        self._frame = snapshot.frame
        return snapshot.frame

    def close(self) -> None:
        """Close the environment."""
        if self._env is not None:
            self._env.close()
            self._env = None

    def _advance(self, control: Control) -> tuple[Any, dict[str, Any]]:
        reward, ended, observation, info = 0.0, False, None, {}
        events: tuple[str, ...] = ()
        for _ in range(self.config.frame_skip):
            observation, gained, terminated, truncated, info = self._env.step(self._actions.find(control))
            reward += float(gained)
            ended = bool(terminated or truncated)
            if ended:
                events = ("terminated",) if terminated else ("truncated",)
                break
        self._played.append(control)
        truth = {"reward": reward, "ended": ended, "events": events, "action": self._actions.show(control)}
        return observation, truth | _tell(observation, info, self.config)

    def _make(self) -> Any:
        if self._id.startswith("ALE/"):
            self._gym.register_envs(need("ale_py", "games"))
        mode = {"render_mode": "rgb_array"} if self.config.image == "render" else {}
        if not os.environ.get("DISPLAY"):
            # Without a screen MuJoCo would look for a window all the same; EGL draws without one.
            os.environ.setdefault("MUJOCO_GL", "egl")
        try:
            return self._gym.make(self._id, **mode, **self.config.arguments)
        except self._gym.error.DependencyNotInstalled as error:
            raise WorldError(f"gym:{self._id} needs a package that is not installed: {error}") from error
        except (self._gym.error.Error, ModuleNotFoundError, TypeError) as error:
            raise WorldError(
                f"gym:{self._id} cannot be made ({' '.join(str(error).split())}); check its id with "
                "gymnasium.pprint_registry()"
            ) from error

    def _observe_once(self) -> Any:
        observation, _ = self._env.reset(seed=0)
        return observation

    def _picture(self, observation: Any) -> np.ndarray:
        image = self._env.render() if self.config.image == "render" else observation
        image = np.asarray(image) if image is not None else np.zeros(0)
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        elif image.ndim == 3 and image.shape[-1] == 1:
            image = np.repeat(image, 3, axis=2)
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
            raise WorldError(
                f"gym:{self._id} gives no picture as its {self.config.image} (shape {image.shape}, "
                f"type {image.dtype}); "
                f'set image to "{"observation" if self.config.image == "render" else "render"}" or '
                "choose another environment"
            )
        if self.config.height:
            image = shrink(image, self.config.height, self.config.width)
        return np.array(image)


@dataclass(frozen=True, kw_only=True)
class _Actions:
    """The keys of an environment, and the action of each set of held keys.

    Attributes:
        keys: key names in order.
        kind: how held keys make an action.
        table: for "discrete", the action of each set of keys that has one.
        idle: for "discrete", the action when no key is held.
        low: for "box", lowest values; else empty.
        high: for "box", highest values; else empty.
        shape: shape of the action array.
        description: for people.
    """

    keys: tuple[str, ...]
    kind: Literal["discrete", "bits", "box"]
    table: Mapping[frozenset[str], int] = field(default_factory=dict)
    idle: int = 0
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()
    description: str = ""

    @property
    def one_at_a_time(self) -> bool:
        """Whether only one key has an effect at a time."""
        return self.kind == "discrete" and all(len(keys) <= 1 for keys in self.table)

    def find(self, control: Control) -> Any:
        """Return what ``env.step`` takes."""
        if self.kind == "bits":
            return np.array([key in control.keys for key in self.keys], np.int8).reshape(self.shape)
        if self.kind == "box":
            return np.array(self._pull(control), np.float32).reshape(self.shape)
        held = [key for key in self.keys if key in control.keys]
        if not held:
            return self.idle
        # Where the environment has no action for all held keys together, the first of them in order acts.
        return self.table.get(frozenset(held), self.table[frozenset(held[:1])])

    def show(self, control: Control) -> Any:
        """Return the action as plain numbers, for the recording."""
        action = self.find(control)
        return action if isinstance(action, int) else tuple(float(number) for number in action.ravel())

    def _pull(self, control: Control) -> list[float]:
        values = []
        for index, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            down, up = (key in control.keys for key in self.keys[2 * index : 2 * index + 2])
            rest = min(max(0.0, low), high)
            values.append(rest if up == down else high if up else low)
        return values


def _find_actions(env: Any, config: GymConfig, env_id: str) -> _Actions:
    spaces = need("gymnasium", "games").spaces
    space = env.action_space
    if isinstance(space, spaces.Discrete):
        return _name_discrete(env, int(space.n), int(space.start), config, env_id)
    if config.action_names:
        raise ConfigError(f"action_names name discrete actions, gym:{env_id} has {space}; leave them out")
    if isinstance(space, spaces.MultiBinary):
        count = int(np.prod(space.shape))
        keys = tuple(f"button{index}" for index in range(count))
        return _Actions(keys=keys, kind="bits", shape=space.shape, description="Each key is one button.")
    if isinstance(space, spaces.Box) and space.is_bounded():
        count = int(np.prod(space.shape))
        keys = tuple(f"axis{index}_{side}" for index in range(count) for side in ("minus", "plus"))
        return _Actions(
            keys=keys,
            kind="box",
            low=tuple(float(value) for value in space.low.ravel()),
            high=tuple(float(value) for value in space.high.ravel()),
            shape=space.shape,
            description="Each pair of keys pulls one number to its lowest or highest value.",
        )
    raise WorldError(
        f"gym:{env_id} has actions {space}, which cannot be keys; wrap it so that its actions are "
        "Discrete, MultiBinary or a bounded Box"
    )


def _name_discrete(env: Any, count: int, first: int, config: GymConfig, env_id: str) -> _Actions:
    names = config.action_names or ACTION_NAMES.get(env_id.rpartition(":")[2].rpartition("-v")[0], ())
    if config.action_names and len(names) != count:
        raise ConfigError(
            f"action_names has {len(names)} names, gym:{env_id} has {count} actions; name each of them"
        )
    if len(names) != count and hasattr(env.unwrapped, "get_action_meanings"):
        names = tuple(env.unwrapped.get_action_meanings())
    if len(names) != count:
        names = tuple(f"action{index}" for index in range(count))
    parts = [_split_meaning(name) for name in names]
    idle = next((index for index, part in enumerate(parts) if not part), 0)
    table = {part: first + index for index, part in enumerate(parts) if part}
    keys = tuple(dict.fromkeys(key for part in sorted(table, key=len) for key in sorted(part)))
    if len(table) + (not all(parts)) != count or any(frozenset([key]) not in table for key in keys):
        keys = tuple(f"action{index}" for index in range(count))
        table, idle = {frozenset([key]): first + index for index, key in enumerate(keys)}, 0
    return _Actions(
        keys=keys,
        kind="discrete",
        table=table,
        idle=first + idle,
        description=f"Each key is one action; without a key the action is {names[idle]}.",
    )


def _split_meaning(name: str) -> frozenset[str]:
    """Split a joined name such as UPRIGHTFIRE into keys; an idle action has none."""
    if name.lower() in IDLE_NAMES:
        return frozenset()
    parts = _MEANING_PARTS.findall(name)
    if parts and "".join(parts) == name:
        return frozenset(part.lower() for part in parts)
    return frozenset([name.lower()])


def _bind(keys: Sequence[str]) -> dict[str, str]:
    bindings = {code: key for key in keys for code in _BINDINGS.get(key, ())}
    unbound = [key for key in keys if key not in bindings.values()]
    codes = [f"Digit{number}" for number in (*range(1, 10), 0)] + [f"F{number}" for number in range(1, 13)]
    return bindings | dict(zip(codes, unbound, strict=False))


def _tell(observation: Any, info: Mapping[str, Any], config: GymConfig) -> dict[str, Any]:
    """What the environment knows beside the picture: small observations and the numbers of its info."""
    truth: dict[str, Any] = {}
    parts = observation if isinstance(observation, dict) else {"": observation}
    for part, told in parts.items():
        if config.image == "render" and isinstance(told, np.ndarray | int | float | np.generic):
            values = np.asarray(told)
            if values.size <= 64:
                name = f"observation.{part}" if part else "observation"
                truth[name] = tuple(float(value) for value in values.ravel())
    for name, value in info.items():
        if isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating):
            truth[name] = value.item() if isinstance(value, np.generic) else value
    return truth
