"""Measures whose weights are not ours to ship: LPIPS, FVD on I3D, whatever the user has as TorchScript.

    plug_in = parse_plug_in("lpips_alex=lpips_alex.pt")     # as --plug-in takes it; its version is a hash
    measure = load_plug_in(plug_in)                         # ScriptedPair or ScriptedClips

A plug-in keeps its own name, never that of a figure made here, and is nowhere in a suite unless it is asked
for. This file does NOT download anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.extras import need
from paracosm.core.files import file_hash
from paracosm.core.rng import stream

PlugInKind = Literal["pairs", "clips"]
"""pairs: two pictures in, a distance out (LPIPS); clips: clips in, features out (I3D)."""
KNOWN: dict[PlugInKind, str] = {
    "pairs": "two pictures float (n, 3, h, w) in [-1, 1] in and n distances out, such as the network of the "
    "package lpips after torch.jit.trace",
    "clips": "clips float (n, 3, t, h, w) in 0 to 255 in and n rows of features out, such as "
    "i3d_torchscript.pt as published with StyleGAN-V",
}
"""What the user has to give for each kind of plug-in."""
SWITCHES = ("rescale", "resize", "return_features")
"""Options of the published I3D that are switched on: it then takes 0 to 255 of any size."""
BATCH = 16
"""Pictures or clips that go through a network at a time."""
CLIP_FRAMES = 16
"""Frames of a clip given to a network, as FVD is published."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class PlugIn:
    """A measure of the user's own.

    Attributes:
        name: what its figures are called, e.g. "lpips_alex".
        version: first 12 hex digits of the file's SHA-256.
        file: the TorchScript file; where it lies is no part of what is measured.
    """

    name: str
    version: str
    file: Path = field(metadata={"identity": False})

    @property
    def figure(self) -> str:
        """Begins the names of its figures."""
        return f"plug_in.{self.name}"

    @property
    def unit(self) -> str:
        """Unit of its figures: two files of one name measure in different units."""
        return f"by {self.version}"


def parse_plug_in(text: str) -> PlugIn:
    """Read "NAME=FILE".

    Raises:
        ConfigError: for anything else, and for a name that is no figure's.
        DataError: when the file is missing.
    """
    name, equals, path = text.partition("=")
    if not equals or not path or not _NAME.fullmatch(name):
        raise ConfigError(
            f'--plug-in "{text}" is not NAME=FILE; give a name of small letters, digits and _, and a '
            "TorchScript file, e.g. lpips_alex=lpips_alex.pt"
        )
    file = Path(path)
    if not file.is_file():
        raise DataError(f"--plug-in {name}: {file} is no file; give a TorchScript file")
    return PlugIn(name=name, version=file_hash(file)[:12], file=file)


def parse_plug_ins(texts: tuple[str, ...]) -> tuple[PlugIn, ...]:
    """Read several of them.

    Raises:
        ConfigError: as :func:`parse_plug_in`, and for a name that stands twice.
        DataError: as :func:`parse_plug_in`.
    """
    found = tuple(parse_plug_in(text) for text in texts)
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"--plug-in names {twice[0]} twice; give each file a name of its own")
    return found


def load_plug_in(plug_in: PlugIn) -> ScriptedPair | ScriptedClips:
    """Load a plug-in as what its file takes: two inputs are pictures to compare, one is clips.

    Raises:
        MissingPackageError: without torch.
        DataError: when the file is no TorchScript, or takes another number of inputs.
    """
    script = _load(plug_in)
    needed = [one for one in script.forward.schema.arguments[1:] if not one.has_default_value()]
    if len(needed) not in (1, 2):
        raise DataError(
            f"{plug_in.file} takes {len(needed)} inputs; a plug-in has {KNOWN['pairs']}; or {KNOWN['clips']}"
        )
    return ScriptedPair(script, plug_in) if len(needed) == 2 else ScriptedClips(script, plug_in)


def try_plug_in(plug_in: PlugIn, height: int, width: int) -> PlugInKind:
    """Load a plug-in and put two noisy pictures or clips through it, so that a wrong file is refused at once.

    Raises:
        MissingPackageError: without torch.
        DataError: when it cannot be loaded, or does not give what its kind must give.
    """
    measure = load_plug_in(plug_in)
    noise = stream(0, "plug-in").integers(0, 256, (2, CLIP_FRAMES, height, width, 3)).astype(np.uint8)
    if isinstance(measure, ScriptedPair):
        measure.measure(noise[:, 0], noise[:, 1])
        return "pairs"
    measure.encode(noise)
    return "clips"


class ScriptedPair:
    """A measure of pairs of pictures from a TorchScript file, such as LPIPS.

    Args:
        script: the loaded file.
        plug_in: its name and file.
    """

    kind: PlugInKind = "pairs"

    def __init__(self, script: Any, plug_in: PlugIn) -> None:
        self._script, self.plug_in, self.name = script, plug_in, plug_in.name

    def measure(self, frames: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Distances float64 (n,) of frames uint8 (n, h, w, 3) to their partners.

        Raises:
            DataError: when the network does not give one finite number a pair.
        """
        torch = need("torch", "train")
        found = [np.empty(0)]
        for first in range(0, len(frames), BATCH):
            pair = [
                torch.from_numpy(np.ascontiguousarray(side[first : first + BATCH].transpose(0, 3, 1, 2)))
                for side in (frames, truth)
            ]
            one, two = (picture.float() / 127.5 - 1 for picture in pair)
            distances = _through(self, one, two)
            if distances.size != len(one) or not np.isfinite(distances).all():
                raise DataError(_wrong(self, distances, f"{len(one)} pairs"))
            found.append(distances.reshape(len(one)))
        return np.concatenate(found)


class ScriptedClips:
    """Clip features from a TorchScript file such as I3D.

    FVD is the Fréchet distance of I3D's 400 features; at that width its bias is 79 at 1,024 clips and 40 at
    2,048, on features of unit variance, so its real-against-real floor must stand beside it.

    Args:
        script: the loaded file.
        plug_in: its name and file.
    """

    kind: PlugInKind = "clips"

    def __init__(self, script: Any, plug_in: PlugIn) -> None:
        self._script, self.plug_in, self.name = script, plug_in, plug_in.name
        offered = {one.name for one in script.forward.schema.arguments if one.has_default_value()}
        self._switches = {name: True for name in SWITCHES if name in offered}

    def encode(self, clips: np.ndarray) -> np.ndarray:
        """Features float64 (n, d) of clips uint8 (n, t, h, w, 3).

        Raises:
            DataError: when the network does not give one row of finite numbers a clip.
        """
        torch = need("torch", "train")
        found = []
        for first in range(0, len(clips), BATCH):
            batch = np.ascontiguousarray(clips[first : first + BATCH].transpose(0, 4, 1, 2, 3))
            features = _through(self, torch.from_numpy(batch).float(), **self._switches)
            if features.ndim < 2 or len(features) != len(batch) or not np.isfinite(features).all():
                raise DataError(_wrong(self, features, f"{len(batch)} clips"))
            found.append(features.reshape(len(batch), -1))
        return np.concatenate(found)


def _through(measure: ScriptedPair | ScriptedClips, *inputs: Any, **switches: bool) -> np.ndarray:
    torch = need("torch", "train")
    try:
        with torch.inference_mode():
            given = measure._script(*inputs, **switches)
    except RuntimeError as error:
        shapes = " and ".join(str(tuple(one.shape)) for one in inputs)
        reason = str(error).strip().splitlines()[-1]
        raise DataError(
            f"{measure.plug_in.file} broke on inputs of {shapes} ({reason}); a plug-in has "
            f"{KNOWN[measure.kind]}"
        ) from error
    if not isinstance(given, torch.Tensor):
        raise DataError(
            f"{measure.plug_in.file} gives {type(given).__name__} and no tensor; a plug-in has "
            f"{KNOWN[measure.kind]}"
        )
    return given.double().numpy()


def _wrong(measure: ScriptedPair | ScriptedClips, given: np.ndarray, what: str) -> str:
    finite = "" if np.isfinite(given).all() else ", not all finite,"
    return (
        f"{measure.plug_in.file} gives {given.shape}{finite} for {what}; a plug-in has {KNOWN[measure.kind]}"
    )


def _load(plug_in: PlugIn) -> Any:
    torch = need("torch", "train")
    try:
        return torch.jit.load(str(plug_in.file), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].partition(". ")[0]
        raise DataError(
            f"{plug_in.file} is no TorchScript ({reason}); a plug-in has {KNOWN['pairs']}; or "
            f"{KNOWN['clips']}"
        ) from error
