"""Trains and measures a reader of facts: ``python -m benchmarks.fact_reader DATA... --run RUN``.

    python -m benchmarks.fact_reader runs/gamegen_o-tiny/data/train --run runs/facts/doom \
        --json benchmarks/facts_doom.json

It learns from real frames alone, what the recordings tell of them; ``--held-out`` recordings, or the game's
case set without it, say how well it reads each fact. Worlds are then judged by ``instruct_success`` and
``prompt_hits``, which take RUN/facts. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import DataError
from paracosm.core.figures import Figure, make_report, show_report, write_report
from paracosm.core.progress import LineProgress, ProgressMaker, no_progress
from paracosm.core.rng import stream
from paracosm.core.run_dir import RunDir
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.evaluate.case_set import find_case_set, load_case_set, render_case_set
from paracosm.evaluate.fact_reader import (
    FactReader,
    columns_of,
    fact_figures,
    key_names,
    read_episodes,
    save_facts,
    score_facts,
)
from paracosm.evaluate.facts import Fact, find_facts, label_frames, tell_frames
from paracosm.models.inverse_dynamics import (
    FRAMES_AFTER,
    FRAMES_BEFORE,
    WINDOW,
    InverseDynamics,
    InverseDynamicsConfig,
)
from paracosm.models.pixels import to_pixels
from paracosm.train.first_weights import first_weights
from paracosm.train.loop import MAY_CHANGE, LoopConfig, train
from paracosm.train.optim import OptimConfig
from paracosm.train.stages.inverse_dynamics import describe_reader, disturb
from paracosm.worlds import open_world

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)


@dataclass(frozen=True, kw_only=True)
class FactReaderConfig:
    """What is read, from where, and for how long."""

    run: Path
    """run folder; the reader lands in RUN/facts"""
    data: tuple[Path, ...]
    """recordings to learn from, of one game and frame size"""
    model: InverseDynamicsConfig
    """sizes; its keys are the values of the facts"""
    facts: tuple[Fact, ...]
    """what is read"""
    loop: LoopConfig
    """length, optimiser, logging"""
    batch_size: int = 64
    """windows of one step: half drawn evenly, half evenly over the values of all facts"""
    largest_noise: float = 0.06
    """as for inverse dynamics"""
    largest_contrast: float = 0.1
    """as for inverse dynamics; half of it, since brightness is a fact"""
    blur_share: float = 0.3
    """as for inverse dynamics"""


class FactStage:
    """Network and loss for the training loop."""

    def __init__(self, config: FactReaderConfig, episodes: Sequence[EpisodeRef]) -> None:
        self.config = config
        self._frames = [episode.frames for episode in episodes]
        labels = [label_frames(tell_frames(one), config.facts, one.num_frames) for one in episodes]
        rows = [np.arange(FRAMES_BEFORE, len(one) - FRAMES_AFTER) for one in labels]
        self._places = np.concatenate(
            [np.stack([np.full(len(one), number), one], 1) for number, one in enumerate(rows)]
        )
        self._labels = np.concatenate([one[of] for one, of in zip(labels, rows, strict=True)])
        self._of_value = [
            found
            for column, fact in enumerate(config.facts)
            for value in range(len(fact.values))
            if len(found := np.flatnonzero(self._labels[:, column] == value))
        ]
        with first_weights(config.loop.seed, "fact reader"):
            self.networks: dict[str, nn.Module] = {"reader": InverseDynamics(config.model)}
        self.blocks: Sequence[nn.Module] = ()

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy over the values of each fact that is known, averaged over the facts."""
        config, draws = self.config, stream(self.config.loop.seed, "facts", step, part)
        chosen = draws.integers(len(self._labels), size=config.batch_size)
        for place in range(config.batch_size // 2):
            rare = self._of_value[draws.integers(len(self._of_value))]
            chosen[place] = rare[draws.integers(len(rare))]
        clips = np.stack(
            [
                self._frames[episode][row - FRAMES_BEFORE : row - FRAMES_BEFORE + WINDOW]
                for episode, row in self._places[chosen]
            ]
        )
        pixels = disturb(
            to_pixels(torch.from_numpy(clips)),
            generator,
            largest_noise=config.largest_noise,
            largest_contrast=config.largest_contrast,
            blur_share=config.blur_share,
        )
        logits, _ = self.networks["reader"](pixels)
        labels = torch.from_numpy(self._labels[chosen])
        losses = [
            functional.cross_entropy(logits[known][:, columns], labels[known, column])
            for column, columns in enumerate(columns_of(config.facts))
            if (known := labels[:, column] >= 0).any()
        ]
        return torch.stack(losses).mean(), {}

    def preview(self, averages: Mapping[str, nn.Module]) -> np.ndarray | None:
        """Draw nothing: readings are names."""
        return None


def describe(data: Sequence[Path], run: Path, num_steps: int) -> FactReaderConfig:
    """Find the facts of recordings and describe their reader: the sizes of the first's reader of controls."""
    facts = find_facts(episodes_of(data))
    optim = OptimConfig(learning_rate=1e-3, warmup_steps=min(50, num_steps // 4), decay_steps=num_steps // 2)
    return FactReaderConfig(
        run=run,
        data=tuple(data),
        facts=facts,
        model=replace(describe_reader(Dataset(data[0]).info), keys=key_names(facts), look=(), look_scale=1.0),
        loop=LoopConfig(num_steps=num_steps, optim=optim, num_threads=1, preview_every=0),
    )


def train_reader(
    config: FactReaderConfig,
    held_out: Sequence[EpisodeRef],
    most_frames: int = 400,
    progress: ProgressMaker = no_progress,
) -> tuple[FactReader, dict[str, Figure]]:
    """Train a reader, measure it on held-out recordings, and save both.

    Raises:
        DataError: when a held-out episode was learnt from.
    """
    learnt = episodes_of(config.data)
    seen = {one.recipe.seed for one in learnt}
    both = [one.name for one in held_out if one.recipe.seed in seen]
    if both:
        raise DataError(
            f"held-out episodes {both[:5]} are learnt from as well; record others with --first-world-seed"
        )
    with RunDir(config.run) as run:
        run.keep_config(config, MAY_CHANGE)
        averages = train(FactStage(config, learnt), config.loop, run, progress, "train fact reader")
        model = averages["reader"]
        assert isinstance(model, InverseDynamics), type(model)
        model.save(config.run / "facts" / "reader", "float16")
    model = InverseDynamics.load(config.run / "facts" / "reader")
    readings = read_episodes(model, config.facts, held_out, most_frames)
    reader = FactReader(model, config.facts, score_facts(config.facts, readings))
    save_facts(config.run / "facts", reader, learnt[0].info.name)
    return reader, fact_figures(config.facts, readings)


def episodes_of(folders: Sequence[Path]) -> tuple[EpisodeRef, ...]:
    """Episodes of several recordings, one after the other."""
    return tuple(episode for folder in folders for episode in Dataset(folder).episodes)


def held_out_episodes(game: str, folders: Sequence[Path]) -> tuple[EpisodeRef, ...]:
    """Episodes of folders; of none, the main ones of the case set that ships for a game, drawn by the game.

    Raises:
        DataError: when neither is there.
    """
    if folders:
        return episodes_of(folders)
    found = find_case_set(game)
    if found is None:
        raise DataError(f"no case set ships for {game}; pass recordings of yours with --held-out")
    return render_case_set(load_case_set(found), open_world, workers=1, progress=PROGRESS)[0]


def main() -> None:
    """Train, measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", help="recordings to learn from")
    parser.add_argument(
        "--held-out",
        type=Path,
        nargs="*",
        default=[],
        help="recordings to be measured on; the case set without it",
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000, help="of 64 windows")
    parser.add_argument("--frames", type=int, default=400, help="first frames read of each held-out episode")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    config = describe(given.data, given.run, given.steps)
    held_out = held_out_episodes(Dataset(given.data[0]).info.name, given.held_out)
    reader, figures = train_reader(config, held_out, given.frames, PROGRESS)
    report = make_report("python -m benchmarks.fact_reader " + " ".join(sys.argv[1:]), figures, seeds=(0,))
    print(show_report(report))
    for name, fact in reader.facts.items():
        for value in fact.values:
            if why := reader.why_undefined(name, value):
                print(f"not judged by {name}={value}: {why}")
    if given.json:
        write_report(report, given.json)


if __name__ == "__main__":
    main()
