"""Speed of a recipe of genie: ``python -m benchmarks.genie_speed small --json FILE``.

On random weights of the recipe's sizes. Training: frames a second of each stage, and the share of this
machine's own matrix product peak that its operations reach, in the number type that training takes here.
Play: frames a second of the world as a player runs it, without torch, at several numbers of passes, on every
core and on one; and, in torch, a frame with the past cached against the window run again at each pass, as
other projects do it. All in processor time too, so that a busy machine does not count as a slow network.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from paracosm.core.controls import Control
from paracosm.core.figures import Figure, make_report, write_report
from paracosm.core.rng import stream
from paracosm.core.stats import percentiles
from paracosm.core.token_spec import TokenStarts
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.latent_actions import LatentActions
from paracosm.models.mask_schedule import SamplerConfig, mask_levels
from paracosm.models.masking import MaskedFrame, fill, remask
from paracosm.models.rollout import next_frame
from paracosm.models.token_rollout import TokenRollout
from paracosm.models.token_world import build_token_world
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.play.token_world import TokenEngineConfig, TokenWorld
from paracosm.recipes import genie
from paracosm.recipes.cost import stage_cost
from paracosm.recipes.genie import GenieRecipe
from paracosm.train.optim import make_optimizer
from paracosm.train.precision import autocast, choose_precision
from paracosm.train.stages.latent_actions import latent_action_loss

PEAK_SIDE = 1024
"""Side of the matrices whose product measures the peak."""
PASSES = (1, 4, 8, 25)
"""Numbers of passes that play is measured at."""
WARM_UP = 16
"""Frames before play is timed: a whole memory."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=list(genie.RECIPES))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--frames", type=int, default=100, help="of play, for each number of passes")
    parser.add_argument(
        "--parts", nargs="+", choices=["training", "play", "cache"], default=["training", "play", "cache"]
    )
    parser.add_argument("--compile", action="store_true", help="the repeated blocks, in training")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = genie.RECIPES[options.recipe](Path("runs"))
    figures: dict[str, Figure] = {}
    if "training" in options.parts:
        figures |= training_figures(recipe, options.steps, options.compile)
    if "play" in options.parts:
        figures |= play_figures(recipe, options.frames)
    if "cache" in options.parts:
        figures |= cache_figures(recipe, PASSES[-1])
    for name, figure in figures.items():
        print(f"{name:48} {figure.value:12.4g} {figure.unit}")
    if options.json:
        command = f"python -m benchmarks.genie_speed {options.recipe}"
        write_report(make_report(command, figures), options.json)


def training_figures(recipe: GenieRecipe, steps: int, compile_blocks: bool) -> dict[str, Figure]:
    """Frames a second and share of the peak of each stage, on random inputs of the right shape."""
    kind = choose_precision("auto", "cpu")
    peak = measure_peak(torch.bfloat16 if kind == "bf16" else torch.float32)
    figures = {f"machine.{kind}_product_peak": Figure(value=peak / 1e9, unit="GFLOP/s")}
    for name, config in recipe.stages.items():
        step, frames = make_step(name, config, compile_blocks)
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


def make_step(name: str, config: object, compile_blocks: bool = False) -> tuple[Callable[[], None], int]:
    """One optimiser step of a stage without its data, and the frames that it sees."""
    batch, frames, model = config.batch_size, config.clip_frames, config.model  # pyright: ignore
    if name == "dynamics":
        network: nn.Module = MaskGITDynamics(model)
        blocks = [*network.stack.blocks]
        codes = torch.randint(model.num_codes, (batch, frames, model.tokens_per_frame))
        mask = torch.rand(codes.shape) < 0.75
        actions, known = torch.randn(batch, frames, model.control_width), torch.ones(batch, frames).bool()
        past = codes if config.past == "clean" else None  # pyright: ignore[reportAttributeAccessIssue]

        def loss() -> Tensor:
            x = network(codes.masked_fill(mask, model.mask_code), actions, known, past)
            return nn.functional.cross_entropy(network.head(x[mask]).float(), codes[mask])
    elif name == "tokenizer":
        network = TokenizerVQ(model)
        blocks = [*network.encoder.blocks, *network.decoder.blocks]
        pixels = torch.rand(batch, frames, 3, model.height, model.width) * 2 - 1

        def loss() -> Tensor:
            made, _, quantized = network(pixels)
            return (made - pixels).square().mean() + quantized.loss
    else:
        network = LatentActions(model)
        blocks = [*network.encoder.blocks, *network.decoder.blocks]
        pixels = torch.rand(batch, frames, 3, model.input.height, model.input.width) * 2 - 1
        draws, errors = torch.Generator().manual_seed(0), config.errors  # pyright: ignore

        def loss() -> Tensor:
            return latent_action_loss(network, pixels, draws, errors)[0]

    for block in blocks if compile_blocks else []:
        block.compile(dynamic=False)
    optimizer = make_optimizer([network], config.loop.optim)  # pyright: ignore[reportAttributeAccessIssue]

    def step() -> None:
        with autocast("auto", "cpu"):
            total = loss()
        total.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, batch * frames


def play_figures(recipe: GenieRecipe, frames: int) -> dict[str, Figure]:
    """Frames a second of the world as it is played, decoded pictures and sampling included.

    As it opens here, on every core that this process may use, and on one core alone.
    """
    figures = {}
    ways = {"": TokenEngineConfig(), ".one_core": TokenEngineConfig(num_threads=1, overlap="none")}
    with tempfile.TemporaryDirectory() as folder:
        build_random(recipe, Path(folder) / "world")
        for way, config in ways.items():
            world = TokenWorld(Path(folder) / "world", config)
            world.reset()
            for _ in range(WARM_UP):
                world.step(Control(latent=0))
            for passes in PASSES:
                world.set_passes(passes)
                began, taken = time.process_time(), []
                for i in range(frames):
                    asked = time.perf_counter()
                    world.step(Control(latent=i % 2))
                    taken.append(time.perf_counter() - asked)
                busy = time.process_time() - began
                times = percentiles(1000 * np.array(taken), (50, 99))
                name = f"play.passes_{passes}{way}"
                rates = {"second": frames / sum(taken), "processor_second": frames / busy}
                for unit, rate in rates.items():
                    figures[f"{name}.frames_per_{unit}"] = Figure(value=rate, unit="frames/s", n=frames)
                for at, value in times.items():
                    figures[f"{name}.step_ms.{at}"] = Figure(
                        value=value, unit="ms", n=frames, higher_is_better=False
                    )
            world.close()
    return figures


def build_random(recipe: GenieRecipe, folder: Path) -> None:
    """A world folder of a recipe's sizes, with random weights."""
    tokenizer, dynamics = TokenizerVQ(recipe.tokenizer.model), MaskGITDynamics(recipe.dynamics.model)
    sizes = recipe.tokenizer.model
    picture = stream(0, "picture").integers(0, 256, (1, 4, sizes.height, sizes.width, 3), np.uint8)
    build_token_world(
        folder,
        tokenizer=tokenizer.eval(),
        dynamics=dynamics.eval(),
        starts=TokenStarts(frames=picture, actions=np.zeros((1, 3), np.int64)),
        name=recipe.name,
        description="Random weights.",
        fps=15.0,
        idle_action=0,
        sampler=recipe.sampler,
        storage="int8",
    )


@torch.inference_mode()
def cache_figures(recipe: GenieRecipe, passes: int) -> dict[str, Figure]:
    """Seconds of a frame in torch, cached and re-run, with a full memory."""
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
        "cache.cached_seconds": Figure(value=cached, unit="s", higher_is_better=False),
        "cache.rerun_seconds": Figure(value=again, unit="s", higher_is_better=False),
        "cache.times_faster": Figure(value=again / cached, unit="times"),
        "cache.cached_frame_passes": Figure(value=passes + 1, higher_is_better=False),
        "cache.rerun_frame_passes": Figure(value=passes * frames, higher_is_better=False),
    }


def timed(function: Callable[[], object]) -> float:
    """Processor seconds of a call; the first is not counted."""
    function()
    began = time.process_time()
    function()
    return time.process_time() - began


def measure_peak(kind: torch.dtype) -> float:
    """Operations a second of a matrix product, in processor time of one thread."""
    one = torch.randn(PEAK_SIDE, PEAK_SIDE).to(kind)
    torch.mm(one, one)
    began = time.process_time()
    for _ in range(8):
        torch.mm(one, one)
    return 8 * 2 * PEAK_SIDE**3 / (time.process_time() - began)


if __name__ == "__main__":
    main()
