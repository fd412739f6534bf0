"""Whether pictures show what words asked for: ``python -m benchmarks.prompt_hits WORLD --facts FACTS``.

    python -m benchmarks.prompt_hits runs/gamegen_o-tiny/world --facts runs/facts/doom/facts \
        --train runs/gamegen_o-tiny/data/train --json benchmarks/prompt_hits.json

The base draws a clip from each prompt of a set under several seeds; a clip hits when the fact reader finds
all facts that its prompt names. The anchor is the same clips held against the other prompts of their family.
Intervals resample prompts, since the clips of one are not independent. A prompt that names a fact which real
frames cannot judge is left out by name; ``--train`` counts how often training showed a prompt's facts in one
clip, and ``--held-out`` reads real clips of them: a held-out prompt counts as one when training never showed
its facts together and the reader still reads them so.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np

from paracosm.core.config import from_json
from paracosm.core.errors import ConfigError
from paracosm.core.figures import Figure, figure_of, make_report, not_computed, show_report, write_report
from paracosm.core.files import read_json
from paracosm.core.instruct_spec import load_instruct_spec
from paracosm.core.instructions import parse_instruction
from paracosm.core.progress import LineProgress, ProgressMaker, no_progress
from paracosm.core.rng import stream
from paracosm.core.stats import estimate, paired_difference
from paracosm.data.reader import EpisodeRef
from paracosm.evaluate.fact_reader import LEAST_F1, FactJudge, FactReader, Read, load_facts
from paracosm.evaluate.facts import tell_frames

from .fact_reader import episodes_of

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)
PROMPTS = Path(__file__).parent / "prompts"
"""Where the prompt sets lie, NAME-VERSION.json."""
FORMAT_VERSION = 1
"""Raised when a prompt set changes its meaning."""
Family = Literal["character", "environment", "action", "event", "open_domain"]
HELD_OUT = "held_out"
"""Beside the families: prompts of all of them whose facts training never showed together."""
LEAST_REAL = 5
"""Real clips of a held-out prompt's facts that must be there, and read as hits in a share of LEAST_F1: what a
reader never saw together either, it may take for something else."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Words, and the facts that a clip of them shows.

    Attributes:
        family: what it asks about.
        prompt: as it is typed: free words, or fields.
        facts: fact to value; all must be shown.
        held_out: whether training is to have shown these facts apart but never together.
    """

    family: Family
    prompt: str
    facts: Mapping[str, str]
    held_out: bool = False


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """What a file of prompts holds."""

    format_version: int
    """of the file"""
    name: str
    """of the set"""
    version: int
    """raised with every change of a prompt"""
    game: str
    """whose facts they name"""
    about: str
    """which recordings they speak of"""
    prompts: tuple[Prompt, ...]
    """in order"""


@dataclass(frozen=True, kw_only=True)
class Real:
    """What the reader makes of real clips that truly show a prompt's facts.

    Attributes:
        share: read as a hit.
        clips: how many.
    """

    share: float
    clips: int


class DrawsClips(Protocol):
    """Draws a clip from words."""

    def __call__(self, prompt: str, seed: int) -> np.ndarray:
        """Draw the clip of a prompt and a seed: uint8 (t, h, w, 3), t >= 4."""
        ...


class BaseDrawer:
    """The base of a world that follows instructions; the branch is not asked.

    Args:
        folder: of the world.
    """

    def __init__(self, folder: Path) -> None:
        self._spec = load_instruct_spec(folder)
        self.num_frames = self._spec.given_frames + self._spec.new_frames
        module = importlib.import_module("paracosm.play.backends.torch_instruct")
        self._player = module.open_player(folder, self._spec, 1)

    def __call__(self, prompt: str, seed: int) -> np.ndarray:
        """Draw a whole clip, of whose last frame ``World.reset(prompt=...)`` would begin."""
        spec = self._spec
        said = parse_instruction(prompt, spec.prompt_fields, spec.unchanged)
        shape = (self.num_frames, *self._player.latent_shape)
        noise = stream(seed, "prompt").standard_normal(shape, np.float32)
        return self._player.draw_clip(said, noise, spec.play)


def read_prompts(file: Path) -> PromptSet:
    """Read a prompt set.

    Raises:
        DataError: when it is missing or is not JSON.
        ConfigError: when it has another shape, or a family has no prompt.
    """
    found = from_json(PromptSet, read_json(file), file.name)
    if found.format_version != FORMAT_VERSION:
        raise ConfigError(
            f"{file} has format version {found.format_version}, this version reads {FORMAT_VERSION}"
        )
    missing = set(get_args(Family)) - {one.family for one in found.prompts}
    empty = [one.prompt for one in found.prompts if not one.facts]
    if missing or empty:
        raise ConfigError(
            f"{file} has no prompts of {sorted(missing)} and no facts for {empty}; give every family prompts"
        )
    check_apart(found.prompts)
    return found


def check_apart(prompts: Sequence[Prompt]) -> None:
    """Refuse a set in which one text stands twice, since prompts are told apart by it.

    Raises:
        ConfigError: names the text.
    """
    texts = [one.prompt for one in prompts]
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise ConfigError(f"prompts {twice[:3]} stand twice in the set; say each once")


def is_hit(judge: FactJudge, facts: Mapping[str, str], read: Read) -> bool:
    """Whether a clip shows every fact of a prompt."""
    return all(judge.facts[name].is_shown(read[name], value) for name, value in facts.items())


def left_out(prompts: Sequence[Prompt], judge: FactJudge) -> dict[str, str]:
    """Prompts that cannot be judged, with the reason."""
    found = {}
    for one in prompts:
        whys = {f"{name}={value}": judge.why_undefined(name, value) for name, value in one.facts.items()}
        if any(whys.values()):
            found[one.prompt] = "; ".join(f"{fact}: {why}" for fact, why in whys.items() if why)
    return found


def true_clips(
    prompts: Sequence[Prompt], judge: FactJudge, episode: EpisodeRef, num_frames: int
) -> dict[str, np.ndarray]:
    """Which clips of a recording truly show all facts of each prompt.

    Args:
        prompts: to look for; one that names a fact nobody tells of is shown by none.
        judge: says how long a fact must show.
        episode: a recording.
        num_frames: of a clip.

    Returns:
        Prompt to bool (t - num_frames + 1,), one for each frame that begins a clip.
    """
    told, shown = tell_frames(episode), {}
    count = max(0, episode.num_frames - num_frames + 1)
    for one in prompts:
        shown[one.prompt] = np.ones(count, bool)
        for name, value in one.facts.items():
            fact = judge.facts.get(name)
            if fact is None:
                shown[one.prompt][:] = False
                continue
            # an event that an episode never tells of did not happen in it
            values = told.get(name, ("no" if fact.kind == "event" else None,) * episode.num_frames)
            shown[one.prompt] &= fact.shown_in_clips(values, value, num_frames)[:count]
    return shown


def count_together(
    prompts: Sequence[Prompt], judge: FactJudge, episodes: Sequence[EpisodeRef], num_frames: int
) -> dict[str, int]:
    """Count the training clips, one begun at each frame, that show all facts of each prompt."""
    counts = dict.fromkeys((one.prompt for one in prompts), 0)
    for episode in episodes:
        for prompt, shown in true_clips(prompts, judge, episode, num_frames).items():
            counts[prompt] += int(shown.sum())
    return counts


def measure(
    prompts: Sequence[Prompt],
    draw: DrawsClips,
    judge: FactJudge,
    *,
    num_seeds: int,
    seen: Mapping[str, int] | None = None,
    real: Mapping[str, Real] | None = None,
    seed: int = 0,
    progress: ProgressMaker = no_progress,
) -> dict[str, Figure]:
    """Draw every prompt that can be judged, and count.

    Args:
        prompts: the set.
        draw: makes a clip from words.
        judge: the fact reader.
        num_seeds: clips of each prompt.
        seen: training clips that show a prompt's facts together; None where it is not known.
        real: what real clips of each prompt's facts read as; None where none were read.
        seed: of the bootstraps.
        progress: makes the progress line.

    Returns:
        prompts.hits.FAMILY, prompts.shuffled.FAMILY and prompts.gain.FAMILY for each family, for "all",
        and for "held_out", whose prompts count nowhere else; the gain is paired over prompts.
    """
    out = left_out(prompts, judge)
    judged = [one for one in prompts if one.prompt not in out]
    line = progress("draw prompts", len(judged) * num_seeds, "clip")
    reads: list[list[Read]] = []
    for number, one in enumerate(judged):
        reads.append([judge.read(draw(one.prompt, index)) for index in range(num_seeds)])
        line.update((number + 1) * num_seeds)
    line.close()
    own = [
        float(np.mean([is_hit(judge, one.facts, r) for r in rs]))
        for one, rs in zip(judged, reads, strict=True)
    ]
    mixed = [_shuffled(one, rs, judged, judge) for one, rs in zip(judged, reads, strict=True)]
    figures: dict[str, Figure] = {}
    for group in (*get_args(Family), "all", HELD_OUT):
        whys = {one.prompt: _why_not(one, group, out, seen, real) for one in prompts if _is_of(one, group)}
        chosen = [number for number, one in enumerate(judged) if whys.get(one.prompt) == ""]
        why = f"none of its {len(whys)} prompts can be judged, e.g. {next(iter(whys.values()), '')}"
        true = [real[judged[i].prompt].share for i in chosen if real and judged[i].prompt in real]
        beside = {"true_game": float(np.mean(true))} if true else {}
        figures |= _figures(group, [own[i] for i in chosen], [mixed[i] for i in chosen], beside, why, seed)
    return figures


def _is_of(one: Prompt, group: str) -> bool:
    return one.held_out if group == HELD_OUT else group in ("all", one.family) and not one.held_out


def _why_not(
    one: Prompt,
    group: str,
    out: Mapping[str, str],
    seen: Mapping[str, int] | None,
    real: Mapping[str, Real] | None,
) -> str:
    """Say why a prompt of a group is not counted in it, or "" where it is."""
    if one.prompt in out or group != HELD_OUT:
        return out.get(one.prompt, "")
    if seen is None or real is None:
        return "pass --train and --held-out: what training showed, and what real clips read as, is not known"
    if seen[one.prompt]:
        return f'training shows the facts of "{one.prompt}" together in {seen[one.prompt]} clips'
    found = real.get(one.prompt, Real(share=0.0, clips=0))
    if found.clips < LEAST_REAL or found.share < LEAST_F1:
        return (
            f'of "{one.prompt}" {found.clips} real clips were found and {found.share:.2f} of them read so; '
            f"{LEAST_REAL} and {LEAST_F1:g} are needed"
        )
    return ""


def _shuffled(one: Prompt, reads: Sequence[Read], judged: Sequence[Prompt], judge: FactJudge) -> float | None:
    """Share of a prompt's clips that hit other prompts of its family; None when it has no other."""
    others = [
        two
        for two in judged
        if two.family == one.family and two.facts != one.facts and (one.held_out or not two.held_out)
    ]
    hits = [is_hit(judge, two.facts, read) for two in others for read in reads]
    return float(np.mean(hits)) if hits else None


def _figures(
    group: str,
    own: Sequence[float],
    mixed: Sequence[float | None],
    beside: Mapping[str, float],
    why: str,
    seed: int,
) -> dict[str, Figure]:
    """The three figures of a group; a prompt that no other can be held against counts where all are so."""
    names = [f"prompts.{part}.{group}" for part in ("hits", "shuffled", "gain")]
    if not own:
        return {name: not_computed("undefined", why, "share") for name in names}
    pairs = [(a, b) for a, b in zip(own, mixed, strict=True) if b is not None]
    if not pairs:
        alone = not_computed("undefined", "no other prompt of the family can be judged", "share")
        hits = figure_of(estimate(own, seed), "share", anchors=beside)
        return {names[0]: hits, names[1]: alone, names[2]: alone}
    first, second = (np.array(column) for column in zip(*pairs, strict=True))
    chance = estimate(second, seed)
    return {
        names[0]: figure_of(estimate(first, seed), "share", anchors={"shuffled": chance.mean, **beside}),
        names[1]: figure_of(chance, "share", higher_is_better=None),
        names[2]: figure_of(paired_difference(first, second, seed), "share"),
    }


def verdicts(figures: Mapping[str, Figure]) -> list[str]:
    """Say of each group whether prompts beat shuffled prompts with separated intervals."""
    lines = []
    for group in (*get_args(Family), "all", HELD_OUT):
        hits, mixed = figures[f"prompts.hits.{group}"], figures[f"prompts.shuffled.{group}"]
        if hits.ci95 is None or mixed.ci95 is None:
            lines.append(f"{group}: not computed: {hits.reason or mixed.reason}")
            continue
        apart = hits.ci95[0] > mixed.ci95[1]
        lines.append(
            f"{group}: hits {hits.value:.3f} [{hits.ci95[0]:.3f}, {hits.ci95[1]:.3f}], shuffled "
            f"{mixed.value:.3f} [{mixed.ci95[0]:.3f}, {mixed.ci95[1]:.3f}], {hits.n} prompts: intervals are "
            f"{'separated' if apart else 'NOT separated: this shows nothing'}"
        )
    return lines


def read_real(
    prompts: Sequence[Prompt], judge: FactJudge, episodes: Sequence[EpisodeRef], num_frames: int
) -> dict[str, Real]:
    """Read real held-out clips of each prompt's facts: what a perfect base reaches.

    Of each prompt one clip an episode, drawn among those that show its facts.
    """
    hits: dict[str, list[bool]] = {}
    for episode in episodes:
        shown = true_clips(prompts, judge, episode, num_frames)
        for one in prompts:
            places = np.flatnonzero(shown[one.prompt])
            if len(places):
                first = int(stream(0, "real clip", episode.name, one.prompt).choice(places))
                read = judge.read(episode.read_frames(first, first + num_frames))
                hits.setdefault(one.prompt, []).append(is_hit(judge, one.facts, read))
    return {prompt: Real(share=float(np.mean(found)), clips=len(found)) for prompt, found in hits.items()}


def score_figures(prompts: Sequence[Prompt], judge: FactReader) -> dict[str, Figure]:
    """How well the reader reads each value that the prompts name; n is held-out frames that show it."""
    figures = {}
    for name, value in sorted({pair for one in prompts for pair in one.facts.items()}):
        score, key = judge.scores.get(name, {}).get(value), f"facts.f1.{name}={value}"
        if score is None or score.f1 is None:
            figures[key] = not_computed("undefined", judge.why_undefined(name, value), "share")
        else:
            figures[key] = Figure(value=score.f1, unit="share", n=score.seen)
    return figures


def tell(
    prompts: Sequence[Prompt],
    judge: FactJudge,
    figures: Mapping[str, Figure],
    seen: Mapping[str, int] | None,
    real: Mapping[str, Real] | None,
) -> list[str]:
    """Say what the figures show, and which prompts do not count and why."""
    out = left_out(prompts, judge)
    return [
        *verdicts(figures),
        *(f'left out: "{prompt}": {why}' for prompt, why in out.items()),
        *(
            f"not counted as held out: {why}"
            for one in prompts
            if one.held_out and one.prompt not in out and (why := _why_not(one, HELD_OUT, out, seen, real))
        ),
    ]


def main() -> None:
    """Draw, judge and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("world", type=Path, help="folder of the world")
    parser.add_argument("--facts", type=Path, required=True, help="folder of the fact reader")
    parser.add_argument("--prompts", type=Path, default=PROMPTS / "doom-1.json")
    parser.add_argument(
        "--train", type=Path, nargs="*", default=[], help="recordings that the base was trained on"
    )
    parser.add_argument(
        "--held-out", type=Path, nargs="*", default=[], help="recordings whose real clips are read beside"
    )
    parser.add_argument("--seeds", type=int, default=8, help="clips of each prompt")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found, judge, draw = read_prompts(given.prompts), load_facts(given.facts), BaseDrawer(given.world)
    prompts, seen, real = found.prompts, None, None
    if given.train:
        seen = count_together(prompts, judge, episodes_of(given.train), draw.num_frames)
    if given.held_out:
        real = read_real(prompts, judge, episodes_of(given.held_out), draw.num_frames)
    figures = measure(prompts, draw, judge, num_seeds=given.seeds, seen=seen, real=real, progress=PROGRESS)
    figures |= score_figures(prompts, judge)
    report = make_report("python -m benchmarks.prompt_hits " + " ".join(sys.argv[1:]), figures, seeds=(0,))
    lines = [f"prompt set {found.name} {found.version}, {given.seeds} seeds"]
    lines += tell(prompts, judge, figures, seen, real)
    print(show_report(report), *lines, sep="\n")
    if given.json:
        write_report(report, given.json)
        text = "\n".join(f"- {line}" for line in lines)
        given.json.with_suffix(".md").write_text(f"`{report.command}`\n\n{text}\n")


if __name__ == "__main__":
    main()
