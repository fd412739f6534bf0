"""The one autoregressive loop: for each frame, denoise with the cache frozen, then write it once, clean.

Play, training on own rollouts and evaluation all run this. It imports neither torch nor numpy: it uses only
the arithmetic that both kinds of array share, and takes its noise from the caller. Guidance, gradients and
backends are wrapped around ``denoise`` and ``write`` by the caller. Flow matching and masked tokens are two
denoisers under it.
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


class Renoise(Protocol):
    """Takes a clean prediction back to the noise level of the next pass."""

    def __call__(self, x: Any, clean: Any, level: float, lower: float) -> Any:
        """Return the input of the pass at level ``lower``, from the input x of the pass at ``level``."""
        ...


def euler(x: Any, clean: Any, level: float, lower: float) -> Any:
    """One Euler step of flow matching, along the straight line from the clean prediction through x."""
    return clean + (x - clean) * (lower / level)


def check_levels(levels: Sequence[float]) -> None:
    """Refuse noise levels that do not fall from 1 towards 0.

    Raises:
        ConfigError: when they do not start at 1, do not fall, or reach 0.
    """
    falling = all(a > b for a, b in itertools.pairwise(levels))
    if not levels or levels[0] != 1.0 or not falling or levels[-1] <= 0.0:
        raise ConfigError(f"levels {list(levels)} do not fall from 1 to above 0; use e.g. [1.0, 0.5]")


def check_window(trained: int, window: int, sink: int) -> None:
    """Refuse a past that the network was not made for.

    Args:
        trained: past frames that the network was trained to see.
        window: past frames to keep; 0 takes ``trained``.
        sink: first frames that stay for good.

    Raises:
        ConfigError: when the window is wider than trained, or the sink leaves no room beside it.
    """
    if not 0 <= window <= trained:
        raise ConfigError(
            f"window {window} is outside 1 to {trained}, what the network saw; 0 takes all of it"
        )
    if not 0 <= sink < (window or trained):
        raise ConfigError(
            f"sink {sink} leaves no room in a window of {window or trained}; use 0, or fewer frames than it"
        )


def next_frame(
    denoise: Denoise,
    write: Write,
    noise: Any,
    levels: Sequence[float],
    control: Any,
    cache: Any,
    fresh: Callable[[int], Any] | None = None,
    renoise: Renoise = euler,
) -> tuple[Any, Any]:
    """Make one frame, or one block of frames, and write it to the cache.

    Args:
        denoise: one network pass.
        write: the pass that fills the cache.
        noise: what a frame begins from: standard normal latents, or a frame of masked tokens.
        levels: noise levels of the passes, falling from 1; for masked tokens the share that is masked.
        control: what leads to this frame; handed through.
        cache: the frames before; handed through.
        fresh: draws new noise after pass 0, 1, ..., so that the next pass starts from the clean prediction
            noised anew, as students of a few steps are trained to; None leaves it to ``renoise``.
        renoise: how a pass hands on to the next: an Euler step for flow matching; masked tokens are masked
            anew.

    Returns:
        The clean prediction of the last pass, and the cache that holds it.
    """
    x = noise
    clean = noise
    for index, level in enumerate(levels):
        clean = denoise(x, level, control, cache)
        if index + 1 == len(levels):
            break
        following = levels[index + 1]
        if fresh is None:
            x = renoise(x, clean, level, following)
        else:
            x = clean * (1.0 - following) + fresh(index) * following
    return clean, write(clean, control, cache)
