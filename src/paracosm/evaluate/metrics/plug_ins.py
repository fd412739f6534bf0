"""Measures whose weights are not ours to ship: LPIPS, FVD on I3D, whatever the user has as TorchScript.

A plug-in keeps its own name ("lpips_alex", "fvd_i3d"), never that of a figure made here, and is nowhere in a
suite unless it is asked for. This file does NOT download anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.extras import need

KNOWN = {
    "lpips": "a TorchScript file that takes two pictures float (n, 3, h, w) in [-1, 1] and returns n "
    "distances; trace the network of the package lpips once with torch.jit.trace",
    "fvd_i3d": "i3d_torchscript.pt as published with StyleGAN-V: "
    "it takes clips float (n, 3, t, h, w) in 0 to 255",
}
"""Plug-ins by kind, and what the user has to give for each."""
BATCH = 16
"""Pictures or clips that go through a network at a time."""


@runtime_checkable
class PairMeasure(Protocol):
    """Measures pairs of pictures, e.g. LPIPS."""

    @property
    def name(self) -> str:
        """Name and backbone, e.g. "lpips_alex"."""
        ...

    def measure(self, frames: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Distances float64 (n,) of frames uint8 (n, h, w, 3) to their partners."""
        ...


@runtime_checkable
class ClipFeatures(Protocol):
    """Turns clips into features for a distance of distributions, e.g. I3D for FVD."""

    @property
    def name(self) -> str:
        """Name and backbone, e.g. "fvd_i3d"."""
        ...

    def encode(self, clips: np.ndarray) -> np.ndarray:
        """Features float64 (n, d) of clips uint8 (n, t, h, w, 3)."""
        ...


class ScriptedPair:
    """A pair measure from a TorchScript file.

    Args:
        file: see ``KNOWN["lpips"]``.
        name: what its figures are called.

    Raises:
        MissingPackageError: without torch.
        DataError: when the file is missing or no TorchScript.
    """

    def __init__(self, file: Path, name: str = "lpips") -> None:
        self.name = name
        self._script = _load(file, "lpips")

    def measure(self, frames: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Distances float64 (n,) of frames uint8 (n, h, w, 3) to their partners."""
        torch = need("torch", "train")
        found = []
        with torch.inference_mode():
            for first in range(0, len(frames), BATCH):
                pair = [
                    torch.from_numpy(np.ascontiguousarray(side[first : first + BATCH].transpose(0, 3, 1, 2)))
                    for side in (frames, truth)
                ]
                one, two = (picture.float() / 127.5 - 1 for picture in pair)
                found.append(self._script(one, two).reshape(len(one)).double().numpy())
        return np.concatenate(found)


class ScriptedClips:
    """Clip features from a TorchScript file such as I3D.

    FVD is the Fréchet distance of I3D's 400 features; at that width its bias is 79 at 1,024 clips and 40 at
    2,048, on features of unit variance, so its real-against-real floor must stand beside it.

    Args:
        file: see ``KNOWN["fvd_i3d"]``.
        name: what its figures are called.

    Raises:
        MissingPackageError: without torch.
        DataError: when the file is missing or no TorchScript.
    """

    def __init__(self, file: Path, name: str = "fvd_i3d") -> None:
        self.name = name
        self._script = _load(file, "fvd_i3d")

    def encode(self, clips: np.ndarray) -> np.ndarray:
        """Features float64 (n, d) of clips uint8 (n, t, h, w, 3)."""
        torch = need("torch", "train")
        found = []
        with torch.inference_mode():
            for first in range(0, len(clips), BATCH):
                batch = np.ascontiguousarray(clips[first : first + BATCH].transpose(0, 4, 1, 2, 3))
                features = self._script(torch.from_numpy(batch).float())
                found.append(features.reshape(len(batch), -1).double().numpy())
        return np.concatenate(found)


def _load(file: Path, kind: str) -> Any:
    torch = need("torch", "train")
    if not file.is_file():
        raise DataError(f"{kind} needs weights of yours and {file} is no file; give {KNOWN[kind]}")
    try:
        return torch.jit.load(str(file), map_location="cpu").eval()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{file} is no TorchScript ({reason}); {kind} needs {KNOWN[kind]}") from error
