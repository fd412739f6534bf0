"""What other recorders call a key, and what it is called here: one visible table for each naming.

A table maps a foreign name to one of ours; what stands in no table is kept raw and named in the report. A
table of one's own (``--keys FILE``) takes the place of these. This file does NOT read logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from paracosm.core.errors import ConfigError
from paracosm.core.files import read_json

_HOTBAR = tuple(str(number) for number in range(1, 10))

MINECRAFT_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "key.keyboard.w": "forward",
        "key.keyboard.s": "back",
        "key.keyboard.a": "left",
        "key.keyboard.d": "right",
        "key.keyboard.space": "jump",
        "key.keyboard.left.shift": "sneak",
        "key.keyboard.left.control": "sprint",
        "mouse.0": "attack",
        "mouse.1": "use",
        "mouse.2": "pick",
        "key.keyboard.e": "inventory",
        "key.keyboard.q": "drop",
        "key.keyboard.f": "swap",
        "key.keyboard.escape": "menu",
        **{f"key.keyboard.{number}": f"hotbar{number}" for number in _HOTBAR},
    }
)
"""Names of Minecraft's key settings, as VPT logs use them; mouse buttons are counted from 0."""

GAMEFACTORY_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "ws.1": "forward",
        "ws.2": "back",
        "ad.1": "left",
        "ad.2": "right",
        "scs.1": "jump",
        "scs.2": "sneak",
        "scs.3": "sprint",
    }
)
"""Values of GF-Minecraft's three discrete actions; 0 is none."""

WINDOWS_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "vk.87": "forward",  # W
        "vk.83": "back",  # S
        "vk.65": "left",  # A
        "vk.68": "right",  # D
        "vk.32": "jump",  # space
        "vk.16": "sneak",  # shift
        "vk.160": "sneak",  # left shift
        "vk.17": "sprint",  # control
        "vk.162": "sprint",  # left control
        "vk.1": "attack",  # left mouse button
        "vk.2": "use",  # right mouse button
        "vk.4": "pick",  # middle mouse button
        "vk.69": "interact",  # E
        "vk.81": "drop",  # Q
        "vk.70": "swap",  # F
        "vk.82": "reload",  # R
        "vk.9": "inventory",  # tab
        "vk.27": "menu",  # escape
        **{f"vk.{ord(number)}": f"hotbar{number}" for number in _HOTBAR},
    }
)
"""Windows virtual key codes, as OWL Control logs use them; names are of what most games bind there."""

DOOM_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "forward": "forward",
        "back": "back",
        "left": "left",
        "right": "right",
        "run": "sprint",
        "attack": "attack",
        "use": "use",
        **{f"weapon{number}": f"hotbar{number}" for number in range(1, 9)},
    }
)
"""What the four bytes of a Doom demo's row come down to, see ``doom_demos.py``."""

BINDINGS: Mapping[str, str] = MappingProxyType(
    {
        "KeyW": "forward",
        "KeyS": "back",
        "KeyA": "left",
        "KeyD": "right",
        "Space": "jump",
        "ShiftLeft": "sneak",
        "ControlLeft": "sprint",
        "Mouse0": "attack",
        "Mouse2": "use",
        "Mouse1": "pick",
        "KeyE": "inventory",
        "KeyQ": "drop",
        "KeyF": "swap",
        "KeyR": "reload",
        **{f"Digit{number}": f"hotbar{number}" for number in _HOTBAR},
    }
)
"""Where the keys lie when somebody plays a world that learnt from such logs."""


def read_keys(file: Path) -> dict[str, str]:
    """Read a table of one's own: a JSON object of foreign name to name here.

    Raises:
        ConfigError: when it is no such table.
        DataError: when the file is missing or no JSON.
    """
    table = read_json(file)
    if not isinstance(table, dict) or not table or not all(isinstance(name, str) for name in table.values()):
        raise ConfigError(f'{file} is no table of keys; write {{"vk.87": "forward", ...}}')
    return table


def bindings_of(keys: tuple[str, ...]) -> dict[str, str]:
    """Return the bindings that lead to ``keys``."""
    return {code: key for code, key in BINDINGS.items() if key in keys}
