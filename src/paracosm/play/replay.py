"""The replay file: all that is needed to play a session again to the same bytes, as JSON to share.

It names the world and its engine, how it began, every control (equal neighbours folded) and the hash of every
frame, so that a playback can prove itself. This file does NOT know sessions; it turns a :class:`Replay` into
bytes and back.
"""

from __future__ import annotations

import base64
import itertools
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ControlError, DataError
from paracosm.core.tuning import Tuning

KIND = "paracosm-replay"
FORMAT_VERSION = 2
"""2 holds tunings; files of version 1 were made with a world as it opens."""
MAX_STEPS = 200_000
MAX_START_BYTES = 64_000_000


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A session that can be played again.

    Attributes:
        world: ``WorldInfo.name``.
        engine: ``WorldInfo.engine`` of the world that made the hashes.
        seed: seed of the reset.
        start: image uint8 (h, w, 3) that it began from, or None.
        prompt: words that it began from, or None.
        controls: one for each step.
        hashes: one for each frame, so one more than controls; or empty.
        tunings: what was changed in how frames are made, each with the frame from which on it held.
    """

    world: str
    engine: str
    seed: int
    start: np.ndarray | None
    prompt: str | None
    controls: list[Control]
    hashes: list[str]
    tunings: list[tuple[int, Tuning]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a playback compared with what was recorded.

    Attributes:
        compared: frames whose hash was known.
        different: frames that came out differently.
        first_difference: index of the first of those.
    """

    compared: int
    different: int
    first_difference: int | None


class Comparison:
    """Counts the frames of a playback that come out as recorded."""

    def __init__(self) -> None:
        self._compared = 0
        self._different: list[int] = []

    def add(self, index: int, known: str, value: str) -> None:
        """Compare the hash of frame ``index`` with the one known before; "" does not count."""
        if not known:
            return
        self._compared += 1
        if known != value:
            self._different.append(index)

    def verdict(self) -> Verdict:
        """Return the counts so far."""
        first = min(self._different, default=None)
        return Verdict(compared=self._compared, different=len(self._different), first_difference=first)


def dump_replay(replay: Replay) -> bytes:
    """Write a replay as JSON."""
    folded = [
        {**_control_to_json(control), **({"times": times} if times > 1 else {})}
        for control, times in (
            (control, len(list(group))) for control, group in itertools.groupby(replay.controls)
        )
    ]
    head = {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "world": replay.world,
        "engine": replay.engine,
        "seed": replay.seed,
        "start": _image_to_json(replay.start),
        "prompt": replay.prompt,
        "steps": len(replay.controls),
    }
    head["tunings"] = [{"at": at, **_tuning_to_json(tuning)} for at, tuning in replay.tunings]
    return json.dumps({**head, "controls": folded, "hashes": replay.hashes}, separators=(",", ":")).encode()


def load_replay(text: bytes) -> Replay:
    """Read what :func:`dump_replay` wrote.

    Raises:
        DataError: when it is no replay, is damaged, or has a newer format.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"this file is not a replay ({error}); choose a .json file saved by the player"
        ) from None
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise DataError(
            f'this file is not a replay: its kind is not "{KIND}"; choose a file saved by the player'
        )
    version = value.get("format_version")
    if version not in (1, FORMAT_VERSION):
        raise DataError(
            f"the replay has format {version}, this player reads up to {FORMAT_VERSION}; update the player"
        )
    try:
        replay = Replay(
            world=_typed(value["world"], str),
            engine=_typed(value["engine"], str),
            seed=_typed(value["seed"], int),
            start=_image_from_json(value["start"]),
            prompt=None if value["prompt"] is None else _typed(value["prompt"], str),
            controls=_controls_from_json(_typed(value["controls"], list)),
            hashes=[_typed(item, str) for item in _typed(value["hashes"], list)],
            tunings=_tunings_from_json(_typed(value.get("tunings", []), list)),
        )
    except (KeyError, TypeError, ValueError, zlib.error, ControlError, ConfigError) as error:
        raise DataError(f"the replay is damaged ({_say(error)}); save it again from the player") from None
    if len(replay.controls) != value.get("steps") or len(replay.hashes) not in (0, len(replay.controls) + 1):
        raise DataError(
            f"the replay is damaged: it says {value.get('steps')} steps but holds "
            f"{len(replay.controls)} controls and {len(replay.hashes)} hashes; save it again from the player"
        )
    return replay


def _control_to_json(control: Control) -> dict[str, Any]:
    if control.guide is not None:
        raise DataError(
            "a control with a guide clip cannot be kept in a replay; save before the guide was given"
        )
    value: dict[str, Any] = {}
    if control.keys:
        value["keys"] = sorted(control.keys)
    if any(control.look):
        value["look"] = list(control.look)
    if control.text is not None:
        value["text"] = dict(control.text) if isinstance(control.text, Mapping) else control.text
    if control.latent is not None:
        value["latent"] = control.latent
    return value


def _controls_from_json(values: list[Any]) -> list[Control]:
    controls: list[Control] = []
    for value in values:
        unknown = set(_typed(value, dict)) - {"keys", "look", "text", "latent", "times"}
        if unknown:
            raise ValueError(f"unknown entries {sorted(unknown)} in a control")
        times = _typed(value.get("times", 1), int)
        if times < 1 or len(controls) + times > MAX_STEPS:
            raise ValueError(f"more than {MAX_STEPS} steps, or a control given {times} times")
        keys = [_typed(key, str) for key in _typed(value.get("keys", []), list)]
        look = [float(angle) for angle in _typed(value.get("look", [0, 0]), list)]
        latent = value.get("latent")
        control = Control(keys, look, value.get("text"), None if latent is None else _typed(latent, int))
        controls.extend([control] * times)
    return controls


def _tuning_to_json(tuning: Tuning) -> dict[str, Any]:
    """What differs from a tuning that changes nothing."""
    return {name: value for name, value in asdict(tuning).items() if value != getattr(_NOTHING, name)}


def _tunings_from_json(values: list[Any]) -> list[tuple[int, Tuning]]:
    tunings: list[tuple[int, Tuning]] = []
    for value in values:
        unknown = set(_typed(value, dict)) - {"at", "passes", "levels", "guidance", "cache"}
        if unknown:
            raise ValueError(f"unknown entries {sorted(unknown)} in a tuning")
        at = _typed(value["at"], int)
        if at < 0 or (tunings and at < tunings[-1][0]) or len(tunings) >= MAX_STEPS:
            raise ValueError(f"a tuning at step {at}, out of order")
        tuning = Tuning(
            passes=_typed(value.get("passes", 0), int),
            levels=tuple(float(level) for level in _typed(value.get("levels", []), list)),
            guidance=float(value.get("guidance", 0.0)),
            cache=value.get("cache", "keep"),
        )
        tunings.append((at, tuning))
    return tunings


_NOTHING = Tuning()


def _image_to_json(image: np.ndarray | None) -> dict[str, Any] | None:
    if image is None:
        return None
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(image).tobytes(), 6)).decode()
    return {"height": image.shape[0], "width": image.shape[1], "rgb_zlib_base64": data}


def _image_from_json(value: Any) -> np.ndarray | None:
    if value is None:
        return None
    height, width = _typed(value["height"], int), _typed(value["width"], int)
    expected = height * width * 3
    if min(height, width) < 1 or expected > MAX_START_BYTES:
        raise ValueError(f"start image of {height} x {width} pixels")
    # Unpack no further than the size that was promised: a small file must not fill the memory.
    data = zlib.decompressobj().decompress(
        base64.b64decode(value["rgb_zlib_base64"], validate=True), expected + 1
    )
    if len(data) != expected:
        raise ValueError(f"start image of {len(data)} bytes, expected {expected}")
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r:.40} where {kind.__name__} is expected")
    return value


def _say(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
