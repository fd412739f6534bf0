"""What a tuned decoder gains on a game that its tokenizer never saw: ``python -m benchmarks.decoder_tuning``.

    paracosm record game:doom --game.height 64 --game.width 64 --out runs/tuning/train ...
    python -m benchmarks.decoder_tuning coinrun --data runs/tuning/train --held-out runs/tuning/held_out \
        --run runs/tuning/decoder --json benchmarks/decoder_tuning.json

The encoder and the scale of the latents stay as they are, to the byte, so that a dynamics of these latents
keeps its meaning. PSNR is of held-out frames, averaged within an episode and paired over episodes.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from paracosm.core.errors import DataError
from paracosm.core.figures import Figure, figure_of, make_report, show_report, write_report
from paracosm.core.progress import LineProgress
from paracosm.core.stats import estimate
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.evaluate.quality import psnr_db
from paracosm.models.pixels import to_frames, to_pixels
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages import tokenizer
from paracosm.train.stages.tokenizer import TokenizerStageConfig
from paracosm.zoo import bundled_worlds

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)
FRAMES_OF_EPISODE = 16
"""Held-out frames of an episode, evenly spaced."""
BAR_DB = 1.0
"""Least gain that the project asks for."""


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """What is tuned, on what, for how long."""

    before: Path
    """folder of the tokenizer"""
    data: Path
    """recording of the new game to learn from"""
    held_out: Path
    """recording of it to judge by; no level of it may be in data"""
    run: Path
    """run folder; the tuned tokenizer lands in RUN/tokenizer"""
    num_steps: int = 400
    """training steps of 64 frames"""


def main() -> None:
    """Tune, measure and write."""
    given = _arguments()
    folder = bundled_worlds().get(given.world, Path(given.world))
    config = TuneConfig(
        before=folder / "tokenizer" if (folder / "tokenizer").is_dir() else folder,
        data=given.data,
        held_out=given.held_out,
        run=given.run,
        num_steps=given.steps,
    )
    report = make_report(
        f"python -m benchmarks.decoder_tuning {given.world} --steps {given.steps}", tune(config), seeds=(0,)
    )
    print(show_report(report))
    gain = report.figures["decoder.gain_db"].value
    assert gain is not None
    print(f"gain {gain:.2f} dB, bar {BAR_DB:g}: {'met' if gain >= BAR_DB else 'missed'}")
    if given.json:
        write_report(report, given.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("world", help="bundled world, or folder of a world or of a tokenizer")
    parser.add_argument("--data", type=Path, required=True, help="recording of the new game to learn from")
    parser.add_argument("--held-out", type=Path, required=True, help="recording of it to judge by")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=TuneConfig.num_steps)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def tune(config: TuneConfig) -> Mapping[str, Figure]:
    """Tune the decoder and compare it with the one before.

    Raises:
        DataError: when the judging recording shares a level with the other.
    """
    data, held_out = Dataset(config.data), Dataset(config.held_out)
    _keep_apart(data, held_out)
    before = TokenizerVAE.load(config.before)
    optim = OptimConfig(
        learning_rate=1e-3, warmup_steps=min(50, config.num_steps // 4), decay_steps=config.num_steps // 2
    )
    stage = TokenizerStageConfig(
        run=config.run,
        data=config.data,
        model=before.config,
        loop=LoopConfig(num_steps=config.num_steps, optim=optim, num_threads=1, preview_every=0),
        initial=config.before,
        tune="decoder",
        split="",
    )
    after = TokenizerVAE.load(tokenizer.main(stage, PROGRESS))
    for name, weights in before.encoder.state_dict().items():
        if not torch.equal(weights, after.encoder.state_dict()[name]):
            raise AssertionError(f"{name} of the encoder changed while only the decoder was tuned")
    untuned, tuned = (episode_psnr_db(one, held_out.episodes) for one in (before, after))
    return {
        "decoder.psnr_db.before": figure_of(estimate(untuned), "dB"),
        "decoder.psnr_db.tuned": figure_of(estimate(tuned), "dB"),
        "decoder.gain_db": figure_of(estimate(tuned - untuned), "dB", anchors={"no_control": 0.0}),
    }


@torch.no_grad()
def episode_psnr_db(model: TokenizerVAE, episodes: Sequence[EpisodeRef]) -> np.ndarray:
    """PSNR in dB of frames encoded and decoded, float64 (n,), one for each episode."""
    scores = []
    for episode in episodes:
        places = np.linspace(0, episode.num_frames - 1, FRAMES_OF_EPISODE).round().astype(int)
        frames = np.ascontiguousarray(np.asarray(episode.frames)[places])
        # frames far apart: each is a clip of its own
        latents, _ = model.encode(to_pixels(torch.from_numpy(frames)[:, None]))
        made, _ = model.decode(latents)
        scores.append(float(psnr_db(to_frames(made)[:, 0].numpy(), frames).mean()))
    return np.array(scores)


def _keep_apart(data: Dataset, held_out: Dataset) -> None:
    seen = {episode.recipe.seed for episode in data.episodes}
    both = sorted(seen & {episode.recipe.seed for episode in held_out.episodes})
    if both:
        raise DataError(
            f"{held_out.path} has levels that {data.path} shows too (world seeds {both[:5]}); "
            "record it with another --first-world-seed"
        )


if __name__ == "__main__":
    main()
