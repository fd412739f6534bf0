"""The one autoregressive loop: for each frame, denoise with the cache frozen, then write it once, clean.

Play, training on own rollouts and evaluation all run this. It imports neither torch nor numpy: it uses only
the arithmetic that both kinds of array share, and takes its noise from the caller. Guidance, gradients and
backends are wrapped around ``denoise`` and ``write`` by the caller.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from paracosm.core.errors import ConfigError


class Denoise(Protocol):
    """Predicts the clean latents of one frame; must not change the cache."""

    def __call__(self, x: Any, level: float, control: Any, cache: Any) -> Any:
        """Return clean latents shaped as x, which is at noise level ``level``."""
        ...


class Write(Protocol):
    """Puts one clean frame into the cache."""

    def __call__(self, clean: Any, control: Any, cache: Any) -> Any:
        """Return the cache that also holds this frame."""
        ...


def check_levels(levels: Sequence[float]) -> None:
    """Refuse noise levels that do not fall from 1 towards 0.

    Raises:
        ConfigError: when they do not start at 1, do not fall, or reach 0.
    """
    falling = all(a > b for a, b in itertools.pairwise(levels))
    if not levels or levels[0] != 1.0 or not falling or levels[-1] <= 0.0:
        raise ConfigError(f"levels {list(levels)} do not fall from 1 to above 0; use e.g. [1.0, 0.5]")


def next_frame(
    denoise: Denoise,
    write: Write,
    noise: Any,
    levels: Sequence[float],
    control: Any,
    cache: Any,
    fresh: Callable[[int], Any] | None = None,
) -> tuple[Any, Any]:
    """Make one frame, or one block of frames, and write it to the cache.

    Args:
        denoise: one network pass.
        write: the pass that fills the cache.
        noise: standard normal latents of one frame.
        levels: noise levels of the passes, falling from 1.
        control: what leads to this frame; handed through.
        cache: the frames before; handed through.
        fresh: draws new noise after pass 0, 1, ..., so that the next pass starts from the clean prediction
            noised anew, as students of a few steps are trained to; None follows the straight line instead.

    Returns:
        Clean latents of the frame, and the cache that holds it.
    """
    x = noise
    clean = noise
    for index, level in enumerate(levels):
        clean = denoise(x, level, control, cache)
        if index + 1 == len(levels):
            break
        following = levels[index + 1]
        if fresh is None:
            # One Euler step along the straight line from the clean prediction through x.
            x = clean + (x - clean) * (following / level)
        else:
            x = clean * (1.0 - following) + fresh(index) * following
    return clean, write(clean, control, cache)
