"""The GameWorld score's original dimensions, where the user has their networks as ONNX files.

MUSIQ, the LAION aesthetic predictor, CLIP and AMT are not shipped and not downloaded. Each file is run as it
is; its hash stands in the results. This file does NOT substitute anything: without a file there is no value.

Source: arXiv 2506.18701, section 5, and its code at SkyworkAI/Matrix-Game f1bf6e6 for sizes and scales.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from paracosm.core.errors import DataError

from .gameworld import feature_consistency

MUSIQ_LONGEST = 512
"""Longer side of a frame given to MUSIQ, at most."""
CROP = 224
"""Side of the centre crop given to CLIP and to the aesthetic predictor."""
CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
CLIP_STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
"""Mean and deviation of red, green and blue by which CLIP was trained."""


class Network:
    """An ONNX file with float32 images in, (n, 3, h, w), and one float32 output.

    Args:
        file: the network.
        num_inputs: images that it takes.

    Raises:
        DataError: when the file is missing, is no network, or takes another number of inputs.
    """

    def __init__(self, file: Path, num_inputs: int) -> None:
        if not file.is_file():
            raise DataError(f"{file} is missing; give the ONNX file of the network, or leave the option out")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises classes of its own without a common base
            line = str(error).splitlines()[0][:120]
            raise DataError(f"{file} is no ONNX network ({line}); export it to ONNX first") from error
        self._names = [one.name for one in self._session.get_inputs()]
        if len(self._names) != num_inputs:
            raise DataError(
                f"{file} takes {len(self._names)} inputs, {num_inputs} are needed; "
                "export the network with images as its only inputs"
            )

    def __call__(self, *images: np.ndarray) -> np.ndarray:
        """Run it on images (n, 3, h, w)."""
        inputs: dict[str, Any] = {
            name: np.ascontiguousarray(image, np.float32)
            for name, image in zip(self._names, images, strict=True)
        }
        return np.asarray(self._session.run(None, inputs)[0])


def image_quality(network: Network, clip: np.ndarray) -> float:
    """MUSIQ's mean over frames, over 100; frames in [0, 1], their longer side at most MUSIQ_LONGEST."""
    longest = max(clip.shape[1:3])
    share = min(1.0, MUSIQ_LONGEST / longest)
    size = (max(1, round(clip.shape[1] * share)), max(1, round(clip.shape[2] * share)))
    return float(np.mean([network(planes(resize(frame, *size))[None]).item() for frame in clip])) / 100


def aesthetic(network: Network, clip: np.ndarray) -> float:
    """The aesthetic predictor's mean over frames, over 10; CLIP's preprocessing, CLIP inside the network."""
    return float(np.mean([network(clip_input(frame)[None]).item() for frame in clip])) / 10


def temporal_consistency(network: Network, clip: np.ndarray) -> float:
    """Mean cosine to the frame before and to the first one, of CLIP ViT-B/32's picture features (n, d)."""
    return feature_consistency(np.concatenate([network(clip_input(frame)[None]) for frame in clip]))


def smoothness(network: Network, clip: np.ndarray) -> float:
    """(255 - MAE) / 255 of every second frame against AMT's interpolation of its neighbours."""
    images = np.stack([planes(frame.astype(np.float32) / 255) for frame in clip])
    odd = range(1, len(clip) - 1, 2)
    errors = [np.abs(network(images[i - 1][None], images[i + 1][None])[0] - images[i]).mean() for i in odd]
    return 1 - float(np.mean(errors))


def clip_input(frame: np.ndarray) -> np.ndarray:
    """CLIP's preprocessing: the shorter side to CROP, centre crop, normalised: float32 (3, CROP, CROP)."""
    height, width = frame.shape[:2]
    share = CROP / min(height, width)
    large = resize(frame, max(CROP, round(height * share)), max(CROP, round(width * share)))
    top, left = (large.shape[0] - CROP) // 2, (large.shape[1] - CROP) // 2
    return planes((large[top : top + CROP, left : left + CROP] - CLIP_MEAN) / CLIP_STD)


def resize(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, pixel centres aligned, without antialiasing: uint8 (h, w, 3) to float32 in [0, 1]."""
    image = frame.astype(np.float32) / 255
    if image.shape[:2] == (height, width):
        return image
    for axis, size in ((0, height), (1, width)):
        old = image.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
        low = np.minimum(place.astype(int), max(0, old - 2))
        share = (place - low).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        high = np.minimum(low + 1, old - 1)
        image = image.take(low, axis) * (1 - share) + image.take(high, axis) * share
    return image


def planes(image: np.ndarray) -> np.ndarray:
    """Rows, columns, colours to colours, rows, columns."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))
