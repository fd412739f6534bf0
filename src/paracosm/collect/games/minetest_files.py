"""What a captured Minetest finds on its private disk: settings, a world, and the two mods of Paracosm.

Everything is written into one temporary folder, the game's home included: the user's own settings, worlds and
mods are neither read nor touched. This file does NOT start anything.
"""

from __future__ import annotations

import functools
import math
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paracosm.core.errors import MissingPackageError

from .minetest_number import BLOCK, MODULUS, NUM_BITS
from .private_screen import find_game

MODS = Path(__file__).parent / "minetest_mods"
"""The mods as they ship; words in @ signs are put in when they are written."""

LIGHTS: Mapping[str, float] = {"dawn": 0.24, "noon": 0.5, "dusk": 0.76, "night": 0.9}
"""Light to time of day, 0 to 1 from midnight to midnight."""

WEATHERS = ("clear", "cloudy", "rain", "snow", "fog")
"""What the sky can do, as the server mod names it."""

FIELD_OF_VIEW = 72
"""Degrees from the lowest to the highest row of a wide window: the game's own default."""

PACKAGES = "minetest xvfb faketime libgl1-mesa-dri"
"""The Debian packages that the capture needs."""

PAUSES_PER_SECOND = 120
"""How often the waiting game looks at its clock: seldom enough that it leaves the processor to us, often
enough that it does not wait long for us."""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """Where the programs are.

    Attributes:
        game: the game's client.
        screen: the X server without a screen.
        clock: the library that tells the game what time it is.
        version: what the game calls itself, e.g. "minetest 5.6.1".
    """

    game: Path
    screen: Path
    clock: Path
    version: str


def find_programs() -> Programs:
    """Find the game, the X server and the clock.

    Raises:
        MissingPackageError: when one is missing; names the Debian packages.
    """
    game = find_game("minetest")
    screen = shutil.which("Xvfb")
    clocks = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    found = {"minetest": game, "Xvfb": screen, "libfaketimeMT.so.1": clocks}
    missing = [name for name, path in found.items() if not path]
    if missing or game is None or screen is None:
        raise MissingPackageError(
            f"game:minetest needs {', '.join(missing)}, not found; run: apt-get install {PACKAGES}"
        )
    return Programs(game=Path(game), screen=Path(screen), clock=clocks[0], version=_ask_version(Path(game)))


@functools.cache
def _ask_version(game: Path) -> str:
    """What the game calls itself, e.g. "minetest 5.6.1"."""
    told = subprocess.run([str(game), "--version"], capture_output=True, text=True, timeout=60, check=False)
    found = re.match(r"(Minetest) (\S+)", told.stdout)
    if found is None:
        raise MissingPackageError(
            f"{game} --version says {told.stdout.strip()[:80]!r}, not Minetest; "
            f"run: apt-get install {PACKAGES}"
        )
    return f"{found[1].lower()} {found[2]}"


def write_files(
    folder: Path,
    *,
    window: tuple[int, int],
    sensitivity: float,
    map_seed: int,
    viewing_range: int,
    hand: bool,
) -> None:
    """Write the game's home and world.

    Args:
        folder: an empty private folder.
        window: columns and rows of the game's window in pixels.
        sensitivity: degrees of turn for each pixel that the mouse moves.
        map_seed: the seed from which the game makes its map.
        viewing_range: how far the game draws, in nodes.
        hand: whether the player's hand is drawn.
    """
    user, world = folder / "home" / ".minetest", folder / "world"
    settings = _settings(window, sensitivity, map_seed, viewing_range)
    words = {
        "BLOCK": str(BLOCK),
        "NUM_BITS": str(NUM_BITS),
        "MODULUS": str(MODULUS),
        "REACH": str(viewing_range),
        "HAND": "true" if hand else "false",
        "LIGHTS": ", ".join(f"{name} = {time}" for name, time in LIGHTS.items()),
        "DROPS": "600",
    }
    _copy_mod("paracosm_client", user / "clientmods", words)
    (user / "clientmods" / "mods.conf").write_text("load_mod_paracosm_client = true\n")
    _copy_mod("paracosm_server", world / "worldmods", words)
    (world / "world.mt").write_text(
        "gameid = minetest\nworld_name = paracosm\nbackend = sqlite3\nplayer_backend = sqlite3\n"
        "auth_backend = sqlite3\nmod_storage_backend = sqlite3\nload_mod_paracosm_server = true\n"
    )
    (world / "orders.txt").write_text("")
    (user / "minetest.conf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))


def put_in(text: str, words: Mapping[str, str]) -> str:
    """Replace each @NAME@ by its word; the words must be all there are."""
    for name, word in words.items():
        text = text.replace(f"@{name}@", word)
    return text


def _copy_mod(name: str, to: Path, words: Mapping[str, str]) -> None:
    (to / name).mkdir(parents=True)
    for file in sorted((MODS / name).iterdir()):
        (to / name / file.name).write_text(put_in(file.read_text(), words))


def mouse_gain(window: tuple[int, int]) -> float:
    """How much further than its setting says the game turns for a pixel of the mouse: 1 for wide windows.

    A window narrower than 16:10 is seen through a wider angle, and the wider angle turns the mouse faster.
    Seen in the game: 1.198 in a window of 128 x 104.

    Args:
        window: columns and rows.
    """
    width, height = window
    wider = min(max(math.sqrt(16 / 10 * height / width), 1.0), 1.4)
    return math.tan(math.radians(FIELD_OF_VIEW / 2 * wider)) / math.tan(math.radians(FIELD_OF_VIEW / 2))


def _settings(
    window: tuple[int, int], sensitivity: float, map_seed: int, viewing_range: int
) -> dict[str, str | int | float]:
    blocks = viewing_range // 16 + 1
    return {
        "screen_w": window[0],
        "screen_h": window[1],
        "autosave_screensize": "false",
        "hud_scaling": 1,
        "node_highlighting": "none",
        # Between steps the clock stands still: the game waits so long, looks, and draws the same frame again.
        "fps_max": PAUSES_PER_SECOND,
        "fps_max_unfocused": PAUSES_PER_SECOND,
        "pause_on_lost_focus": "false",
        "vsync": "false",
        "viewing_range": viewing_range,
        "max_block_send_distance": blocks,
        "max_block_generate_distance": blocks,
        "block_send_optimize_distance": blocks,
        "active_block_range": 1,
        "enable_shaders": "false",
        "mip_map": "true",
        "enable_3d_clouds": "false",
        "view_bobbing_amount": 0,
        "fall_bobbing_amount": 0,
        "camera_smoothing": 0,
        "arm_inertia": "false",
        "mouse_sensitivity": f"{sensitivity / mouse_gain(window):.6f}",
        "fov": FIELD_OF_VIEW,
        "enable_sound": "false",
        "mute_sound": "true",
        "menu_clouds": "false",
        "enable_client_modding": "true",
        "enable_mod_channels": "true",
        "csm_restriction_flags": 0,
        "bind_address": "127.0.0.1",
        "enable_ipv6": "false",
        "fixed_map_seed": map_seed,
        "mg_name": "v7",
        "mg_flags": "nocaves,nodungeons,light,decorations,biomes,noores",
        "time_speed": 0,
        "enable_weather": "false",  # the game's own weather would fight with ours over the clouds
        "enable_damage": "false",
        "creative_mode": "true",
        "dedicated_server_step": 0.05,
        "server_map_save_interval": 60,
    }
