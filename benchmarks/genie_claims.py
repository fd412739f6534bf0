"""Genie's claims in miniature: ``python -m benchmarks.genie_claims GROUP --data D --held-out H --out O``.

Each group trains variants that differ in one thing, from the same recordings, seed and steps, and writes a
table. What is trained stays trained and rows that are measured stay: the same command goes on. ``--finished
RUN`` takes tokenizer and latent actions of a run of the same recipe and data wherever a variant does not
change them, whole as they are; ``--steps`` then shortens the stages that are trained here. ``--width`` takes
a smaller dynamics, which sees several times the clips in the same time.

- *latent_actions*: the latent action model sees pixels or codes (table 2 of the paper).
- *tokenizers*: ViT, C-ViViT, ST-ViViT (table 3).
- *conditioning*: an action is added to the tokens, stands before them, or goes through the norms.
- *true_actions*: recorded controls against learnt actions (table 1 of GenieRedux 2409.06445).
- *sizes*, *batches*: the loss against the dynamics' parameters and clips a step, with a fitted power law.

What the learnt actions of a trained run mean is told by ``genie_meaning``.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paracosm.core.progress import LineProgress
from paracosm.data.reader import Dataset
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.latent_actions import CodeInput, LatentActions
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.recipes import genie
from paracosm.recipes.genie import GenieRecipe
from paracosm.recipes.genie_stages import stack
from paracosm.recipes.genie_street import on_recordings
from paracosm.train.stages import encode_codes, latent_actions, maskgit, tokenizer_vq
from paracosm.train.stages.maskgit import FinishedActions, MaskGITStageConfig, RecordedControls

from .genie_measures import (
    HeldOut,
    Networks,
    Row,
    Table,
    delta_psnr,
    draw_held_out,
    fit_power_law,
    held_out_loss,
    reconstruction_db,
)

PROGRESS = functools.partial(LineProgress, stream=sys.stderr)
WIDTHS = {"64": (64, 2, 2), "96": (96, 3, 3), "128": (128, 3, 4), "192": (192, 4, 6)}
"""Width, blocks and heads of 32 of the dynamics in the group of sizes: two orders of magnitude in work."""
BATCHES = (1, 2, 4, 8)
"""Clips a step in the group of batches."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What every variant of a group shares."""

    base: GenieRecipe
    out: Path
    steps: int
    held_out: HeldOut
    finished: Path | None = None
    """run folder whose tokenizer and latent actions are taken as they are"""


def main() -> None:
    """Train the variants of a group and write its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("group", choices=list(GROUPS))
    parser.add_argument("--recipe", choices=list(genie.RECIPES), default="small")
    parser.add_argument("--data", type=Path, required=True, help="recordings to learn from")
    parser.add_argument("--held-out", type=Path, required=True, help="recordings to judge by")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=0, help="of every stage; 0 takes the recipe's")
    parser.add_argument(
        "--width", choices=list(WIDTHS), default="", help="of the dynamics; else the recipe's"
    )
    parser.add_argument("--clips", type=int, default=64, help="held-out clips")
    parser.add_argument(
        "--finished", type=Path, help="run folder of the same recipe, trained on the same data"
    )
    given = parser.parse_args()
    base = on_recordings(genie.RECIPES[given.recipe](given.out), given.data)
    # What the paper does, except in the group that varies it.
    model = replace(base.dynamics.model, conditioning="add")
    dynamics = replace(base.dynamics, model=model, first_codes="random", own_past=0.0, own_past_from=0)
    base = replace(base, dynamics=dynamics)
    if given.width:
        base = replace(base, dynamics=resized(base.dynamics, given.width))
    setting = Setting(
        base=base,
        out=given.out,
        steps=given.steps,
        held_out=draw_held_out(given.held_out, given.clips),
        finished=given.finished,
    )
    table = Table(given.out, given.group)
    notes = GROUPS[given.group](setting, table)
    command = f"python -m benchmarks.genie_claims {given.group} --recipe {given.recipe} --width {given.width}"
    print(table.write(command, steps=given.steps, **notes))
    for name, value in notes.items():
        print(f"{name}: {value}")


def compare_latent_actions(setting: Setting, table: Table) -> dict[str, Any]:
    """Pixels against codes; both are trained here, for the same steps."""
    pixels = arrange(setting, name="pixels", actions="latent_actions_pixels")
    tokenizer, base = pixels.tokenizer.model, setting.base.latent_actions
    sees = CodeInput(rows=tokenizer.rows, columns=tokenizer.columns, num_codes=tokenizer.num_codes)
    model = replace(base.model, input=sees, draws="frame")
    stage = replace(base, model=model, tokenizer=pixels.dynamics.tokenizer, errors="batch")
    table.add("pixels", lambda: play_figures(setting, pixels))
    codes = arrange(setting, name="codes", actions="latent_actions_codes", latent_actions=stage)
    table.add("codes", lambda: play_figures(setting, codes))
    return {}


def compare_tokenizers(setting: Setting, table: Table) -> dict[str, Any]:
    """ViT, C-ViViT, ST-ViViT; everything after the tokenizer is trained anew on its codes."""
    for row, attention in (("ViT", "space"), ("C-ViViT", "joint"), ("ST-ViViT", "factorised")):
        stage = replace(
            setting.base.tokenizer, model=replace(setting.base.tokenizer.model, attention=attention)
        )
        name = f"tokenizer_{attention}"
        recipe = arrange(setting, name=f"dynamics_{attention}", tokenizer_folder=name, tokenizer=stage)

        def figures(recipe: GenieRecipe = recipe) -> Row:
            networks = train(recipe)
            shown = reconstruction_db(networks, setting.held_out)
            size = float(networks.tokenizer.num_parameters)
            return {"parameters": size, "tokenizer_psnr_db": shown, **play_figures(setting, recipe)}

        table.add(row, figures)
    return {}


def compare_conditioning(setting: Setting, table: Table) -> dict[str, Any]:
    """An action is added, prepended, or goes through the norms."""
    for way in ("add", "prepend", "film"):
        model = replace(setting.base.dynamics.model, conditioning=way)
        name = "dynamics" if model == setting.base.dynamics.model else way
        recipe = arrange(setting, name=name, dynamics=replace(setting.base.dynamics, model=model))
        table.add(way, lambda recipe=recipe: play_figures(setting, recipe))
    return {}


def compare_true_actions(setting: Setting, table: Table) -> dict[str, Any]:
    """Recorded controls against learnt actions."""
    table.add("learnt", lambda: play_figures(setting, arrange(setting)))
    controls = Dataset(setting.base.dynamics.data).info.controls
    limit = (controls.look_limit[0] or 1.0, controls.look_limit[1] or 1.0)
    model = replace(
        setting.base.dynamics.model, num_actions=0, control_width=controls.width, look_limit=limit
    )
    stage = replace(setting.base.dynamics, model=model, actions=RecordedControls())
    recipe = arrange(setting, name="recorded", dynamics=stage)
    table.add("recorded", lambda: play_figures(setting, recipe))
    return {}


def compare_sizes(setting: Setting, table: Table) -> dict[str, Any]:
    """The loss against the parameters of the dynamics."""
    for row in WIDTHS:
        stage = resized(setting.base.dynamics, row)
        name = "dynamics" if stage == setting.base.dynamics else f"width_{row}"
        recipe = arrange(setting, name=name, dynamics=stage)
        table.add(f"width {row}", lambda recipe=recipe: loss_figures(setting, recipe))
    return _law(table, "parameters")


def resized(stage: MaskGITStageConfig, row: str) -> MaskGITStageConfig:
    """The stage of the dynamics with a network of a row of WIDTHS."""
    width, depth, heads = WIDTHS[row]
    return replace(stage, model=replace(stage.model, stack=stack(width, depth, heads, 32, 2 * width)))


def compare_batches(setting: Setting, table: Table) -> dict[str, Any]:
    """The loss against the clips of a step."""
    for count in BATCHES:
        stage = replace(setting.base.dynamics, batch_size=count)
        name = "dynamics" if count == setting.base.dynamics.batch_size else f"batch_{count}"
        recipe = arrange(setting, name=name, dynamics=stage)
        table.add(
            f"batch {count}",
            lambda recipe=recipe, count=count: {
                "batch": float(count),
                **loss_figures(setting, recipe),
            },
        )
    return _law(table, "batch")


def arrange(
    setting: Setting,
    *,
    name: str = "dynamics",
    tokenizer_folder: str = "",
    actions: str = "",
    **stages: Any,
) -> GenieRecipe:
    """The base recipe with other stages, each in a run folder that variants with the same stage share.

    Args:
        setting: what all variants share.
        name: folder of the dynamics; variants that change nothing share the default.
        tokenizer_folder: folder of a tokenizer of the variant's own; empty takes the shared one.
        actions: folder of a latent action model of the variant's own; empty takes the shared one.
        stages: fields of the recipe that differ from the base.
    """
    recipe = replace(setting.base, **stages)
    tokenizer = _place(setting, recipe.tokenizer, "tokenizer", tokenizer_folder)
    learnt = _place(setting, recipe.latent_actions, "latent_actions", actions)
    dynamics = replace(recipe.dynamics, run=setting.out / name, tokenizer=tokenizer.run / "tokenizer")
    if isinstance(dynamics.actions, FinishedActions):
        dynamics = replace(dynamics, actions=FinishedActions(model=learnt.run / "latent_actions"))
    return replace(
        recipe,
        tokenizer=tokenizer,
        latent_actions=learnt,
        dynamics=shorten_stage(dynamics, setting.steps),
    )


def _place(setting: Setting, stage: Any, shared: str, own: str) -> Any:
    """A stage in its folder: one of the variant's own, the shared one, or that of the finished run, whole."""
    if setting.finished and not own:
        return replace(stage, run=setting.finished / shared)
    return shorten_stage(replace(stage, run=setting.out / (own or shared)), setting.steps)


def train(recipe: GenieRecipe) -> Networks:
    """Train what is not trained yet."""
    tokenizer = tokenizer_vq.main(recipe.tokenizer, PROGRESS)
    encode_codes.main(
        encode_codes.EncodeCodesConfig(data=recipe.dynamics.data, tokenizer=tokenizer), PROGRESS
    )
    learnt = isinstance(recipe.dynamics.actions, FinishedActions)
    actions = LatentActions.load(latent_actions.main(recipe.latent_actions, PROGRESS)) if learnt else None
    return Networks(
        tokenizer=TokenizerVQ.load(tokenizer),
        dynamics=MaskGITDynamics.load(maskgit.main(recipe.dynamics, PROGRESS)),
        actions=actions,
    )


def play_figures(setting: Setting, recipe: GenieRecipe) -> Row:
    """Delta_4 PSNR and the held-out loss of a variant."""
    networks = train(recipe)
    figures = delta_psnr(networks, setting.held_out, recipe.sampler)
    return {**figures, "held_out_loss": held_out_loss(networks, setting.held_out)}


def loss_figures(setting: Setting, recipe: GenieRecipe) -> Row:
    """The held-out loss of a variant, and its parameters."""
    networks = train(recipe)
    return {
        "parameters": float(networks.dynamics.num_parameters),
        "held_out_loss": held_out_loss(networks, setting.held_out),
    }


def _law(table: Table, column: str) -> dict[str, Any]:
    rows = list(table.rows.values())
    sizes, losses = ([float(row[name]) for row in rows] for name in (column, "held_out_loss"))
    return {"power_law": fit_power_law(sizes, losses)}


def shorten_stage(stage: Any, steps: int) -> Any:
    """The same stage for fewer steps, its schedule shortened with it; 0 leaves it as it is."""
    if not steps:
        return stage
    optim = replace(stage.loop.optim, warmup_steps=min(100, steps // 5), decay_steps=steps // 3)
    changes: dict[str, Any] = {"loop": replace(stage.loop, num_steps=steps, optim=optim, preview_every=0)}
    if isinstance(stage, latent_actions.LatentActionsStageConfig) and stage.free_steps:
        changes["free_steps"] = steps // 2
    return replace(stage, **changes)


GROUPS: Mapping[str, Callable[[Setting, Table], dict[str, Any]]] = {
    "latent_actions": compare_latent_actions,
    "tokenizers": compare_tokenizers,
    "conditioning": compare_conditioning,
    "true_actions": compare_true_actions,
    "sizes": compare_sizes,
    "batches": compare_batches,
}
"""Groups by name."""


if __name__ == "__main__":
    main()
