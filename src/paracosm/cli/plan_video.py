"""What ``paracosm plan`` and ``paracosm doctor`` say of streamed video worlds: sizes, work, memory, speed."""

import functools
from collections.abc import Mapping

from paracosm.core.config import to_json
from paracosm.core.figures import Figure, not_computed
from paracosm.recipes.cost import Device
from paracosm.recipes.matrix_game2 import VideoRecipe, find_recipe
from paracosm.recipes.video_cost import HALF, video_cost
from paracosm.recipes.video_machine import Judgement, Machine, find_machine, judge

PLAYED = ("universal", "gta_drive", "templerun", "small")
"""Recipes that ``paracosm doctor`` judges a machine by."""


def describe_video(recipe: VideoRecipe) -> str:
    """Write in words what a recipe is and trains."""
    model = to_json(recipe.model)
    actions = model.pop("actions")
    lines = [f"{recipe.name}: {recipe.description}", f"  picture: {recipe.width} x {recipe.height}"]
    for title, sizes in (("network", model), ("actions", actions)):
        lines.append(f"  {title}: {', '.join(f'{key} {_show(value)}' for key, value in sizes.items())}")
    for name, plan in recipe.training.items():
        lines.append(
            f"  {name}: {plan.num_steps:,} steps of {plan.batch_size} clips of {plan.clip_latents} latents"
        )
    lines.append(f"  play: noise levels {_show(recipe.levels) or 'none: it sees whole clips'}")
    return "\n".join(lines)


def video_figures(recipe: VideoRecipe, device: Device) -> dict[str, Figure]:
    """Return the figures of a recipe: the network, playing, then training."""
    cost = video_cost(recipe)
    memory_gb = cost.memory_bytes(recipe.height * recipe.width, HALF) / 1e9
    figures = {
        "plan.tensors": _cost(cost.tensors),
        "plan.parameters": _cost(cost.parameters),
        "plan.forward_flops": _cost(cost.forward_flops, "operations"),
    }
    if recipe.levels:
        figures |= {
            "plan.play.decode_flops_per_block": _cost(cost.decode_flops, "operations"),
            "plan.play.flops_per_block": _cost(cost.block_flops, "operations"),
            "plan.play.flops_per_frame": _cost(cost.block_flops / cost.block_frames, "operations"),
            "plan.play.cache_mb": _cost(cost.cache_bytes / 1e6, "MB"),
            "plan.play.memory_gb": _cost(memory_gb, "GB"),
            "plan.play.frames_per_second": _cost(cost.frames_per_second(device.flops_per_second), "frames/s"),
        }
    for name, flops in cost.training_flops.items():
        figures[f"plan.{name}.flops"] = _cost(flops, "operations")
        figures[f"plan.{name}.hours"] = _cost(flops / device.flops_per_second / 3600, "hours")
    flops = sum(cost.training_flops.values())
    figures["plan.flops"] = _cost(flops, "operations")
    figures["plan.hours"] = _cost(flops / device.flops_per_second / 3600, "hours")
    return figures


@functools.cache
def judgements() -> Mapping[str, Judgement]:
    """Judge every recipe that plays by this machine, once a process."""
    return judge_all(find_machine())


def judge_all(machine: Machine) -> dict[str, Judgement]:
    """Judge every recipe that plays by a machine."""
    recipes = {name: find_recipe(name) for name in PLAYED}
    return {name: judge(recipe, video_cost(recipe), machine) for name, recipe in recipes.items()}


def describe_machine(machine: Machine, judged: Mapping[str, Judgement]) -> list[str]:
    """Say which precision to take for each recipe, what each costs, and which decoder there is."""
    speeds = ", ".join(f"{speed / 1e12:.2g} in {name}" for name, speed in machine.speeds.items())
    lines = [
        f"Matrix-Game 2.0 on {machine.name} with {machine.memory_gb:.1f} GB, by memory and counted work "
        f"over TFLOP/s of matrix products ({speeds}):"
    ]
    lines += [_describe_recipe(name, machine, judgement) for name, judgement in judged.items()]
    shares = ", ".join(f"{judged[name].decoder_share:.0%} of {name}" for name in judged)
    lines.append(f"decoder: take the full one of Wan 2.1; there is no other; its share of the work: {shares}")
    return lines


def machine_figures(machine: Machine, judged: Mapping[str, Judgement]) -> dict[str, Figure]:
    """Return what :func:`describe_machine` says as figures."""
    figures = {
        f"doctor.streamed.{name}.flops_per_second": _cost(speed, "operations/s")
        for name, speed in machine.speeds.items()
    }
    for recipe, judgement in judged.items():
        figures[f"doctor.streamed.{recipe}.decoder_share"] = _cost(judgement.decoder_share, "share")
        for name, way in judgement.ways.items():
            head = f"doctor.streamed.{recipe}.{name}"
            figures[f"{head}.memory_gb"] = _cost(way.memory_gb, "GB")
            figures[f"{head}.frames_per_second"] = (
                _cost(way.frames_per_second, "frames/s")
                if way.fits
                else not_computed("undefined", f"does not fit into {machine.memory_gb:.1f} GB", "frames/s")
            )
            figures[f"{head}.take"] = _cost(int(name == judgement.best), "1: take this one")
    return figures


def _describe_recipe(name: str, machine: Machine, judgement: Judgement) -> str:
    if not judgement.best:
        needs = ", ".join(f"{way.memory_gb:.1f} GB in {key}" for key, way in judgement.ways.items())
        return f"{name}: does not fit into {machine.memory_gb:.1f} GB; needs {needs}"
    best, fps = judgement.ways[judgement.best], find_recipe(name).fps
    advice = "plays live" if best.frames_per_second >= fps else "for looking, not for live play"
    others = [
        f"{key} {way.memory_gb:.1f} GB, "
        + (f"{_speed(way.frames_per_second)} frames/s" if way.fits else "does not fit")
        for key, way in judgement.ways.items()
        if key != judgement.best
    ]
    return (
        f"{name}: take --dtype {judgement.best}: {best.memory_gb:.1f} GB, about "
        f"{_speed(best.frames_per_second)} frames/s of {fps:g}, {advice}"
        + "".join(f"; {other}" for other in others)
    )


def _speed(frames_per_second: float) -> str:
    return f"{frames_per_second:.0f}" if frames_per_second >= 10 else f"{frames_per_second:.2g}"


def _cost(value: float, unit: str = "") -> Figure:
    return Figure(value=value, unit=unit, higher_is_better=None)


def _show(value: object) -> str:
    return " ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
