"""What each part of a student buys: ``python -m benchmarks.ablations RECIPE RUN GROUP --out FOLDER``.

Groups *window* and *guidance* play one student in other ways and train nothing; *init* trains students that
differ in how they begin and whether they learn on their own rollouts, each from the same dynamics and for the
same steps; *guided* distils guidance in. All are measured as in ``few_steps``; what is done stays done, so a
group that was stopped goes on.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from paracosm.core.progress import LineProgress
from paracosm.core.world_spec import PlayDefaults
from paracosm.recipes.street import Street
from paracosm.recipes.students import Chain, ChainKind, chain, run_chain

from .few_steps import Player, Size, describe, measure, write_table

LEVELS = (1.0, 0.5)
"""Passes of every student here."""
PROGRESS = functools.partial(LineProgress, stream=sys.stderr)


def windows(street: Street, student: Path) -> list[Player]:
    """One student with shorter pasts, and with first frames that stay."""
    window = street.dynamics.model.window
    plays = {f"window {count}": PlayDefaults(levels=LEVELS, window=count) for count in (4, 6, 9, 16, window)}
    plays |= {
        f"window 9, sink {count}": PlayDefaults(levels=LEVELS, window=9, sink=count) for count in (0, 1, 3)
    }
    return [Player(name=name, dynamics=student, play=play) for name, play in plays.items()]


def guidances(street: Street, student: Path) -> list[Player]:
    """Guidance in play, which doubles the passes of a frame: of the model before, and of the student."""
    return [
        Player(
            name=f"{name}, guidance {guidance:g}",
            dynamics=folder,
            play=PlayDefaults(levels=LEVELS, guidance=guidance),
        )
        for name, folder in (("undistilled", street.dynamics.run / "dynamics"), ("student", student))
        for guidance in (1.0, 2.0, 3.0, 4.0)
    ]


def guided(street: Street, out: Path, steps: int) -> list[Player]:
    """Guidance distilled in: by regression and by the real score, played at the price of none."""
    players = []
    for guidance in (1.0, 2.0, 3.0, 4.0):
        made = _chain(street, out / f"guided_{guidance:g}").with_loop(num_steps=steps)
        matching = replace(made.forcing.matching, guidance=guidance)
        made = replace(
            made,
            init=made.init and replace(made.init, guidance=guidance),
            forcing=replace(made.forcing, matching=matching),
        )
        players.append(_player(f"distilled guidance {guidance:g}", run_chain(made, PROGRESS)))
    return players


def inits(street: Street, out: Path, steps: int) -> list[Player]:
    """Beginnings crossed with self forcing or none: "none" matches distributions from the dynamics itself."""
    kinds: dict[str, ChainKind] = {
        "consistency": "causal",
        "causal ode": "causal",
        "published ode": "published",
    }
    players = [_player("none, teacher-forced only", street.dynamics.run / "dynamics")]
    for name, kind in kinds.items():
        made = _chain(street, out / name.replace(" ", "_"), kind).with_loop(num_steps=steps)
        if name == "causal ode":
            made = replace(made, init=made.init and replace(made.init, kind="ode"))
        players.append(_player(f"{name}, teacher-forced only", run_chain(made, PROGRESS, last="init")))
        players.append(_player(f"{name}, self-forced", run_chain(made, PROGRESS)))
    none = _chain(street, out / "none", "direct").with_loop(num_steps=steps)
    players.append(_player("none, self-forced", run_chain(none, PROGRESS)))
    return players


def _chain(street: Street, out: Path, kind: ChainKind = "causal") -> Chain:
    return chain(
        street.dynamics,
        street.dynamics.run / "dynamics",
        out,
        kind=kind,
        levels=LEVELS,
        reader=street.run / "inverse_dynamics" / "inverse_dynamics",
    )


def _player(name: str, folder: Path) -> Player:
    return Player(name=name, dynamics=folder, play=PlayDefaults(levels=LEVELS))


def main() -> None:
    """Make the players of a group, measure them and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("run", type=Path)
    parser.add_argument("group", choices=["window", "guidance", "guided", "init"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--student", type=Path, help="model folder, for window and guidance")
    parser.add_argument("--steps", type=int, default=300, help="of each stage, for init and guided")
    parser.add_argument("--minutes", type=float, default=1.0)
    given = parser.parse_args()
    street, out = describe(given.recipe, given.run), given.out / given.group
    groups: Mapping[str, Callable[[], list[Player]]] = {
        "window": lambda: windows(street, given.student or street.dynamics.run / "dynamics"),
        "guidance": lambda: guidances(street, given.student or street.dynamics.run / "dynamics"),
        "guided": lambda: guided(street, out, given.steps),
        "init": lambda: inits(street, out, given.steps),
    }
    size = Size(minutes=given.minutes)
    write_table(measure(street, groups[given.group](), size, out), size, out)


if __name__ == "__main__":
    main()
