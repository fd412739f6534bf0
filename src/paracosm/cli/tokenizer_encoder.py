"""A world's tokenizer as the encoder that the curator is handed: pooled latents of its ONNX graph.

This file does NOT know curation; it needs no torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.world_spec import WorldSpec, kind_of, load_spec
from paracosm.play.backends.onnx_backend import OnnxBackend
from paracosm.play.backends.threads import Threads
from paracosm.zoo import bundled_worlds


class TokenizerEncoder:
    """Turns pictures into vectors: mean and spread of each latent channel in each quarter."""

    def __init__(self, folder: Path, spec: WorldSpec) -> None:
        self._backend = OnnxBackend(folder, spec, Threads(alone=1, beside=1))
        self._spec = spec
        self.name = f"tokenizer:{spec.name}:{spec.parts.tokenizer.weights}"

    @classmethod
    def open(cls, world: str) -> TokenizerEncoder:
        """Open the tokenizer of a bundled world by name, or of a world's folder.

        Raises:
            DataError: when there is no such world.
        """
        name = world.removeprefix("model:")
        folder = bundled_worlds().get(name, Path(name))
        if not (folder / "world.json").exists() or kind_of(folder):
            fitting = [known for known, where in bundled_worlds().items() if not kind_of(where)]
            raise DataError(
                f"{world} is no neural world over latents; give its folder, or one of {', '.join(fitting)}"
            )
        return cls(folder, load_spec(folder))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Encode uint8 (n, h, w, 3) to float32 (n, d)."""
        return np.stack([self._encode(image) for image in images])

    def _encode(self, image: np.ndarray) -> np.ndarray:
        small = _shrink(image, self._spec.height, self._spec.width)
        latents, _ = self._backend.encode(small, self._backend.encoder_state)
        grid = np.asarray(latents, np.float32).reshape(self._spec.sizes.latent_shape)
        parts = [part for rows in np.array_split(grid, 2, axis=1) for part in np.array_split(rows, 2, axis=2)]
        return np.concatenate([value for part in parts for value in (part.mean((1, 2)), part.std((1, 2)))])


def _shrink(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Average the whole picture into a size; its shape is not kept, since only likeness matters."""
    rows = np.arange(height) * image.shape[0] // height
    columns = np.arange(width) * image.shape[1] // width
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float32), rows, axis=0), columns, axis=1)
    tall = np.maximum(np.diff([*rows, image.shape[0]]), 1)
    wide = np.maximum(np.diff([*columns, image.shape[1]]), 1)
    return (sums / (tall[:, None, None] * wide[None, :, None])).round().astype(np.uint8)
