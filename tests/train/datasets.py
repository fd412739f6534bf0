"""A small recorded dataset for training tests: the counting world under a sticky player."""

from pathlib import Path

from paracosm.collect.games.counting import CountingConfig
from paracosm.collect.record import RecordConfig, record
from paracosm.core.episode import Split
from paracosm.data.reader import Dataset
from paracosm.worlds import make_policy, open_world

HEIGHT, WIDTH = 32, 64


def record_counting(
    folder: Path, num_episodes: int = 3, max_steps: int = 12, split: Split = "train", seed: int = 0
) -> Dataset:
    """Record a few short episodes in this process."""
    config = RecordConfig(
        world="game:counting",
        out=folder,
        num_episodes=num_episodes,
        max_steps=max_steps,
        policy="sticky",
        split=split,
        seed=seed,
        first_world_seed=1_000_000_000 * seed,
        workers=1,
    )
    return record(config, open_world, make_policy, world_config=CountingConfig(height=HEIGHT, width=WIDTH))
