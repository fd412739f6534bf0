"""Agents cloned from video under learnt actions: ``python -m benchmarks.genie_agents --out O --json F``.

A latent action model that has never seen CoinRun (*unseen*; it watched other platform games) labels videos of
an expert of CoinRun, an agent is cloned from them, and 200 labelled steps tell which real actions each learnt
one stands for. Beside it: the clone of the true actions (*oracle*), the same under a latent action model that
has seen CoinRun (*seen*), a *random* player and the *expert* itself. Reported is the share of held-out levels
that are solved, easy and hard, over several seeds. What is trained stays trained and rows that are measured
stay: the same command goes on, and more ``--seeds`` may be added.

Source: Genie 2402.15391, figure 15 and appendix E; sizes here fit an hour of one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from paracosm.core.errors import DataError
from paracosm.core.figures import (
    Figure,
    figure_of,
    make_report,
    not_computed,
    show_report,
    write_report,
)
from paracosm.core.files import whole_file
from paracosm.core.rng import stream
from paracosm.core.run_dir import RunDir
from paracosm.core.stats import BOOTSTRAP_DRAWS, estimate
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.evaluate.intervals import percentile_interval
from paracosm.evaluate.latent_meaning import measure_meaning
from paracosm.models.latent_actions import CodeInput, LatentActions
from paracosm.models.pixels import to_pixels
from paracosm.recipes import genie
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages import latent_actions
from paracosm.train.stages.latent_actions import LatentActionsStageConfig

from .genie_claims import shorten_stage
from .genie_clone import CloneConfig, ClonedAgent, CloneStageConfig, Translator, train_clone
from .genie_levels import Agent, Played, RandomAgent, Worlds, play_expert, play_levels, row_of
from .genie_measures import Table
from .genie_videos import (
    ACTIONS,
    DIFFICULTIES,
    PROGRESS,
    Difficulty,
    held_out_levels,
    real_actions,
    record_expert,
    record_other,
    record_seen,
    thin,
)

CLONES = ("oracle", "unseen", "seen")
"""Whose labels an agent is cloned from."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of everything; the defaults fit an hour of one core."""

    video_episodes: int = 240
    """episodes of the other games, and of CoinRun where its latent action model is trained here"""
    video_steps: int = 160
    """longest of them"""
    expert_episodes: int = 200
    """of the expert, for each difficulty"""
    every: int = 1
    """steps of the game between two frames that a latent action model trained here sees; the paper takes
    every frame"""
    actions_steps: int = 1000
    """of a latent action model"""
    clone_steps: int = 800
    """of an agent"""
    batch_size: int = 64
    """steps of video a batch of an agent"""
    labelled: int = 200
    """steps with real actions that name what learnt ones stand for; the paper takes 200"""
    levels: int = 100
    """held-out levels for each difficulty and seed"""
    max_steps: int = 500
    """steps after which a level is not solved; the game itself waits for 1000"""
    side_by_side: int = 20
    """levels played at once"""
    toy: int = 0
    """1 makes the networks tiny"""


TINY = Sizes(
    video_episodes=6,
    video_steps=40,
    every=2,
    expert_episodes=3,
    actions_steps=8,
    clone_steps=8,
    batch_size=8,
    labelled=20,
    levels=3,
    max_steps=40,
    side_by_side=3,
    toy=1,
)
"""To see every stretch work, under a minute."""


@dataclass(frozen=True, kw_only=True)
class Namer:
    """A latent action model that names steps, and the steps of the game between two frames that it sees."""

    model: Path
    every: int


@dataclass(frozen=True, kw_only=True)
class Expert:
    """Videos of the expert, and what each step of each is called.

    Attributes:
        frames: uint8 (t, h, w, 3) of each video.
        labels: int64 (t - 1,) of each video, by who named them; "oracle" are the real actions.
    """

    frames: Sequence[np.ndarray]
    labels: Mapping[str, Sequence[np.ndarray]]


def main() -> None:
    """Train, play and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--seen", type=Path, help="latent action model that saw CoinRun; trained when missing"
    )
    parser.add_argument("--seen-every", type=int, default=1, help="steps between the frames that it saw")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labelled", type=int, default=0, help="labelled steps; 0 takes the sizes'")
    parser.add_argument("--every", type=int, default=0, help="steps between frames; 0 takes the sizes'")
    parser.add_argument("--tiny", action="store_true", help="toy sizes, under a minute")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sizes = TINY if given.tiny else Sizes()
    if given.labelled:
        sizes = replace(sizes, labelled=given.labelled)
    if given.every:
        sizes = replace(sizes, every=given.every)
    seen = Namer(model=given.seen, every=given.seen_every) if given.seen else None
    figures = run(given.out, sizes, range(given.seeds), seen)
    command = "python -m benchmarks.genie_agents" + (" --tiny" if given.tiny else "")
    report = make_report(command, figures, seeds=tuple(range(given.seeds)))
    print(show_report(report))
    if given.json:
        write_report(report, given.json)


def run(out: Path, sizes: Sizes, seeds: Sequence[int], seen: Namer | None = None) -> dict[str, Figure]:
    """Do all that is not done yet.

    Args:
        out: folder of everything that is made.
        sizes: how much.
        seeds: of networks, labelled steps and levels.
        seen: latent action model that saw CoinRun, or None to train one.

    Raises:
        ConfigError: when the folder was begun with other sizes.
    """
    with RunDir(out) as folder:
        folder.keep_config(sizes)
        namers = {
            "unseen": train_actions(out, "unseen", sizes, record_other),
            "seen": seen or train_actions(out, "seen", sizes, record_seen),
        }
        expert = label_expert(out, sizes, namers)
        table, worlds = Table(out, "agents"), Worlds(sizes.side_by_side)
        try:
            for seed in seeds:
                measure_seed(out, sizes, expert, seed, table, worlds)
        finally:
            worlds.close()
        return {**label_figures(expert), **solved_figures(table, seeds)}


def train_actions(
    out: Path, name: str, sizes: Sizes, make_videos: Callable[[Path, int, int], Dataset]
) -> Namer:
    """Record videos and train a latent action model on them."""
    recorded = make_videos(out / "videos" / name, sizes.video_episodes, sizes.video_steps)
    videos = out / "videos" / f"{name}_thinned"
    thin(recorded, videos, sizes.every)
    stage = actions_stage(out / f"actions_{name}", videos, sizes)
    return Namer(model=latent_actions.main(stage, PROGRESS), every=sizes.every)


def actions_stage(run: Path, data: Path, sizes: Sizes) -> LatentActionsStageConfig:
    """The latent action stage of the recipe `small` on other videos, shortened."""
    recipe = genie.small(run)
    stage = (genie.shorten(recipe) if sizes.toy else recipe).latent_actions
    return shorten_stage(replace(stage, run=run, data=data), sizes.actions_steps)


def label_expert(out: Path, sizes: Sizes, namers: Mapping[str, Namer]) -> Expert:
    """Record the expert on training levels of both difficulties and label every step of it."""
    episodes: list[EpisodeRef] = []
    for difficulty in DIFFICULTIES:
        folder = out / "videos" / f"expert_{difficulty}"
        episodes += record_expert(folder, difficulty, sizes.expert_episodes, sizes.max_steps).episodes
    labels = {"oracle": [real_actions(episode.control_vectors) for episode in episodes]}
    for name, namer in namers.items():
        labels[name] = keep_labels(out / "labels" / f"{name}.npz", namer, episodes)
    return Expert(frames=[episode.frames for episode in episodes], labels=labels)


def keep_labels(file: Path, namer: Namer, episodes: Sequence[EpisodeRef]) -> list[np.ndarray]:
    """Learnt action of every step of every episode, found once and kept in a file."""
    if not file.exists():
        network = LatentActions.load(namer.model)
        if isinstance(network.config.input, CodeInput):
            raise DataError(f"{namer.model} sees codes; give a latent action model that sees pixels")
        line = PROGRESS(f"label {file.stem}", len(episodes), "episode")
        found = {}
        for i, episode in enumerate(episodes):
            found[str(i)] = find_actions(network, np.array(episode.frames), namer.every)
            line.update(i + 1)
        line.close()
        with whole_file(file) as temporary, temporary.open("wb") as stream_:
            np.savez(stream_, **found)
    with np.load(file) as kept:
        return [kept[str(i)] for i in range(len(episodes))]


@torch.inference_mode()
def find_actions(model: LatentActions, frames: np.ndarray, every: int) -> np.ndarray:
    """Learnt action of each step of one video, int64 (t - 1,): between its frame and the n-th after it.

    Beyond the end of the video its last frame stays.
    """
    longer = np.concatenate([frames, np.repeat(frames[-1:], every - 1, 0)])
    found = np.empty(len(frames) - 1, np.int64)
    for first in range(min(every, len(found))):
        told = model.infer(to_pixels(torch.from_numpy(longer[first::every])[None]))[0].numpy()
        found[first::every] = told[: len(found[first::every])]
    return found


def measure_seed(out: Path, sizes: Sizes, expert: Expert, seed: int, table: Table, worlds: Worlds) -> None:
    """Train the agents of one seed and play their levels; rows that are there are not made again."""
    for name in CLONES:
        agent = _Later(lambda name=name: clone_agent(out, sizes, expert, name, seed))
        for difficulty in DIFFICULTIES:
            table.add(
                f"{name} {difficulty} {seed}",
                lambda agent=agent, difficulty=difficulty: row_of(
                    play(agent.get(), sizes, difficulty, seed, worlds)
                ),
            )
    for difficulty in DIFFICULTIES:
        table.add(
            f"random {difficulty} {seed}",
            lambda difficulty=difficulty: row_of(
                play(RandomAgent(num_actions=len(ACTIONS)), sizes, difficulty, seed, worlds)
            ),
        )
        table.add(
            f"expert {difficulty} {seed}",
            lambda difficulty=difficulty: row_of(
                play_expert(held_out_levels(seed, sizes.levels), difficulty, sizes.max_steps)
            ),
        )


def clone_agent(out: Path, sizes: Sizes, expert: Expert, name: str, seed: int) -> ClonedAgent:
    """The agent that is cloned from one sort of labels."""
    labels = expert.labels[name]
    side = expert.frames[0].shape[1]
    steps = sizes.clone_steps
    optim = OptimConfig(
        learning_rate=1e-3, warmup_steps=min(50, steps // 5), decay_steps=steps // 2, ema_decay=0.99
    )
    config = CloneStageConfig(
        run=out / "clones" / f"{name}-{seed}",
        labels=name,
        model=CloneConfig(
            side=side,
            num_labels=1 + max(int(one.max(initial=0)) for one in labels),
            channels=(4, 8, 8) if sizes.toy else (16, 32, 64),
            hidden=16 if sizes.toy else 256,
        ),
        loop=LoopConfig(num_steps=steps, optim=optim, num_threads=1, seed=seed, preview_every=0),
        batch_size=sizes.batch_size,
    )
    clone = train_clone(config, expert.frames, labels, PROGRESS)
    return ClonedAgent(
        clone=clone, translator=None if name == "oracle" else translate(expert, name, sizes, seed)
    )


def translate(expert: Expert, name: str, sizes: Sizes, seed: int) -> Translator:
    """What learnt actions stand for, from a few steps of the expert drawn by seed, the same for all."""
    labels, actions = (np.concatenate(expert.labels[who]) for who in (name, "oracle"))
    count = min(sizes.labelled, len(labels))
    chosen = stream(seed, "labelled steps").choice(len(labels), count, replace=False)
    return Translator(labels[chosen], actions[chosen])


def play(agent: Agent, sizes: Sizes, difficulty: Difficulty, seed: int, worlds: Worlds) -> list[Played]:
    """Play the held-out levels of one seed."""
    levels = held_out_levels(seed, sizes.levels)
    line = PROGRESS(f"play {difficulty}, seed {seed}", len(levels), "level")
    played = play_levels(agent, worlds.open(difficulty), levels, ACTIONS, sizes.max_steps, seed, line.update)
    line.close()
    return played


def label_figures(expert: Expert) -> dict[str, Figure]:
    """How purely learnt labels stand for real actions on the expert's videos, whatever they show."""
    actions = np.concatenate(expert.labels["oracle"])
    figures = {}
    for name in CLONES[1:]:
        labels = np.concatenate(expert.labels[name])
        found = measure_meaning(labels, actions, int(labels.max()) + 1)
        figures[f"agents.label_purity.{name}"] = Figure(
            value=found.purity, unit="share", n=len(labels), anchors={"no_control": found.most_common}
        )
        figures[f"agents.label_information.{name}"] = Figure(
            value=found.information_bits,
            unit="bits",
            n=len(labels),
            anchors={"true_game": found.control_bits},
        )
    return figures


def solved_figures(table: Table, seeds: Sequence[int]) -> dict[str, Figure]:
    """Share of levels solved by each agent, and of the oracle's share, over seeds."""
    figures: dict[str, Figure] = {}
    for difficulty in DIFFICULTIES:
        shares = {
            name: np.array(
                [float(table.rows[f"{name} {difficulty} {seed}"]["solved_share"]) for seed in seeds]
            )
            for name in (*CLONES, "random", "expert")
        }
        anchors = {"true_game": float(shares["oracle"].mean()), "no_control": float(shares["random"].mean())}
        for name, values in shares.items():
            figures[f"agents.solved.{difficulty}.{name}"] = figure_of(
                estimate(values), "share of levels", anchors=anchors
            )
        for name in (*CLONES[1:], "random"):
            figures[f"agents.share_of_oracle.{difficulty}.{name}"] = _ratio(shares[name], shares["oracle"])
    return figures


def _ratio(values: np.ndarray, oracle: np.ndarray) -> Figure:
    """Ratio of means over seeds, paired by seed."""
    if not oracle.mean():
        return not_computed("undefined", "the oracle solved no level", "share")
    draws, found = stream(0, "share of oracle"), []
    for _ in range(BOOTSTRAP_DRAWS):
        chosen = draws.integers(0, len(values), len(values))
        below = oracle[chosen].mean()
        found.append(values[chosen].mean() / below if below else np.nan)
    interval = percentile_interval(np.array(found)) if len(values) > 1 else None
    return Figure(value=float(values.mean() / oracle.mean()), unit="share", n=len(values), ci95=interval)


class _Later:
    """An agent that is trained only when a row needs it, once."""

    def __init__(self, make: Callable[[], Agent]) -> None:
        self._make, self._agent = make, None

    def get(self) -> Agent:
        """The agent."""
        if self._agent is None:
            self._agent = self._make()
        return self._agent


if __name__ == "__main__":
    main()
