"""How often a world obeys: ``python -m benchmarks.instruct_success WORLD --facts FACTS --out OUT``.

    python -m benchmarks.instruct_success runs/gamegen_o-tiny/world --facts runs/facts/doom/facts \
        --world "no instruction captions=runs/no_ins/world" --world "joined=runs/joined/world@joined" \
        --out runs/instruct_success --json benchmarks/instruct_success.json

SR-C and SR-E of one clip a case, ``--cases`` cases each, from held-out starts; the same cases with the branch
left out, and of further worlds for the ablations. NAME=FOLDER@joined says the fields of an instruction as
one free text, for a world that was trained so. Without ``--held-out`` and ``--reader`` the case set of the
game is taken. What a world has played stays in OUT and is not played again.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from paracosm.core.controls import IDLE, Control, ControlSpace
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.figures import Figure, figure_of, make_report, not_computed, write_report
from paracosm.core.files import whole_file
from paracosm.core.instruct_spec import InstructWorldSpec, load_instruct_spec
from paracosm.core.progress import LineProgress, ProgressMaker, no_progress
from paracosm.core.stats import estimate
from paracosm.data.reader import EpisodeRef
from paracosm.evaluate.case_set import find_case_set
from paracosm.evaluate.fact_reader import load_facts
from paracosm.evaluate.instruct_cases import (
    InstructCase,
    Judges,
    RealControls,
    Shown,
    control_cases,
    event_cases,
    read_real_controls,
)
from paracosm.evaluate.rollouts import Rollout, Subject, play_all
from paracosm.evaluate.setup_world import folder_hash, json_hash
from paracosm.evaluate.success_rate import RATE_NAMES, Obeyed, Rate, margin, success_rates
from paracosm.models.inverse_dynamics import InverseDynamics
from paracosm.play.instruct_world import InstructEngineConfig, InstructWorld

from .fact_reader import held_out_episodes

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)
FULL, OFF = "full", "branch off"
"""Rows that are always there: the world as it is, and its base alone on the same cases."""
LEAST_CASES = 300
"""Cases of a rate from which a figure may be told."""
REAL_CLIPS = 64
"""Real clips, at least, on which the reader of controls is tried before it judges."""
LEAST_GAIN = 0.3
"""Paired gain of the full row over the base alone that the project asks for."""

Row = dict[str, Figure]


@dataclass(frozen=True, kw_only=True)
class Player:
    """A world and how it is told.

    Attributes:
        name: of its row.
        folder: of the world.
        branch: off leaves the branch out.
        form: whether the fields of an instruction are said apart, or joined as one free text.
    """

    name: str
    folder: Path
    branch: Literal["on", "off"] = "on"
    form: Literal["fields", "joined"] = "fields"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What every row is judged by.

    Attributes:
        cases: of both rates.
        judges: the two readers.
        real: what the reader of controls makes of real frames.
        left_out: kinds that are not judged, with the reason.
    """

    cases: Sequence[InstructCase]
    judges: Judges
    real: RealControls
    left_out: Mapping[str, str]


def set_up(
    episodes: Sequence[EpisodeRef], judges: Judges, count: int, new_frames: int, seed: int = 0
) -> Setup:
    """Choose the cases and learn what can be judged.

    Raises:
        ConfigError: when a clip is too short to be read.
        DataError: when no episode is long enough.
    """
    if new_frames < 3:
        raise ConfigError(f"clips of {new_frames} new frames cannot be read; 3 or more are needed")
    real = read_real_controls(episodes, judges, new_frames, max(count, REAL_CLIPS), seed)
    events, left_out = event_cases(episodes, judges.facts, count, new_frames, seed)
    cases = [*control_cases(episodes, real.kinds, count, new_frames, seed), *events]
    return Setup(cases=cases, judges=judges, real=real, left_out={**real.left_out, **left_out})


def told_to(player: Player, rollout: Rollout) -> Rollout:
    """Tell a case to a world in the way that it takes; what it does not offer is left untold.

    A world of words alone is given no keys and no fields, and a world that was trained without decomposition
    no fields: they read the same words as one free text.
    """
    spec = load_instruct_spec(player.folder)
    joined = player.form == "joined" or spec.parts.branch is None
    if not joined:
        return rollout
    return replace(
        rollout,
        controls=tuple(_offered(control, spec.controls) for control in rollout.controls),
        start_controls=tuple(_offered(control, spec.controls) for control in rollout.start_controls),
    )


def _offered(control: Control, space: ControlSpace) -> Control:
    text = ". ".join(control.text.values()) if isinstance(control.text, Mapping) else control.text
    if not space.keys and not max(space.look_limit):
        return replace(IDLE, text=text)
    return replace(control, text=text)


def open_player(name: str, config: Any = None) -> InstructWorld:
    """Open a world's folder; importable, since each process opens its own."""
    return InstructWorld(Path(name), InstructEngineConfig(**(config or {})))


def play_cases(
    player: Player,
    cases: Sequence[InstructCase],
    out: Path,
    workers: int,
    progress: ProgressMaker = no_progress,
) -> np.ndarray:
    """Play every case, or take what was played before: uint8 (cases, new frames, h, w, 3)."""
    key = json_hash(
        {
            "world": folder_hash(player.folder),
            "branch": player.branch,
            "form": player.form,
            "cases": [case.name for case in cases],
        }
    )
    file = out / f"{player.name.replace(' ', '_')}-{key}.npy"
    if not file.exists():
        config = {"branch": player.branch, "num_threads": 1}
        subject = Subject(name=str(player.folder), opener=open_player, config=config)
        rollouts = [told_to(player, case.rollout) for case in cases]
        played = np.stack(play_all(subject, rollouts, workers, progress, f"play {player.name}"))
        out.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as partial, partial.open("wb") as handle:
            np.save(handle, played)
    return np.load(file)


def measure_rows(setup: Setup, played: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, Row]:
    """Figures of every row, from the clips that its world made of the cases.

    Args:
        setup: cases and judges.
        played: row to uint8 (cases, new frames, h, w, 3); the first row is the full world.
        seed: of the bootstraps.

    Returns:
        Rates at clip and frame level, overall and by telling, beside them "shuffled" (the same clips held
        against what other cases asked) and "true_game" (real frames); in rows after the first the paired
        gain of the first over them.
    """
    judges, cases = setup.judges, setup.cases
    real = [
        judges.judge(case.ask, judges.look(case.rollout.start, case.real))
        for case in cases
        if case.real is not None
    ]
    rows: dict[str, Row] = {}
    first: list[Obeyed] = []
    for name, clips in played.items():
        pairs = zip(cases, clips, strict=True)
        shown = [judges.look(case.rollout.start, clip) for case, clip in pairs]
        obeyed = [judges.judge(case.ask, one) for case, one in zip(cases, shown, strict=True)]
        first = first or obeyed
        anchors = _anchors(setup, shown, real)
        row = success_rates(obeyed, seed)
        row = {key: _beside(setup, key, one, anchors) for key, one in row.items()}
        for telling in ("text", "keys"):
            chosen = [one for one, case in zip(obeyed, cases, strict=True) if case.telling == telling]
            row |= {
                f"{name}.clip.{telling}": _clip_rate(chosen, rate, seed) for rate, name in RATE_NAMES.items()
            }
        if rows:
            row |= margin(first, obeyed, seed)
        rows[name] = row | _by_kind(cases, obeyed, seed)
    return rows


def _anchors(
    setup: Setup, shown: Sequence[Shown], real: Sequence[Obeyed]
) -> dict[str, dict[str, float | None]]:
    """Shuffled and true_game of each rate, at both levels."""
    judges, found = setup.judges, {}
    for rate, name in RATE_NAMES.items():
        pairs = [(case, one) for case, one in zip(setup.cases, shown, strict=True) if case.ask.rate == rate]
        asks = {case.ask.kind: case.ask for case, _ in pairs}
        others = [
            judges.judge(ask, one)
            for case, one in pairs
            for kind, ask in asks.items()
            if kind != case.ask.kind and judges.is_news(ask, one)
        ]
        true = [one for one in real if one.rate == rate]
        known = [setup.real.shares[kind] for kind in asks if kind in setup.real.shares]
        found[f"{name}.clip"] = {
            "shuffled": _mean([one.is_success for one in others]),
            "true_game": _mean([one.is_success for one in true] or known),
        }
        found[f"{name}.frame"] = {
            "shuffled": _mean([one.frame_share for one in others]),
            "true_game": _mean([one.frame_share for one in true]),
        }
    return found


def _beside(
    setup: Setup, key: str, figure: Figure, anchors: Mapping[str, Mapping[str, float | None]]
) -> Figure:
    """Put the anchors beside a figure; where no case asks for a rate, say which kinds could not be judged."""
    if figure.status == "ok":
        return replace(figure, anchors=anchors[key])
    reasons = "; ".join(f"{kind}: {why}" for kind, why in setup.left_out.items())
    return replace(figure, reason=f"{figure.reason}; not judged: {reasons}" if reasons else figure.reason)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _by_kind(cases: Sequence[InstructCase], obeyed: Sequence[Obeyed], seed: int) -> Row:
    """Clip rate of each kind of instruction."""
    row: Row = {}
    for rate, kind in sorted({(case.ask.rate, case.ask.kind) for case in cases}):
        chosen = [one for one, case in zip(obeyed, cases, strict=True) if case.ask.kind == kind]
        row[f"{RATE_NAMES[rate]}.clip.{kind.replace(' ', '_')}"] = _clip_rate(chosen, rate, seed)
    return row


def _clip_rate(obeyed: Sequence[Obeyed], rate: Rate, seed: int) -> Figure:
    values = [float(one.is_success) for one in obeyed if one.rate == rate]
    if not values:
        return not_computed("undefined", "no case asks for it", "share")
    return figure_of(estimate(values, seed), "share")


def verdicts(rows: Mapping[str, Row]) -> list[str]:
    """Say for each rate whether the branch gains LEAST_GAIN, and whether intervals and n allow to say so."""
    lines = []
    for rate, name in RATE_NAMES.items():
        full, off = rows[FULL][f"{name}.clip"], rows[OFF][f"{name}.clip"]
        gain = rows[OFF][f"{name}.gain"]
        if gain.value is None or full.ci95 is None or off.ci95 is None or gain.ci95 is None:
            lines.append(f"SR of {rate}: not computed ({gain.reason})")
            continue
        apart = full.ci95[0] > off.ci95[1]
        met = gain.value >= LEAST_GAIN and apart and gain.n >= LEAST_CASES
        text = f"SR of {rate}: gain {gain.value:.3f} [{gain.ci95[0]:.3f}, {gain.ci95[1]:.3f}] over the base"
        text += f" alone, bar {LEAST_GAIN:g} with separated intervals: {'met' if met else 'missed'}"
        text += "" if apart else "; the intervals of the two rows are not separated"
        if gain.n < LEAST_CASES:
            text += f"; {gain.n} cases are too few, {LEAST_CASES} are needed"
        lines.append(text)
    return lines


COLUMNS: Mapping[str, str] = {
    f"instruct.{short}.{level}": f"{heading} {level}"
    for short, heading in (("sr_c", "SR-C"), ("sr_e", "SR-E"))
    for level in ("clip", "frame", "clip.text", "clip.keys", "gain")
}


def as_markdown(rows: Mapping[str, Row], setup: Setup, command: str) -> str:
    """Lay rows, kinds and what was left out as Markdown."""
    lines = [f"`{command}`", "", "Share with 95 % interval; gain: the first row less this one, paired.", ""]
    lines += ["| row | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "---|" * len(COLUMNS)]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(_cell(row.get(key)) for key in COLUMNS) + " |")
    for key in ("instruct.sr_c.clip", "instruct.sr_e.clip"):
        beside = {
            name: ", ".join(f"{anchor} {_short(value)}" for anchor, value in row[key].anchors.items())
            for name, row in rows.items()
        }
        lines += [
            "",
            f"Beside {COLUMNS[key]}: " + "; ".join(f"{name}: {one}" for name, one in beside.items()),
        ]
    lines += ["", *[f"- {line}" for line in verdicts(rows)], ""]
    lines += ["| kind | reader on real frames | " + " | ".join(rows) + " |", "|---|---|" + "---|" * len(rows)]
    kinds = sorted({case.ask.kind for case in setup.cases})
    for kind in kinds:
        name = next(case.ask.rate for case in setup.cases if case.ask.kind == kind)
        key = f"{RATE_NAMES[name]}.clip.{kind.replace(' ', '_')}"
        cells = [_cell(row.get(key)) for row in rows.values()]
        lines.append(f"| {kind} | {_reads(setup, kind)} | " + " | ".join(cells) + " |")
    lines += ["", *[f"- not judged: {kind}: {why}" for kind, why in setup.left_out.items()]]
    return "\n".join(lines).rstrip() + "\n"


def _reads(setup: Setup, kind: str) -> str:
    """How well real frames of a kind are read: F1 of a fact, share of real clips of a control."""
    fact, _, value = kind.partition("=")
    if value:
        score = getattr(setup.judges.facts, "scores", {}).get(fact, {}).get(value)
        return "" if score is None else f"F1 {score.f1:.2f}"
    share = setup.real.shares.get(kind)
    return "no real clip of it" if share is None else f"{share:.2f} of real clips"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.value is None:
        return figure.status
    low, high = figure.ci95 or (float("nan"), float("nan"))
    return f"{figure.value:.3f} [{low:.3f}, {high:.3f}], n {figure.n}"


def _short(value: float | None) -> str:
    return "not computed" if value is None else f"{value:.3f}"


def parse_player(text: str) -> Player:
    """Read NAME=FOLDER or NAME=FOLDER@joined.

    Raises:
        ConfigError: for another form.
    """
    name, equals, rest = text.partition("=")
    folder, _, form = rest.partition("@")
    if not (equals and name and folder) or form not in ("", "joined") or name in (FULL, OFF):
        raise ConfigError(
            f'"{text}" is no row; write NAME=FOLDER or NAME=FOLDER@joined, NAME other than {FULL} and {OFF}'
        )
    return Player(name=name, folder=Path(folder), form="joined" if form else "fields")


def run(
    players: Sequence[Player],
    episodes: Sequence[EpisodeRef],
    judges: Judges,
    *,
    count: int,
    out: Path,
    workers: int = 1,
    progress: ProgressMaker = no_progress,
) -> tuple[Setup, dict[str, Row]]:
    """Play and judge every row.

    Raises:
        DataError: when a world's pictures are not those of the recordings.
    """
    specs: list[InstructWorldSpec] = [load_instruct_spec(player.folder) for player in players]
    info = episodes[0].info
    for player, spec in zip(players, specs, strict=True):
        if (spec.height, spec.width, spec.new_frames) != (info.height, info.width, specs[0].new_frames):
            raise DataError(
                f"{player.folder} makes {spec.new_frames} frames of {spec.height} x {spec.width}; the cases "
                f"take {specs[0].new_frames} of {info.height} x {info.width}"
            )
    setup = set_up(episodes, judges, count, specs[0].new_frames)
    if not setup.cases:
        raise DataError(f"nothing can be judged: {setup.left_out}; train the readers for longer")
    played = {one.name: play_cases(one, setup.cases, out, workers, progress) for one in players}
    return setup, measure_rows(setup, played)


def main() -> None:
    """Play, judge and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("world", type=Path, help="folder of the world")
    parser.add_argument("--facts", type=Path, required=True, help="folder of the fact reader")
    parser.add_argument("--reader", type=Path, help="reader of controls; that of the case set without it")
    parser.add_argument(
        "--held-out",
        type=Path,
        nargs="*",
        default=[],
        help="recordings to begin from; the case set without it",
    )
    parser.add_argument("--game", default="game:doom", help="whose case set is taken")
    parser.add_argument("--cases", type=int, default=LEAST_CASES, help="of each rate")
    parser.add_argument("--world", dest="others", action="append", default=[], metavar="NAME=FOLDER[@joined]")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    shipped = find_case_set(given.game)
    reader = given.reader or (shipped / "reader" if shipped else None)
    if reader is None:
        raise DataError(f"no case set ships for {given.game}; pass a reader of controls with --reader")
    judges = Judges(controls=InverseDynamics.load(reader), facts=load_facts(given.facts))
    players = [
        Player(name=FULL, folder=given.world),
        Player(name=OFF, folder=given.world, branch="off"),
        *map(parse_player, given.others),
    ]
    setup, rows = run(
        players,
        held_out_episodes(given.game, given.held_out),
        judges,
        count=given.cases,
        out=given.out / "played",
        workers=given.workers,
        progress=PROGRESS,
    )
    command = "python -m benchmarks.instruct_success " + " ".join(sys.argv[1:])
    figures = {
        f"{name.replace(' ', '_')}.{key}": figure for name, row in rows.items() for key, figure in row.items()
    }
    file = given.json or given.out / "table.json"
    write_report(make_report(command, figures, seeds=(0,)), file)
    table = as_markdown(rows, setup, command)
    file.with_suffix(".md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()
