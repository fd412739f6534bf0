"""Train a student: ``python -m benchmarks.students RECIPE RUN --out FOLDER [--kind causal]``.

Every chain ends in a model folder, of which ``paracosm export RECIPE --dynamics FOLDER --levels ...`` makes a
world that ``few_steps`` measures. Stop it at any moment; the same command goes on.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import logging
import sys
from pathlib import Path
from typing import get_args

from paracosm.core.progress import LineProgress
from paracosm.recipes.street import Street
from paracosm.recipes.students import ChainKind, chain, run_chain

logger = logging.getLogger(__name__)


def describe(recipe: str, run: Path) -> Street:
    """Return the street of a bundled recipe."""
    return importlib.import_module(f"paracosm.recipes.{recipe}").street(run)


def main() -> None:
    """Run a chain."""
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=get_args(ChainKind), default="causal")
    parser.add_argument("--levels", type=float, nargs="+", default=[1.0, 0.5])
    parser.add_argument("--last", choices=["init", "forcing", "extend"], default="forcing")
    parser.add_argument("--dynamics", type=Path, help="model folder; the run's own without it")
    parser.add_argument("--student", type=Path, help="begin with this student; direct chains only")
    parser.add_argument("--steps", type=int, help="of regression and of self forcing, in place of 300 each")
    parser.add_argument("--compile", action="store_true", help="minutes at the start, then faster")
    given = parser.parse_args()
    street = describe(given.recipe, given.run)
    made = chain(
        street.dynamics,
        given.dynamics or street.dynamics.run / "dynamics",
        given.out,
        kind=given.kind,
        levels=tuple(given.levels),
        reader=given.run / "inverse_dynamics" / "inverse_dynamics",
        student=given.student,
    )
    if given.steps:
        made = made.with_loop(num_steps=given.steps)
    if given.compile:
        made = made.with_loop(compile="blocks")
    logger.info(
        "the student is %s",
        run_chain(made, functools.partial(LineProgress, stream=sys.stderr), last=given.last),
    )


if __name__ == "__main__":
    main()
