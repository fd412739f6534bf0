"""The street of gamegen_o in order: record, tokenizer, encode, texts, video prompts, base, branch, world.

Each stretch goes on where it was stopped and costs nothing when it is done.
"""

from __future__ import annotations

from pathlib import Path

from paracosm.collect.record import record
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.world_spec import Starts
from paracosm.curate.captions import UNCHANGED
from paracosm.data.reader import Dataset
from paracosm.models.instruct_world import build_instruct_world
from paracosm.train.stages import encode, encode_guides, encode_texts, instruct, masked, tokenizer
from paracosm.worlds import make_policy, open_world

from .gamegen_o import InstructRecipe
from .street import WORLD_FOLDER, choose_starts


def run_recipe(recipe: InstructRecipe, progress: ProgressMaker = no_progress) -> Path:
    """Walk the whole street and return the folder of the playable world.

    Raises:
        ParacosmError: whatever a stage refuses; running again goes on from there.
    """
    for split, config in recipe.recordings.items():
        record(config, open_world, make_policy, world_config=recipe.games[split], progress=progress)
    made = recipe.finished_tokenizer or tokenizer.main(recipe.tokenizer, progress)
    encode.main(encode.EncodeStageConfig(data=recipe.branch.data, tokenizer=made), progress)
    for texts in recipe.texts:
        encode_texts.main(texts, progress)
    encode_guides.main(recipe.guides, progress)
    masked.main(recipe.base, progress)
    instruct.main(recipe.branch, progress)
    return build(recipe, recipe.run / WORLD_FOLDER)


def build(recipe: InstructRecipe, out: Path, *, steered: bool = True) -> Path:
    """Build the playable world from the models as they lie in the run folder.

    Args:
        recipe: whose models.
        out: folder of the world; an earlier one is replaced.
        steered: with the branch; else a world of words alone, once the base is there.

    Raises:
        DataError: when a model is not there yet.
    """
    dataset, branch = Dataset(recipe.branch.data), recipe.branch
    starts = choose_starts(dataset.select(branch.split), recipe.num_starts)
    given = branch.given_frames
    build_instruct_world(
        out,
        tokenizer=recipe.coder,
        base=recipe.base.run / "dynamics",
        branch=branch.run / "branch" if steered else None,
        starts=Starts(
            frames=starts.frames[:, -given:],
            controls=starts.controls[:, len(starts.controls[0]) - given + 1 :],
        ),
        name=recipe.name,
        description=recipe.description,
        fps=dataset.info.fps,
        controls=dataset.info.controls,
        encoder=branch.encoder,
        given_frames=given,
        new_frames=branch.new_frames,
        unchanged=UNCHANGED,
        play=recipe.play,
        guide=bool(branch.guides),
    )
    return out
