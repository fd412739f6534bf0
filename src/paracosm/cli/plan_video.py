"""What ``paracosm plan`` and ``paracosm doctor`` say of streamed video worlds: sizes, work, memory, speed."""

from paracosm.core.config import to_json
from paracosm.core.figures import Figure
from paracosm.recipes.cost import HERE, Device, find_device
from paracosm.recipes.matrix_game2 import VideoRecipe, find_recipe
from paracosm.recipes.video_cost import HALF, verdict, video_cost

PLAYED = ("universal", "small")
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


def judge_machine() -> list[str]:
    """Say of each played recipe what this machine can run, and how fast by the cost model."""
    import torch

    device, is_card = find_device(HERE), torch.cuda.is_available()
    if is_card:
        about = torch.cuda.get_device_properties(0)
        known = [name for name in ("h100", "a100", "rtx-4090") if name.split("-")[-1] in about.name.lower()]
        speed = find_device(known[0]).flops_per_second if known else _measure_card()
        device = Device(flops_per_second=speed, memory_gb=about.total_memory / 1e9, source=about.name)
    recipes = (find_recipe(name) for name in PLAYED)
    return [verdict(recipe, video_cost(recipe), device, is_card=is_card) for recipe in recipes]


def _measure_card() -> float:
    """Operations a second of bf16 matrix products on the card, by its own clock."""
    import torch

    side, count = 4096, 20
    one = torch.ones(side, side, device="cuda", dtype=torch.bfloat16)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.mm(one, one)
    begin.record()
    for _ in range(count):
        torch.mm(one, one)
    end.record()
    torch.cuda.synchronize()
    return 2 * side**3 * count / (begin.elapsed_time(end) / 1000)


def _cost(value: float, unit: str = "") -> Figure:
    return Figure(value=value, unit=unit, higher_is_better=None)


def _show(value: object) -> str:
    return " ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
