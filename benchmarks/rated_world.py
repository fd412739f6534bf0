"""What a classifier learnt from ratings buys: ``python -m benchmarks.rated_world --data D --held-out H``.

    python -m benchmarks.rated_world --data runs/coinrun/data/train --held-out runs/coinrun/data/fresh \
        --finished runs/coinrun-latent --out runs/rated --json benchmarks/rated_world.json

Genie's recipe in miniature: of a folder of videos, most of them no plain play (``rated_footage``), some clips
are rated, the curator's classifier learns from the ratings and judges the rest, and two dynamics are trained
for the same steps, on all of the footage and on what the classifier keeps. Tokenizer and latent actions are
those of a finished run, so that losses compare. The rater is a program: it knows how each video was made,
keeps play, and errs now and then. Figures: what of the footage is kept and right, and what the two dynamics
make of held-out levels.

Source: Genie 2402.15391, section 3.1 and appendix B.1: 10 thousand ratings, 55 million clips of which 6.8
million were kept, FVD 61.4 to 54.8 with 580 million parameters.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from paracosm.core.figures import Figure, make_report, show_report, write_report
from paracosm.core.progress import LineProgress
from paracosm.core.rng import stream
from paracosm.core.stats import bootstrap_ci95
from paracosm.curate.export import ExportConfig, export_selection
from paracosm.curate.pipeline import run
from paracosm.curate.ratings import add_taste, learn_taste, read_ratings
from paracosm.curate.review import ReviewDesk
from paracosm.curate.scores import Scores, read_scores
from paracosm.curate.select import SelectConfig, select
from paracosm.curate.stages import CurateConfig
from paracosm.data.reader import Dataset
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.latent_actions import LatentActions
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.recipes import genie
from paracosm.recipes.genie_street import on_recordings
from paracosm.train.stages import encode_codes, maskgit
from paracosm.train.stages.maskgit import FinishedActions

from .genie_claims import resized, shorten_stage
from .genie_measures import HORIZON, HeldOut, Networks, delta_scores, draw_held_out, held_out_loss
from .rated_footage import write_footage

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)
WHERE = "taste > 0.5"
SETS: Mapping[str, str] = {"everything": "", "kept": WHERE}
"""Selections that a dynamics is trained on, with their conditions."""


def main() -> None:
    """Make footage, rate, train and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="recordings that footage is made of")
    parser.add_argument("--held-out", type=Path, required=True, help="recordings to judge by")
    parser.add_argument("--finished", type=Path, required=True, help="run of genie.small on the same game")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--videos", type=int, default=150)
    parser.add_argument("--ratings", type=int, default=80)
    parser.add_argument("--mistakes", type=float, default=0.05, help="share of ratings that are wrong")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--width", default="96", help="of the dynamics; empty takes the recipe's")
    parser.add_argument("--clips", type=int, default=64, help="held-out clips")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    made = write_footage(given.data, given.out / "videos", given.videos)
    curated = given.out / "curated"
    run(CurateConfig(folder=given.out / "videos", out=curated, workers=1), progress=PROGRESS)
    scores = read_scores(curated)
    rate(scores, made, given.ratings, given.mistakes)
    figures = footage_figures(scores, made)
    held_out = draw_held_out(given.held_out, given.clips)
    told = {}
    for name, where in SETS.items():
        data = export(curated, name, where, Dataset(given.data))
        networks = train(data, given.finished, given.out / f"dynamics_{name}", given.steps, given.width)
        scored, _ = delta_scores(networks, held_out, genie.RECIPES["small"](given.out).sampler)
        told[name] = scored
        figures |= world_figures(name, networks, held_out, scored)
    figures["rated.gain_db"] = _mean(told["kept"] - told["everything"], "dB")
    words = f"--videos {given.videos} --ratings {given.ratings} --mistakes {given.mistakes:g}"
    words += f" --steps {given.steps} --width {given.width}"
    report = make_report(f"python -m benchmarks.rated_world {words}", figures, seeds=(0,))
    print(show_report(report))
    if given.json:
        write_report(report, given.json)


def rate(scores: Scores, made: Mapping[str, str], count: int, mistakes: float) -> None:
    """Rate clips in the order in which the page shows them, until so many are rated."""
    desk, generator = ReviewDesk(scores, seed=0), stream(0, "mistakes")
    wrong = generator.random(count) < mistakes
    for index in range(count):
        shown = desk.next_clip()
        if shown["clip"] is None or shown["rated"] >= count:
            return
        desk.rate({"clip": shown["clip"], "keep": _is_play(shown["clip"], made) != bool(wrong[index])})


def footage_figures(scores: Scores, made: Mapping[str, str]) -> dict[str, Figure]:
    """What the footage is, and what the classifier makes of clips that nobody rated."""
    table = add_taste(scores)
    rows = table.to_pylist()
    taste = learn_taste(scores.clips.to_pylist(), read_ratings(scores.config.out))
    if taste is None:
        raise ValueError("too few ratings of either kind; rate more")
    seconds = np.array([row["seconds"] for row in rows])
    play = np.array([_is_play(row["clip"], made) for row in rows])
    kept = np.array([row["taste"] > 0.5 for row in rows])
    unrated = np.array([row["rated_keep"] is None for row in rows])
    right = (kept == play)[unrated].astype(float)
    return {
        "rated.footage_s": Figure(value=float(seconds.sum()), unit="s", n=len(rows)),
        "rated.kept_share": Figure(
            value=float(seconds[kept].sum() / seconds.sum()), unit="share", n=len(rows)
        ),
        "rated.play_share.everything": _share(play, seconds),
        "rated.play_share.kept": _share(play[kept], seconds[kept]),
        "rated.play_found": _share(kept[play], seconds[play]),
        "rated.right_on_unrated": _mean(right, "share"),
        "rated.right_on_ratings_left_out": Figure(
            value=taste.accuracy,
            unit="share",
            n=taste.num_ratings,
            anchors={"always_the_same": taste.baseline},
        ),
    }


def export(curated: Path, name: str, where: str, like: Dataset) -> Path:
    """Select by a condition and write a recording of the size and rate of another."""
    select(SelectConfig(out=curated, where=where, name=name))
    to = curated.parent / "data" / name
    info = like.info
    export_selection(
        ExportConfig(out=curated, selection=name, to=to, height=info.height, width=info.width, fps=info.fps),
        PROGRESS,
    )
    return to


def train(data: Path, finished: Path, out: Path, steps: int, width: str) -> Networks:
    """Train a dynamics on a recording under the tokenizer and the latent actions of a finished run."""
    tokenizer, actions = finished / "tokenizer" / "tokenizer", finished / "latent_actions" / "latent_actions"
    recipe = on_recordings(genie.RECIPES["small"](out), data)
    stage = replace(recipe.dynamics, run=out, tokenizer=tokenizer, actions=FinishedActions(model=actions))
    stage = shorten_stage(resized(stage, width) if width else stage, steps)
    encode_codes.main(encode_codes.EncodeCodesConfig(data=data, tokenizer=tokenizer), PROGRESS)
    return Networks(
        tokenizer=TokenizerVQ.load(tokenizer),
        dynamics=MaskGITDynamics.load(maskgit.main(stage, PROGRESS)),
        actions=LatentActions.load(actions),
    )


def world_figures(name: str, networks: Networks, held_out: HeldOut, scored: np.ndarray) -> dict[str, Figure]:
    """PSNR after some steps under the actions found, and the loss of masked codes."""
    return {
        f"rated.psnr_db@{HORIZON}.{name}": _mean(scored, "dB"),
        f"rated.loss_nats.{name}": Figure(
            value=held_out_loss(networks, held_out),
            unit="nats",
            n=len(held_out.pixels),
            higher_is_better=False,
        ),
    }


def _is_play(clip: str, made: Mapping[str, str]) -> bool:
    return made[clip.split("#")[0]] == "play"


def _share(chosen: np.ndarray, seconds: np.ndarray) -> Figure:
    return Figure(value=float((chosen * seconds).sum() / seconds.sum()), unit="share", n=len(seconds))


def _mean(values: np.ndarray, unit: str) -> Figure:
    return Figure(value=float(values.mean()), unit=unit, n=len(values), ci95=bootstrap_ci95(values))


if __name__ == "__main__":
    main()
