"""What each part of a student buys: ``python -m benchmarks.ablations GROUP RECIPE RUN --out FOLDER``.

    python -m benchmarks.ablations window coinrun runs/coinrun --student coinrun --out runs/ablations/coinrun

Groups *window* and *guidance* play one world in other ways and train nothing; *init* trains students that
differ in how they begin and whether they learn on their own rollouts, each from the same dynamics and for the
same steps; *guided* distils guidance in. All are measured as in ``few_steps``; what is done stays done, so a
group that was stopped goes on. ``--only`` leaves portions out, e.g. speed, beside which nothing may run.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from paracosm.core.progress import LineProgress
from paracosm.core.world_spec import PlayDefaults, load_spec
from paracosm.recipes.street import Street, build
from paracosm.recipes.students import Chain, ChainKind, chain, run_chain
from paracosm.zoo import bundled_worlds

from .few_steps import (
    FAST,
    SHORT,
    TWO_MINUTES,
    Player,
    Portion,
    add_case_options,
    as_markdown,
    evenly,
    measure,
    read_cases,
    slug,
    write_table,
)
from .students import describe

PLAY = PlayDefaults(levels=evenly(2))
"""Passes of every student that is trained here."""
PROGRESS = functools.partial(LineProgress, stream=sys.stderr)
PORTIONS: Mapping[str, Portion] = {"short": SHORT, "long": TWO_MINUTES, "speed": FAST}
"""What rows are measured by."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the players of a group are made from."""

    street: Street
    """of the recipe"""
    before: Path
    """model folder of the dynamics before it was distilled"""
    student: Path
    """world folder of the student, for groups that train nothing"""
    out: Path
    """a folder for each model trained and each world made"""
    steps: int
    """of every stage that is trained"""


def windows(setting: Setting) -> list[Player]:
    """One student as it ships: first with its whole past, then shorter ones, and first frames that stay."""
    spec = load_spec(setting.student)
    counts = (spec.sizes.window, 16, 9, 6, 4)
    plays = {f"window {count}": replace(spec.play, window=count, sink=0) for count in counts}
    plays |= {f"window 9, sink {count}": replace(spec.play, window=9, sink=count) for count in (1, 3)}
    return [Player(name=name, world=setting.student, play=play) for name, play in plays.items()]


def guidances(setting: Setting) -> list[Player]:
    """Guidance in play, which doubles the passes of a frame: of the model before, and of the student."""
    worlds = {"undistilled": _world(setting, "undistilled", setting.before), "student": setting.student}
    return [
        Player(name=f"{name}, guidance {guidance:g}", world=world, play=replace(PLAY, guidance=guidance))
        for name, world in worlds.items()
        for guidance in (1.0, 2.0, 3.0, 4.0)
    ]


def guided(setting: Setting) -> list[Player]:
    """Guidance distilled in by the real score, played at the price of none."""
    players = []
    for guidance in (1.0, 2.0, 3.0, 4.0):
        made = _chain(setting, f"guided_{guidance:g}", "direct")
        matching = replace(made.forcing.matching, guidance=guidance)
        made = replace(made, forcing=replace(made.forcing, matching=matching))
        players.append(_player(setting, f"distilled guidance {guidance:g}", run_chain(made, PROGRESS)))
    return players


def inits(setting: Setting) -> list[Player]:
    """Beginnings crossed with self forcing or none: "none" matches distributions from the dynamics itself."""
    kinds: dict[str, ChainKind] = {
        "consistency": "causal",
        "causal ode": "causal",
        "published ode": "published",
    }
    players = [_player(setting, "none, teacher-forced only", setting.before)]
    for name, kind in kinds.items():
        made = _chain(setting, slug(name), kind)
        if name == "causal ode":
            made = replace(made, init=made.init and replace(made.init, kind="ode"))
        regressed = run_chain(made, PROGRESS, last="init")
        players.append(_player(setting, f"{name}, teacher-forced only", regressed))
        players.append(_player(setting, f"{name}, self-forced", run_chain(made, PROGRESS)))
    none = _chain(setting, "none", "direct")
    players.append(_player(setting, "none, self-forced", run_chain(none, PROGRESS)))
    return players


GROUPS: Mapping[str, Callable[[Setting], list[Player]]] = {
    "window": windows,
    "guidance": guidances,
    "guided": guided,
    "init": inits,
}
"""Groups by name."""


def _chain(setting: Setting, name: str, kind: ChainKind) -> Chain:
    return chain(
        setting.street.dynamics,
        setting.before,
        setting.out / name,
        kind=kind,
        levels=PLAY.levels,
        reader=setting.street.run / "inverse_dynamics" / "inverse_dynamics",
    ).with_loop(num_steps=setting.steps)


def _player(setting: Setting, name: str, dynamics: Path, play: PlayDefaults = PLAY) -> Player:
    return Player(name=name, world=_world(setting, name, dynamics), play=play)


def _world(setting: Setting, name: str, dynamics: Path) -> Path:
    return build(setting.street, setting.out / "worlds" / slug(name), dynamics, PLAY)


def main() -> None:
    """Make the players of a group, measure them and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("group", choices=list(GROUPS))
    parser.add_argument("recipe")
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--student", default="", help="world of the student; the bundled one without it")
    parser.add_argument(
        "--before", type=Path, help="dynamics not distilled; RUN/dynamics/dynamics without it"
    )
    parser.add_argument("--steps", type=int, default=300, help="of each stage, for init and guided")
    parser.add_argument("--only", choices=list(PORTIONS), nargs="*", default=list(PORTIONS))
    add_case_options(parser)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    student = given.student or given.recipe
    setting = Setting(
        street=describe(given.recipe, given.run),
        before=given.before or given.run / "dynamics" / "dynamics",
        student=bundled_worlds().get(student, Path(student)),
        out=given.out / given.group,
        steps=given.steps,
    )
    players = GROUPS[given.group](setting)
    rows = measure(
        players,
        [portion for name, portion in PORTIONS.items() if name in given.only],
        setting.out / "measured",
        base=read_cases(given),
        against=players[0].name,
    )
    write_table(
        rows,
        given.json or setting.out / "table.json",
        "python -m benchmarks.ablations " + " ".join(sys.argv[1:]),
    )
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
