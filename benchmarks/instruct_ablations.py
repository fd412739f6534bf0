"""Trains branches that are told less: ``python -m benchmarks.instruct_ablations RUN FORM...``.

    python -m benchmarks.instruct_ablations runs/gamegen_o-tiny none joined \
        --data runs/doom/data/train --tokenizer runs/doom/tokenizer/tokenizer \
        --dynamics runs/doom/dynamics/dynamics

RUN is that of ``gamegen_o.tiny``, with its base finished. A branch of the same length learns without
instruction captions (*none*), or from each instruction as one free text (*joined*); its world lands in
RUN/FORM/world, which ``instruct_success`` judges. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import functools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from paracosm.core.progress import LineProgress
from paracosm.recipes.gamegen_o import InstructRecipe, on_finished, tiny
from paracosm.recipes.gamegen_street import build
from paracosm.recipes.street import WORLD_FOLDER
from paracosm.train.stages import instruct

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)
Form = Literal["none", "joined"]


def ablate(recipe: InstructRecipe, form: Form) -> InstructRecipe:
    """The same recipe with a branch of its own folder that is told in another form; all else is equal."""
    branch = replace(recipe.branch, run=recipe.run / form / "branch", text_form=form)
    return replace(recipe, name=f"{recipe.name}-{form}", branch=branch)


def main() -> None:
    """Train the branches and build their worlds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("forms", nargs="+", choices=get_args(Form))
    parser.add_argument("--data", type=Path, help="recordings in place of the run's own")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer in place of the bundled Doom's")
    parser.add_argument("--dynamics", type=Path, help="dynamics over that tokenizer that the run began with")
    given = parser.parse_args()
    recipe = on_finished(tiny(given.run), data=given.data, tokenizer=given.tokenizer, dynamics=given.dynamics)
    for form in given.forms:
        other = ablate(recipe, form)
        instruct.main(other.branch, PROGRESS)
        print(f"the world is {build(other, given.run / form / WORLD_FOLDER)}")


if __name__ == "__main__":
    main()
