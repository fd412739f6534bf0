"""The command that says beforehand what a recipe describes and what it would cost: plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from paracosm.cli.arguments import File, command_line, parse, show, stderr_progress
from paracosm.cli.commands_recipe import find_street
from paracosm.core.config import to_json
from paracosm.core.figures import Figure, make_report
from paracosm.recipes.cost import HERE, Device, find_device, play_cost, stage_cost
from paracosm.recipes.street import Street


@dataclass(frozen=True, kw_only=True)
class PlanCommand:
    """Say what a recipe describes and would cost, without making a weight or reading a recording."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="{doom,coinrun,own}")]
    """Recipe to plan."""
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
    command = parse(PlanCommand, arguments, "paracosm plan")
    device = find_device(command.device)
    street = find_street(command.recipe, command.source, None, tiny=command.tiny, progress=stderr_progress())
    print(f"{describe(street)}\nhours: {device.source}\n")
    show(make_report(command_line("plan", arguments), plan_figures(street, device)), command.json)


def stages(street: Street) -> Mapping[str, Any]:
    """Return the configs of a street's training stages by name, in order."""
    found = {"tokenizer": street.tokenizer, "dynamics": street.dynamics, "inverse_dynamics": street.reader}
    return {name: config for name, config in found.items() if config is not None}


def describe(street: Street) -> str:
    """Write in words what a recipe records and trains."""
    lines = [f"{street.name}: {street.description}"]
    for split, config in street.recordings.items():
        lines.append(
            f"  {split}: {config.num_episodes} episodes of {config.world}, {config.max_steps} steps at most"
        )
    for name, config in stages(street).items():
        sizes = ", ".join(f"{key} {_show(value)}" for key, value in to_json(config.model).items())
        lines.append(f"  {name}: {config.loop.num_steps:,} steps of batch {config.batch_size}; {sizes}")
    lines.append(f"  play: noise levels {_show(list(street.play.levels))}, guidance {street.play.guidance:g}")
    return "\n".join(lines)


def plan_figures(street: Street, device: Device) -> dict[str, Figure]:
    """Return the figures of a recipe: recordings, each stage, playing, then the sums."""
    costs = {name: stage_cost(config) for name, config in stages(street).items()}
    figures = _data_figures(street)
    for name, cost in costs.items():
        figures[f"plan.{name}.parameters"] = _cost(cost.parameters)
        figures[f"plan.{name}.flops"] = _cost(cost.flops, "operations")
        for part, size in cost.memory.items():
            figures[f"plan.{name}.memory_mb.{part}"] = _cost(size / 1e6, "MB")
        figures[f"plan.{name}.hours"] = _cost(cost.flops / device.flops_per_second / 3600, "hours")
    play = play_cost(street.tokenizer, street.dynamics, len(street.play.levels))
    figures["plan.play.flops_per_frame"] = _cost(play.flops_per_frame, "operations")
    figures["plan.play.cache_mb"] = _cost(play.cache_bytes / 1e6, "MB")
    flops = sum(cost.flops for cost in costs.values())
    # stages train one after the other, so the largest decides
    memory_gb = max(sum(cost.memory.values()) for cost in costs.values()) / 1e9
    figures["plan.parameters"] = _cost(sum(cost.parameters for cost in costs.values()))
    figures["plan.flops"] = _cost(flops, "operations")
    figures["plan.memory_gb"] = _cost(memory_gb, "GB")
    figures["plan.memory_share"] = _cost(memory_gb / device.memory_gb, "share")
    figures["plan.hours"] = _cost(flops / device.flops_per_second / 3600, "hours")
    return figures


def _data_figures(street: Street) -> dict[str, Figure]:
    if not street.recordings:
        return {}
    frames = sum(config.num_episodes * (config.max_steps + 1) for config in street.recordings.values())
    model = street.tokenizer.model
    return {
        "plan.data.frames_at_most": _cost(frames, "frames"),
        "plan.data.gb_at_most": _cost(frames * model.height * model.width * 3 / 1e9, "GB"),
    }


def _cost(value: float, unit: str = "") -> Figure:
    return Figure(value=value, unit=unit, higher_is_better=None)


def _show(value: Any) -> str:
    return " ".join(str(item) for item in value) if isinstance(value, list) else str(value)
