"""Speed of a recipe of genie: ``python -m benchmarks.genie_speed small --json FILE``.

Two tables in one report. Training: frames a second of each stage, and the share of this machine's own matrix
product peak in bf16 that its operations reach, both measured in processor time of one thread, so that a busy
machine does not count as a slow network. Play: seconds of a frame with the past cached and with the window
re-run at each pass, as other projects do it, and how many frames went through the network for one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from paracosm.core.figures import Figure, make_report, write_report
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.latent_actions import LatentActions
from paracosm.models.mask_schedule import SamplerConfig, mask_levels
from paracosm.models.masking import MaskedFrame, fill, remask
from paracosm.models.rollout import next_frame
from paracosm.models.token_rollout import TokenRollout
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.recipes import genie
from paracosm.recipes.cost import stage_cost
from paracosm.recipes.genie import GenieRecipe
from paracosm.train.optim import make_optimizer

PEAK_SIDE = 2048
"""Side of the matrices whose product measures the peak."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=list(genie.RECIPES))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--passes", type=int, default=25)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = genie.RECIPES[options.recipe](Path("runs"))
    figures = training_figures(recipe, options.steps) | play_figures(recipe, options.passes)
    for name, figure in figures.items():
        print(f"{name:48} {figure.value:12.4g} {figure.unit}")
    if options.json:
        command = f"python -m benchmarks.genie_speed {options.recipe}"
        write_report(make_report(command, figures), options.json)


def training_figures(recipe: GenieRecipe, steps: int) -> dict[str, Figure]:
    """Frames a second and share of the peak of each stage, on random inputs of the right shape."""
    peak = measure_peak()
    figures = {"machine.bf16_product_peak": Figure(value=peak / 1e9, unit="GFLOP/s")}
    for name, config in recipe.stages.items():
        step, frames = make_step(name, config)
        step()
        began, walled = time.process_time(), time.perf_counter()
        for _ in range(steps):
            step()
        seconds, wall = (time.process_time() - began) / steps, (time.perf_counter() - walled) / steps
        cost = stage_cost(config).flops_per_step
        figures[f"training.{name}.frames_per_second"] = Figure(
            value=frames / seconds, unit="frames/s", n=steps
        )
        figures[f"training.{name}.frames_per_wall_second"] = Figure(
            value=frames / wall, unit="frames/s", n=steps
        )
        figures[f"training.{name}.peak_share"] = Figure(value=cost / seconds / peak, unit="share", n=steps)
    return figures


def make_step(name: str, config: object) -> tuple[Callable[[], None], int]:
    """One optimiser step of a stage without its data, and the frames that it sees."""
    batch, frames, model = config.batch_size, config.clip_frames, config.model  # pyright: ignore
    if name == "dynamics":
        network: nn.Module = MaskGITDynamics(model)
        codes = torch.randint(model.num_codes, (batch, frames, model.tokens_per_frame))
        mask = torch.rand(codes.shape) < 0.75
        actions, known = torch.randn(batch, frames, model.control_width), torch.ones(batch, frames).bool()
        past = codes if config.past == "clean" else None  # pyright: ignore[reportAttributeAccessIssue]

        def loss() -> Tensor:
            x = network(codes.masked_fill(mask, model.mask_code), actions, known, past)
            return nn.functional.cross_entropy(network.head(x[mask]).float(), codes[mask])
    else:
        network = TokenizerVQ(model) if name == "tokenizer" else LatentActions(model)
        seen = model if name == "tokenizer" else model.input
        pixels = torch.rand(batch, frames, 3, seen.height, seen.width) * 2 - 1

        def loss() -> Tensor:
            made, _, quantized = network(pixels)
            return (made - pixels[:, -made.shape[1] :]).square().mean() + quantized.loss

    optimizer = make_optimizer([network], config.loop.optim)  # pyright: ignore[reportAttributeAccessIssue]

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            total = loss()
        total.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, batch * frames


@torch.inference_mode()
def play_figures(recipe: GenieRecipe, passes: int) -> dict[str, Figure]:
    """Seconds of a frame, cached and re-run, with a full memory."""
    dynamics = MaskGITDynamics(recipe.dynamics.model).eval()
    config = dynamics.config
    passes = min(passes, config.tokens_per_frame)
    codes = torch.randint(config.num_codes, (1, config.window + 1, config.tokens_per_frame))
    actions, known = (
        torch.randn(1, config.window + 1, config.control_width),
        torch.ones(1, config.window + 1) > 0,
    )
    cache = dynamics.empty_cache()
    for t in range(config.window):
        now = slice(t, t + 1)
        cache = dynamics.write(codes[:, now], actions[:, now], known[:, now], cache)
    draws = torch.rand(passes, 1, 1, config.tokens_per_frame)
    control = (actions[:, -1:], known[:, -1:])
    rollout = TokenRollout(dynamics, SamplerConfig(num_passes=passes))
    cached = timed(lambda: rollout.next(draws, control, cache))

    def rerun(x: MaskedFrame, level: float, control: object, cache: object) -> object:
        whole = torch.cat([codes[:, :-1], x.codes], 1)
        return fill(x, dynamics.head(dynamics(whole, actions, known)[:, -1:]), 1.0)

    again = timed(
        lambda: next_frame(
            rerun,
            lambda clean, control, cache: cache,
            MaskedFrame.begin(config.mask_code, draws),
            mask_levels(passes),
            None,
            None,
            renoise=remask(config.mask_code),
        )
    )
    frames = config.window + 1
    return {
        "play.cached_seconds": Figure(value=cached, unit="s", higher_is_better=False),
        "play.rerun_seconds": Figure(value=again, unit="s", higher_is_better=False),
        "play.times_faster": Figure(value=again / cached, unit="times"),
        "play.cached_frame_passes": Figure(value=passes + 1, higher_is_better=False),
        "play.rerun_frame_passes": Figure(value=passes * frames, higher_is_better=False),
    }


def timed(function: Callable[[], object]) -> float:
    """Processor seconds of a call; the first is not counted."""
    function()
    began = time.process_time()
    function()
    return time.process_time() - began


def measure_peak() -> float:
    """Operations a second of a bf16 matrix product, in processor time of one thread."""
    one = torch.randn(PEAK_SIDE, PEAK_SIDE).bfloat16()
    one @ one
    began = time.process_time()
    for _ in range(4):
        one @ one
    return 4 * 2 * PEAK_SIDE**3 / (time.process_time() - began)


if __name__ == "__main__":
    main()
