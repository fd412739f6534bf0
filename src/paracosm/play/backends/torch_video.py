"""Opens the networks of a streamed video world in torch, once a process for all players of it."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path

from paracosm.core.errors import ConfigError
from paracosm.core.extras import need
from paracosm.core.video_spec import VideoWorldSpec
from paracosm.models.video_player import VideoPlayer

from . import CompileKind


def open_player(
    folder: Path,
    spec: VideoWorldSpec,
    device: str,
    dtype: str,
    num_threads: int,
    compile: CompileKind = "off",
) -> VideoPlayer:
    """Open the networks of a world, or share them with who has the same ones open.

    Args:
        folder: the world's folder.
        spec: its description.
        device: "auto" takes a graphics card when there is one.
        dtype: "auto" is bfloat16 on a graphics card, float32 elsewhere.
        num_threads: threads of torch, which has one number for the whole process; 0 leaves it as it is.
        compile: whether torch compiles the transformer.

    Raises:
        ConfigError: when there is no such device, or graphs are asked for without a graphics card.
        DataError: when a part is missing or damaged.
        MissingPackageError: when torch, diffusers or transformers is not installed.
    """
    torch = need("torch", "weights")
    has_card = torch.cuda.is_available()
    if device == "auto":
        device = "cuda" if has_card else "cpu"
    _check_device(device, torch.cuda.device_count() if has_card else 0)
    if compile == "graphs" and not device.startswith("cuda"):
        raise ConfigError(f"graphs need a graphics card, and the device is {device}; use default or off")
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
    if num_threads:
        torch.set_num_threads(num_threads)
    idle = spec.actions.idle_number
    key = (str(folder.resolve()), spec.parts.dynamics.weights, idle, device, dtype, compile)
    with _LOCK:
        player = _OPEN.get(key)
        if player is None:
            player = VideoPlayer.load(folder, spec.parts, spec.height, spec.width, idle, dtype, device)
            player.compile(compile)
            _OPEN[key] = player
        return player


def _check_device(device: str, num_cards: int) -> None:
    """Refuse what is no place to compute here."""
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or (number and (kind == "cpu" or not number.isdecimal())):
        raise ConfigError(
            f'device "{device}" is not known; use cpu, cuda, a card by number as cuda:1, or auto'
        )
    if kind == "cuda" and not num_cards:
        raise ConfigError(f"device {device} is not there: torch sees no graphics card; use cpu")
    if kind == "cuda" and int(number or 0) >= num_cards:
        raise ConfigError(f"device {device} is not there: torch sees {num_cards} cards, counted from 0")


_OPEN: weakref.WeakValueDictionary[tuple[str, str, int, str, str, str], VideoPlayer] = (
    weakref.WeakValueDictionary()
)
_LOCK = threading.Lock()
