"""What the learnt actions of a run mean: ``python -m benchmarks.genie_meaning RUN --held-out H --json F``.

RUN is a run folder of genie (or the world in it). H is a recording of levels that training never showed;
where there is none, CoinRun's held-out levels are recorded there. Purity is counted over the steps whose keys
had a visible effect, keys that would have shown the same being one (``genie_effects``), and is held against
what a supervised inverse-dynamics model reads from the same steps; that reader also sees the frame after, so
the bar is rather too high than too low. ``--map FILE`` draws which action goes with which effect, with their
entropies. What is not trained yet is reported as not computed.
"""

from __future__ import annotations

import argparse
import functools
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from paracosm.collect.record import record
from paracosm.core.errors import DataError
from paracosm.core.figures import Figure, figure_of, make_report, not_computed, show_report, write_report
from paracosm.core.progress import LineProgress
from paracosm.core.stats import estimate
from paracosm.data.format import DATASET_FILE
from paracosm.data.reader import Dataset
from paracosm.evaluate.case_set import SETS
from paracosm.evaluate.control import HELD
from paracosm.evaluate.latent_meaning import Meaning, compare_purity, count_pairs, measure_meaning
from paracosm.evaluate.targets import LEARNT_ACTIONS
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.inverse_dynamics import FRAMES_AFTER, FRAMES_BEFORE, InverseDynamics
from paracosm.models.latent_actions import LatentActions
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.recipes import coinrun, genie
from paracosm.train.stages.maskgit import infer_actions
from paracosm.worlds import make_policy, open_world

from .genie_effects import NOT_ASKED, KeyEffects, label_effects, name_keys
from .genie_map import draw_map
from .genie_measures import HORIZON, Networks, action_margins, delta_scores, draw_held_out

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)
SAMPLER = genie.small(Path()).sampler
"""Of the dreams, as the recipe's worlds are played."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Steps of some episodes as everybody saw them.

    Attributes:
        episode: int (n,), which one.
        action: int (n,), learnt action.
        read: int (n,), set of keys that the supervised reader read.
        effect: int (n,), fewest keys that show the same; 0 where nothing visible came of them.
        exact: int (n,), fewest keys that show the same bytes.
    """

    episode: np.ndarray
    action: np.ndarray
    read: np.ndarray
    effect: np.ndarray
    exact: np.ndarray


def main() -> None:
    """Measure and write."""
    given = _arguments()
    run = find_run(given.run)
    dataset = open_held_out(given.held_out, given.episodes, given.steps, given.first_level)
    reader = InverseDynamics.load(given.reader)
    effects = label_effects(dataset, given.episodes, given.steps, open_world, PROGRESS)
    networks = load_networks(run)
    steps = gather(networks, reader, dataset, effects)
    figures, meaning, names = purity_figures(steps, dataset, networks.actions.config.num_actions)
    figures |= dream_figures(networks, given.held_out, given.clips)
    report = make_report(f"python -m benchmarks.genie_meaning {given.run}", figures, seeds=(0,))
    print(show_report(report))
    for target in LEARNT_ACTIONS:
        if target.figure in figures:
            print(f"{target}: {'met' if target.meets(figures) else 'missed'}")
    if given.map:
        Image.fromarray(draw_map(meaning, names)).save(given.map)
    if given.json:
        write_report(report, given.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--held-out", type=Path, required=True, help="recorded here when nothing is there")
    parser.add_argument("--episodes", type=int, default=30, help="of the recording, from the first on")
    parser.add_argument("--steps", type=int, default=120, help="of each episode, from its start on")
    parser.add_argument(
        "--first-level",
        type=int,
        help="levels are recorded from this seed on; without it the recipe's held-out ones",
    )
    parser.add_argument("--clips", type=int, default=64, help="held-out clips that dreams are measured on")
    parser.add_argument("--reader", type=Path, default=SETS / "coinrun-1" / "reader", help="supervised model")
    parser.add_argument("--map", type=Path, help="picture of actions and effects")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def find_run(folder: Path) -> Path:
    """The run folder, given it or the world in it.

    Raises:
        DataError: when there is no latent action model: a world's folder alone has only its codebook.
    """
    for run in (folder, folder.parent):
        if actions_folder(run) is not None:
            return run
    raise DataError(
        f"{folder} has no trained latent action model, and a world alone keeps only its codebook; "
        "give the run folder that holds latent_actions/latent_actions"
    )


def actions_folder(run: Path) -> Path | None:
    """Where the latent action model of a run lies: of a stage of its own, or beside the dynamics."""
    folders = (run / "latent_actions" / "latent_actions", run / "dynamics" / "latent_actions")
    return next((folder for folder in folders if (folder / "config.json").exists()), None)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Networks of a run; the dynamics is the last to be trained."""

    tokenizer: TokenizerVQ
    actions: LatentActions
    dynamics: MaskGITDynamics | None


def load_networks(run: Path) -> Trained:
    """Load what is trained."""
    actions, dynamics = actions_folder(run), run / "dynamics" / "dynamics"
    assert actions is not None, run
    return Trained(
        tokenizer=TokenizerVQ.load(run / "tokenizer" / "tokenizer"),
        actions=LatentActions.load(actions),
        dynamics=MaskGITDynamics.load(dynamics) if (dynamics / "config.json").exists() else None,
    )


def open_held_out(folder: Path, episodes: int, steps: int, first_level: int | None = None) -> Dataset:
    """Open the recording, made first where there is none: CoinRun's explorer on held-out levels.

    Other levels than the recipe's held-out ones (``first_level``) are for figures of a model whose design was
    chosen by looking at those.

    Raises:
        DataError: when it has an episode to train on.
    """
    if not (folder / DATASET_FILE).exists():
        # The last steps of an episode have no reading.
        longest = steps + FRAMES_AFTER
        config = coinrun.recordings(folder)["held_out"]
        config = replace(config, out=folder, num_episodes=episodes, max_steps=longest, workers=1)
        if first_level is not None:
            config = replace(config, first_world_seed=first_level, seed=first_level)
        record(config, open_world, make_policy, world_config=coinrun.game(), progress=PROGRESS)
    dataset = Dataset(folder)
    if dataset.select("train"):
        raise DataError(f"{folder} holds episodes of split train; record with --split held_out")
    return dataset


def gather(networks: Trained, reader: InverseDynamics, dataset: Dataset, effects: list[KeyEffects]) -> Steps:
    """Put together what was found of every step that the game was asked about and the reader can read.

    Raises:
        DataError: when the reader reads other keys.
    """
    if reader.config.keys != dataset.info.controls.keys:
        raise DataError(
            f"the reader reads {list(reader.config.keys)}, {dataset.path} was played with "
            f"{list(dataset.info.controls.keys)}; pass the reader of this game"
        )
    columns: list[list[np.ndarray]] = [[] for _ in range(5)]
    bits = 1 << np.arange(len(reader.config.keys))
    for i, effect in enumerate(effects):
        episode = dataset.episodes[i]
        rows = np.arange(FRAMES_BEFORE, len(effect.held) + 1 - FRAMES_AFTER)
        rows = rows[effect.effect[rows] != NOT_ASKED]
        if not len(rows):
            continue
        action = infer_actions(networks.actions, episode, networks.tokenizer)[rows]
        read = (reader.read(np.asarray(episode.frames)).keys[rows - FRAMES_BEFORE] >= HELD) @ bits
        found = (np.full(len(rows), i), action, read, effect.effect[rows], effect.exact[rows])
        for column, part in zip(columns, found, strict=True):
            column.append(part)
    if not columns[0]:
        raise DataError(f"no step of {dataset.path} can be judged; record longer episodes")
    names = ("episode", "action", "read", "effect", "exact")
    return Steps(**{name: np.concatenate(column) for name, column in zip(names, columns, strict=True)})


def purity_figures(
    steps: Steps, dataset: Dataset, num_actions: int
) -> tuple[dict[str, Figure], Meaning, list[str]]:
    """Figures of purity and entropy, what they were read off, and names of the effects."""
    space = dataset.info.controls
    visible = steps.effect > 0
    if not visible.any():
        raise DataError(f"no key had a visible effect in {dataset.path}; record with a player who moves")
    sets, classes = np.unique(steps.effect[visible], return_inverse=True)
    meaning = measure_meaning(steps.action[visible], classes, num_actions)
    names = [name_keys(int(one), space) for one in sets]
    figures = _compared(steps, visible, steps.effect, num_actions, space.keys, "")
    figures |= _compared(steps, steps.exact > 0, steps.exact, num_actions, space.keys, "_any_change")
    count = int(visible.sum())
    figures["learnt_actions.visible_share"] = Figure(
        value=float(visible.mean()), unit="share", n=len(visible), higher_is_better=None
    )
    figures["learnt_actions.information_bits"] = Figure(
        value=meaning.information_bits, unit="bits", n=count, anchors={"true_game": meaning.control_bits}
    )
    for i, name in enumerate(names):
        figures[f"learnt_actions.entropy_bits.actions_of.{name}"] = _bits(
            meaning.action_bits_of_controls[i], int(meaning.counts[:, i].sum()), name
        )
    for action in range(num_actions):
        total = int(meaning.counts[action].sum())
        shown = f"action {action + 1}"
        figures[f"learnt_actions.entropy_bits.effects_of.action_{action + 1}"] = _bits(
            meaning.control_bits_of_actions[action], total, shown
        )
        for i, name in enumerate(names if total else []):
            figures[f"learnt_actions.share.action_{action + 1}.{name}"] = Figure(
                value=float(meaning.shares[action, i]), unit="share", n=total, higher_is_better=None
            )
    return figures, meaning, names


def _compared(
    steps: Steps,
    chosen: np.ndarray,
    effect: np.ndarray,
    num_actions: int,
    keys: tuple[str, ...],
    suffix: str,
) -> dict[str, Figure]:
    """Purity of the chosen steps beside the reader's, resampled by episode."""
    classes = np.unique(effect[chosen], return_inverse=True)[1]
    num_classes = int(classes.max()) + 1
    episodes = np.unique(steps.episode[chosen])
    pairs = {}
    for name, codes, size in (
        ("actions", steps.action, num_actions),
        ("reader", steps.read, 2 ** len(keys)),
    ):
        parts = [steps.episode[chosen] == one for one in episodes]
        pairs[name] = np.stack(
            [count_pairs(codes[chosen][part], classes[part], size, num_classes) for part in parts]
        )
    found = compare_purity(pairs["actions"], pairs["reader"])
    count = int(chosen.sum())
    commonest = float(np.bincount(classes).max() / count)
    blind = {"no_control": commonest}
    return {
        f"learnt_actions.purity{suffix}": Figure(
            value=found.purity, unit="share", n=count, ci95=found.purity_ci95, anchors=blind
        ),
        f"learnt_actions.reader_purity{suffix}": Figure(
            value=found.ceiling, unit="share", n=count, ci95=found.ceiling_ci95, anchors=blind
        ),
        f"learnt_actions.purity_share_of_reader{suffix}": Figure(
            value=found.share,
            unit="share",
            n=count,
            ci95=found.share_ci95,
            anchors={"no_control": commonest / found.ceiling},
        ),
    }


def _bits(value: float, count: int, name: str) -> Figure:
    if not count:
        return not_computed("undefined", f"{name} occurs in no step with a visible effect", "bits")
    return Figure(value=float(value), unit="bits", n=count, higher_is_better=False)


def dream_figures(trained: Trained, held_out: Path, clips: int) -> dict[str, Figure]:
    """Delta_t PSNR and action margins of the dynamics, or why there are none."""
    names = [f"learnt_actions.delta_psnr_db@{HORIZON}", f"learnt_actions.psnr_db@{HORIZON}"]
    for step in (1, HORIZON):
        names += [f"learnt_actions.action_margin@{step}", f"learnt_actions.action_margin_share@{step}"]
    if trained.dynamics is None:
        reason = "the dynamics is not trained yet; run the recipe to its end"
        return {name: not_computed("skipped", reason) for name in names}
    networks = Networks(tokenizer=trained.tokenizer, dynamics=trained.dynamics, actions=trained.actions)
    drawn = draw_held_out(held_out, clips)
    told, blind = delta_scores(networks, drawn, SAMPLER)
    figures = {
        names[0]: figure_of(estimate(told - blind), "dB", anchors={"no_control": 0.0}),
        names[1]: figure_of(estimate(told), "dB", anchors={"shuffled": float(blind.mean())}),
    }
    for step, margins in action_margins(networks, drawn, SAMPLER).items():
        anchors = {"no_control": 0.0}
        figures[f"learnt_actions.action_margin@{step}"] = figure_of(
            estimate(margins), "grey levels^2", anchors=anchors
        )
        figures[f"learnt_actions.action_margin_share@{step}"] = figure_of(
            estimate(margins > 0), "share", anchors=anchors
        )
    return figures


if __name__ == "__main__":
    main()
