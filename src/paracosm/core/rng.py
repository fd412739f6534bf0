"""Named random streams: every draw in the library comes from a generator made here, by seed and name.

Two streams of different names are independent; the same seed and names give the same draws on every machine.
This file does NOT know torch: noise is drawn by numpy on the CPU and moved, so pictures agree everywhere.
"""

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Make the generator of one named stream.

    Args:
        seed: run or world seed, any integer >= 0.
        names: what the draws are for, e.g. ``stream(seed, "clips", epoch, rank)``.

    Returns:
        A Philox generator; its ``bit_generator.state`` is a plain dict that can be saved and restored.

    Raises:
        ValueError: when seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed {seed} is negative; use an integer >= 0")
    return np.random.Generator(np.random.Philox(key=_key(seed, names)))


def sub_seed(seed: int, *names: str | int) -> int:
    """Derive an integer seed in [0, 2**31) for a library that takes no generator (a game engine, torch).

    Args:
        seed: parent seed, >= 0.
        names: what the seed is for.
    """
    return _key(seed, names) % 2**31


def _key(seed: int, names: tuple[str | int, ...]) -> int:
    text = repr((int(seed), *names)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:16], "big")
