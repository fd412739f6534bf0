"""The command that says beforehand what a recipe describes and what it would cost: plan."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated

import tyro

from paracosm.cli.arguments import File, command_line, parse, show
from paracosm.core.config import to_json
from paracosm.core.errors import ConfigError
from paracosm.core.figures import Figure, make_report
from paracosm.core.world_spec import PlayDefaults
from paracosm.recipes.cost import HERE, StageCost, find_device, play_cost, stage_cost

RECIPES: dict[str, str] = {"doom": "paracosm.recipes.doom", "coinrun": "paracosm.recipes.coinrun"}
"""Recipes by name."""

PLANNED_STAGES = ("tokenizer", "dynamics", "inverse_dynamics")
"""Functions of a recipe that return the config of a stage, in the order of the street."""


@dataclass(frozen=True, kw_only=True)
class PlanCommand:
    """Say what a recipe describes and would cost, without making a weight or reading a byte."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="{doom,coinrun}")]
    """Recipe to plan."""
    device: str = HERE
    """Device for the hours: h100, a100, rtx-4090, or "here", which is measured for half a second."""
    json: File = None
    """Also write the figures to this file."""


def plan(arguments: list[str]) -> None:
    """Run ``paracosm plan``."""
    command = parse(PlanCommand, arguments, "paracosm plan")
    recipe = _find_recipe(command.recipe)
    figures = plan_figures(recipe, command.device)
    print(f"{describe(recipe, command.device)}\n")
    show(make_report(command_line("plan", arguments), figures), command.json)


def plan_figures(recipe: ModuleType, device_name: str) -> dict[str, Figure]:
    """Return the figures of a recipe: each stage, then playing, then the sums.

    Raises:
        ConfigError: when there is no such device.
    """
    device = find_device(device_name)
    run = Path("runs")
    figures: dict[str, Figure] = {}
    costs: list[StageCost] = []
    for stage in PLANNED_STAGES:
        if hasattr(recipe, stage):
            costs.append(stage_cost(getattr(recipe, stage)(run)))
            figures |= _stage_figures(stage, costs[-1])
    passes = len(PlayDefaults().levels)
    play = play_cost(recipe.tokenizer(run), recipe.dynamics(run), passes)
    figures["plan.play.flops_per_frame"] = _cost(play.flops_per_frame, "operations")
    figures["plan.play.cache_mb"] = _cost(play.cache_bytes / 1e6, "MB")
    flops = sum(cost.flops for cost in costs)
    memory_gb = max(sum(cost.memory.values()) for cost in costs) / 1e9
    figures["plan.parameters"] = _cost(sum(cost.parameters for cost in costs), "")
    figures["plan.flops"] = _cost(flops, "operations")
    figures["plan.memory_gb"] = _cost(memory_gb, "GB")
    figures["plan.memory_share"] = _cost(memory_gb / device.memory_gb, "share")
    figures["plan.hours"] = _cost(flops / device.flops_per_second / 3600, "hours")
    return figures


def describe(recipe: ModuleType, device_name: str) -> str:
    """Write what the recipe trains, in words, and what the hours rest on."""
    run = Path("runs")
    lines = [(recipe.__doc__ or "").strip().split("\n\n")[0]]
    for stage in PLANNED_STAGES:
        if hasattr(recipe, stage):
            config = getattr(recipe, stage)(run)
            sizes = ", ".join(f"{key} {value}" for key, value in to_json(config.model).items())
            lines.append(f"  {stage}: {config.loop.num_steps:,} steps of batch {config.batch_size}; {sizes}")
    lines.append(
        f"  memory: that of the largest stage, while it trains; hours: {find_device(device_name).source}"
    )
    return "\n".join(lines)


def _stage_figures(stage: str, cost: StageCost) -> dict[str, Figure]:
    return {
        f"plan.{stage}.parameters": _cost(cost.parameters, ""),
        f"plan.{stage}.flops": _cost(cost.flops, "operations"),
        **{f"plan.{stage}.memory_mb.{part}": _cost(size / 1e6, "MB") for part, size in cost.memory.items()},
    }


def _cost(value: float, unit: str) -> Figure:
    return Figure(value=value, unit=unit, higher_is_better=None)


def _find_recipe(name: str) -> ModuleType:
    if name not in RECIPES:
        raise ConfigError(f'there is no recipe "{name}"; choose one of {", ".join(RECIPES)}')
    return importlib.import_module(RECIPES[name])
