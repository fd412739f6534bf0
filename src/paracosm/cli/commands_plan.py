"""The command that says beforehand what a recipe describes and what it would cost: plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from paracosm.cli.arguments import File, command_line, parse, show, stderr_progress
from paracosm.cli.commands_recipe import find_genie, find_street, is_genie
from paracosm.cli.plan_curate import plan_curate
from paracosm.cli.plan_video import describe_video, video_figures
from paracosm.collect.record import RecordConfig
from paracosm.core.config import to_json
from paracosm.core.figures import Figure, make_report
from paracosm.recipes import gamegen_o
from paracosm.recipes.cost import (
    HERE,
    Device,
    PlayCost,
    StageCost,
    find_device,
    num_tokens,
    play_cost,
    stage_cost,
    token_play_cost,
    traced_cost,
)
from paracosm.recipes.gamegen_o import InstructRecipe
from paracosm.recipes.genie import GenieRecipe
from paracosm.recipes.instruct_cost import trace_branch, trace_masked
from paracosm.recipes.matrix_game2 import PREFIX, find_recipe
from paracosm.recipes.street import Street
from paracosm.train.stages.maskgit import ParallelActions


@dataclass(frozen=True, kw_only=True)
class PlanCommand:
    """Say what a recipe describes and would cost, without making a weight or reading a recording.

    paracosm plan curate tells what curating a set of videos would cost; it has options of its own.
    """

    recipe: Annotated[
        tyro.conf.Positional[str],
        tyro.conf.arg(metavar="{doom,coinrun,minetest,own,genie.NAME,gamegen_o.NAME,matrix_game2.NAME}"),
    ]
    """Recipe to plan; the sizes of genie are tiny, small, coinrun_case_study, paper_10b, robotics_2_5b and
    robotics_tiny; those of gamegen_o published, tiny and smoke; those of matrix_game2 universal, gta_drive,
    templerun, foundation, small and tiny."""
    source: Annotated[str, tyro.conf.arg(name="from")] = ""
    """For own: gym:ID, or a folder of recordings."""
    tiny: bool = False
    """Toy sizes."""
    device: str = HERE
    """Device for the hours: h100, a100, rtx-4090, or "here", which is measured for half a second."""
    json: File = None
    """Also write the figures to this file."""


def plan(arguments: list[str]) -> None:
    """Run ``paracosm plan``."""
    if arguments[:1] == ["curate"]:
        plan_curate(arguments[1:])
        return
    command = parse(PlanCommand, arguments, "paracosm plan")
    device = find_device(command.device)
    if is_genie(command.recipe):
        described = find_genie(command.recipe, None, tiny=command.tiny)
        print(f"{describe_genie(described)}\nhours: {device.source}\n")
        show(make_report(command_line("plan", arguments), genie_figures(described, device)), command.json)
        return
    if command.recipe.startswith(gamegen_o.PREFIX):
        told = gamegen_o.find_recipe(command.recipe)
        print(f"{describe_instruct(told)}\nhours: {device.source}\n")
        show(make_report(command_line("plan", arguments), instruct_figures(told, device)), command.json)
        return
    if command.recipe.startswith(PREFIX):
        recipe = find_recipe(command.recipe)
        print(f"{describe_video(recipe)}\nhours: {device.source}\n")
        show(make_report(command_line("plan", arguments), video_figures(recipe, device)), command.json)
        return
    street = find_street(command.recipe, command.source, None, tiny=command.tiny, progress=stderr_progress())
    print(f"{describe(street)}\nhours: {device.source}\n")
    show(make_report(command_line("plan", arguments), plan_figures(street, device)), command.json)


def stages(street: Street) -> Mapping[str, Any]:
    """Return the configs of a street's training stages by name, in order."""
    found = {"tokenizer": street.tokenizer, "dynamics": street.dynamics, "inverse_dynamics": street.reader}
    return {name: config for name, config in found.items() if config is not None}


def describe(street: Street) -> str:
    """Write in words what a recipe records and trains."""
    lines = [f"{street.name}: {street.description}", *_describe_data(street.recordings)]
    lines += _describe_stages(stages(street))
    lines.append(f"  play: noise levels {_show(list(street.play.levels))}, guidance {street.play.guidance:g}")
    return "\n".join(lines)


def plan_figures(street: Street, device: Device) -> dict[str, Figure]:
    """Return the figures of a recipe: recordings, each stage, playing, then the sums."""
    costs = {name: stage_cost(config) for name, config in stages(street).items()}
    play = play_cost(street.tokenizer, street.dynamics, len(street.play.levels))
    data = _data_figures(street.recordings, street.tokenizer.model)
    return data | _stage_figures(costs, device) | _play_figures(play) | _sums(costs, device)


def describe_genie(recipe: GenieRecipe) -> str:
    """Write in words what a recipe of genie records, trains and samples."""
    lines = [f"{recipe.name}: {recipe.description}", *_describe_data(recipe.recordings)]
    lines += _describe_stages(recipe.stages)
    order = "beside" if isinstance(recipe.dynamics.actions, ParallelActions) else "before"
    lines.append(f"  the latent actions are learnt {order} the dynamics")
    sampler = recipe.sampler
    lines.append(f"  play: {sampler.num_passes} passes a frame at temperature {sampler.temperature:g}")
    return "\n".join(lines)


def genie_figures(recipe: GenieRecipe, device: Device) -> dict[str, Figure]:
    """Return the figures of a recipe of genie: as :func:`plan_figures`, and the tokens of its dynamics."""
    costs = {name: stage_cost(config) for name, config in recipe.stages.items()}
    play = token_play_cost(recipe.tokenizer, recipe.dynamics, recipe.sampler)
    tokens = {"plan.dynamics.tokens": _cost(num_tokens(recipe.dynamics), "tokens")}
    data = _data_figures(recipe.recordings, recipe.tokenizer.model)
    return data | _stage_figures(costs, device) | tokens | _play_figures(play) | _sums(costs, device)


def describe_instruct(recipe: InstructRecipe) -> str:
    """Write in words what a recipe of gamegen_o records and trains."""
    lines = [f"{recipe.name}: {recipe.description}", *_describe_data(recipe.recordings)]
    for name, config in recipe.stages.items():
        sizes = ", ".join(
            f"{key} {_show(value)}" for key, value in to_json(config.model).items() if key != "base"
        )
        lines.append(
            f"  {name}: {config.loop.num_steps:,} steps of {config.loop.accumulate} batches; {sizes}"
        )
    play, branch = recipe.play, recipe.branch
    lines.append(
        f"  play: {branch.new_frames} new frames after {branch.given_frames}, {len(play.levels)} passes"
    )
    return "\n".join(lines)


def instruct_figures(recipe: InstructRecipe, device: Device) -> dict[str, Figure]:
    """Return the figures of a recipe of gamegen_o; the branch's operations include the frozen base's."""
    made = recipe.tokenizer.model
    grid = (made.latent_height, made.latent_width)
    costs = {
        "tokenizer": stage_cost(recipe.tokenizer),
        "base": traced_cost(recipe.base, trace_masked(recipe.base, grid)),
        "branch": traced_cost(recipe.branch, trace_branch(recipe.branch, grid)),
    }
    data = _data_figures(recipe.recordings, made)
    return data | _stage_figures(costs, device) | _sums(costs, device)


def _describe_data(recordings: Mapping[str, RecordConfig]) -> list[str]:
    return [
        f"  {split}: {config.num_episodes} episodes of {config.world}, {config.max_steps} steps at most"
        for split, config in recordings.items()
    ]


def _describe_stages(configs: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, config in configs.items():
        sizes = ", ".join(f"{key} {_show(value)}" for key, value in to_json(config.model).items())
        lines.append(f"  {name}: {config.loop.num_steps:,} steps of batch {config.batch_size}; {sizes}")
    return lines


def _stage_figures(costs: Mapping[str, StageCost], device: Device) -> dict[str, Figure]:
    figures = {}
    for name, cost in costs.items():
        figures[f"plan.{name}.parameters"] = _cost(cost.parameters)
        figures[f"plan.{name}.flops"] = _cost(cost.flops, "operations")
        for part, size in cost.memory.items():
            figures[f"plan.{name}.memory_mb.{part}"] = _cost(size / 1e6, "MB")
        figures[f"plan.{name}.hours"] = _cost(cost.flops / device.flops_per_second / 3600, "hours")
    return figures


def _play_figures(play: PlayCost) -> dict[str, Figure]:
    return {
        "plan.play.flops_per_frame": _cost(play.flops_per_frame, "operations"),
        "plan.play.cache_mb": _cost(play.cache_bytes / 1e6, "MB"),
    }


def _sums(costs: Mapping[str, StageCost], device: Device) -> dict[str, Figure]:
    figures = {}
    flops = sum(cost.flops for cost in costs.values())
    # stages train one after the other, so the largest decides
    memory_gb = max(sum(cost.memory.values()) for cost in costs.values()) / 1e9
    figures["plan.parameters"] = _cost(sum(cost.parameters for cost in costs.values()))
    figures["plan.flops"] = _cost(flops, "operations")
    figures["plan.memory_gb"] = _cost(memory_gb, "GB")
    figures["plan.memory_share"] = _cost(memory_gb / device.memory_gb, "share")
    figures["plan.hours"] = _cost(flops / device.flops_per_second / 3600, "hours")
    return figures


def _data_figures(recordings: Mapping[str, RecordConfig], model: Any) -> dict[str, Figure]:
    if not recordings:
        return {}
    frames = sum(config.num_episodes * (config.max_steps + 1) for config in recordings.values())
    return {
        "plan.data.frames_at_most": _cost(frames, "frames"),
        "plan.data.gb_at_most": _cost(frames * model.height * model.width * 3 / 1e9, "GB"),
    }


def _cost(value: float, unit: str = "") -> Figure:
    return Figure(value=value, unit=unit, higher_is_better=None)


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_show(item)}" for key, item in value.items()) + ")"
    return " ".join(str(item) for item in value) if isinstance(value, list) else str(value)
