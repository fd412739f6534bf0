"""Our network, fed by our converter, gives the published network's own numbers, pass by pass."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from paracosm.convert.matrix_game2 import convert_network
from paracosm.models.dynamics_video import VideoDynamics
from paracosm.models.video_stream import StreamSettings, begin, next_block, warped_levels

from .reference import (
    LATENT_BLOCK,
    MAX_ERROR,
    MAX_INNER,
    MAX_RMS_FLOW,
    MAX_RMS_LATENTS,
    Case,
    full_case,
    kept_case,
    kept_image_tokens,
    write_checkpoint,
)
from .watch import watch, watched_errors

FULL = os.environ.get("PARACOSM_PARITY", "")
SETTINGS = StreamSettings(levels=warped_levels((1000, 666, 333), 5.0))
needs_full_case = pytest.mark.skipif(not FULL, reason="PARACOSM_PARITY names no folder with the whole case")


def test_the_schedule_is_the_published_one_to_the_last_bit():
    tensors = kept_case()[0].tensors
    assert list(SETTINGS.levels) == tensors["time.sigmas"].tolist()
    assert (torch.tensor(SETTINGS.levels) * 1000).tolist() == tensors["time.steps"].tolist()


@torch.inference_mode()
def test_image_tokens_are_the_published_networks(tmp_path):
    kept, weights = kept_image_tokens()
    convert_network(write_checkpoint(tmp_path / "from", weights), tmp_path / "to")
    context = VideoDynamics.load(tmp_path / "to").context
    # half of the way at once: of the first matrix only some rows are kept
    hidden = context[:3](kept.tokens)
    assert float((hidden - kept.hidden)[:, kept.rows].abs().max()) <= MAX_INNER
    assert float((context[3:](kept.hidden) - kept.published).abs().max()) <= MAX_INNER
    # the streamed case begins behind img_emb: what it begins with is the published result as well
    begun = kept_case()[0].context
    assert begun is not None
    assert float((begun[kept.index] - kept.published).abs().max()) <= MAX_INNER


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("batch", [1, 2])
def test_streamed_blocks_are_the_published_networks(batch, tmp_path):
    case, weights = kept_case()
    convert_network(write_checkpoint(tmp_path / "from", weights), tmp_path / "to")
    network = VideoDynamics.load(tmp_path / "to")
    tensors, index, second = case.tensors, case.tensors["token_index"].long(), []
    with watch(network) as seen:
        for block, flows, clean in stream(network, case, range(batch), num_blocks=4, last_passes=1):
            second.append(clean[1:])
            for number, flow in enumerate(flows):
                expected = tensors[f"flow_sub7:b{block}.p{number}"]
                check(flow[0].transpose(0, 1)[:, :, ::7, ::7], expected, MAX_RMS_FLOW)
            if block < 3:
                frames = slice(LATENT_BLOCK * block, LATENT_BLOCK * (block + 1))
                expected = tensors["latents_sub7"][:, frames]
                check(clean[0].transpose(0, 1)[:, :, ::7, ::7], expected, MAX_RMS_LATENTS)
    errors = watched_errors(seen["b2p0"], tensors, "dbg.b2p0.", index, None, first=3)
    assert len(errors) >= 8, sorted(errors)
    if batch > 1:  # nothing was published of the second row: it is what it is when it streams alone
        alone = stream(network, case, [1], num_blocks=4, last_passes=1)
        for (_, _, clean), together in zip(alone, second, strict=True):
            check(together, clean, MAX_RMS_LATENTS)


@needs_full_case
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("batch", [1, 2])
def test_the_whole_case(batch, tmp_path, capsys):
    folder = Path(FULL)
    convert_network(folder, tmp_path / "to")
    network, case = VideoDynamics.load(tmp_path / "to"), full_case(folder)
    tensors, worst = case.tensors, {"flow": (0.0, 0.0), "x0": (0.0, 0.0), "latents": (0.0, 0.0)}
    with watch(network) as seen:
        for block, flows, clean in stream(network, case, range(batch), num_blocks=4, last_passes=3):
            x = case.block_of("in.noise", block)
            for number, flow in enumerate(flows):
                expected = tensors[f"out.flow.b{block}.p{number}"]
                note(worst, "flow", check(flow[0].transpose(0, 1), expected, MAX_RMS_FLOW))
                level = SETTINGS.levels[number]
                denoised = (x.double() - level * flow[:1].double()).float()
                if number < 2:
                    expected = tensors[f"out.x0_sub3.b{block}.p{number}"]
                    part = denoised[0].transpose(0, 1)[:, :, ::3, ::3]
                    note(worst, "x0", check(part, expected, MAX_RMS_FLOW))
                    following = SETTINGS.levels[number + 1]
                    x = (1 - following) * denoised + following * case.renoise(block, number)
            frames = slice(LATENT_BLOCK * block, LATENT_BLOCK * (block + 1))
            expected = tensors["out.latents"][:, frames]
            note(worst, "latents", check(clean[0].transpose(0, 1), expected, MAX_RMS_LATENTS))
    index = tensors["dbg.token_index"].long()
    places = {name: tensors[f"dbg.{name}_index"].long() for name in ("position", "context")}
    inner = {}
    for moment, first in (("b0p0", 0), ("b2p0", 3)):
        inner |= watched_errors(seen[moment], tensors, f"dbg.{moment}.", index, places, first=first)
    assert sorted(inner) == sorted(
        name for name in tensors if name.startswith("dbg.") and not name.endswith("_index")
    )
    with capsys.disabled():
        figures = ", ".join(f"{name} {most:.1e} (rms {rms:.1e})" for name, (most, rms) in worst.items())
        sys.stdout.write(f"\nbatch {batch}: {figures}; {len(inner)} inner tensors {max(inner.values()):.1e}")


def stream(network: VideoDynamics, case: Case, rows: Sequence[int], *, num_blocks: int, last_passes: int):
    """Blocks one after the other: number, the flows of the controlled passes, clean latents.

    Row 0 of a batch is the case; row 1 is another one, so that rows that mix are found out.
    """

    def batch(row: Tensor, factor: float) -> Tensor:
        return torch.cat([row, factor * row.flip(-1)])[list(rows)]

    flows: list[Tensor] = []
    plain_step = network.step

    def step(*arguments) -> Tensor:
        flows.append(plain_step(*arguments))
        return flows[-1]

    network.step = step
    with torch.inference_mode():
        state = begin(network, 44, 80, len(rows))
        for block in range(num_blocks):
            given = case.given(network, block)
            given = replace(
                given,
                condition=batch(given.condition, 0.5),
                keyboard=torch.cat([given.keyboard, 1 - given.keyboard])[list(rows)],
                mouse=batch(given.mouse, -1.0),
                context=tuple((batch(k, 0.9), batch(v, 1.1)) for k, v in given.context),
            )
            settings = SETTINGS
            if block + 1 == num_blocks:
                settings = replace(SETTINGS, levels=SETTINGS.levels[:last_passes])
            flows.clear()

            def fresh(index: int, block: int = block) -> Tensor:
                return batch(case.renoise(block, index), -1.0)

            noise = batch(case.block_of("in.noise", block), -1.0)
            clean, state = next_block(network, state, noise, given, settings, fresh)
            yield block, flows[:], clean


def check(made: Tensor, expected: Tensor, max_rms: float) -> tuple[float, float]:
    difference = (made - expected).abs()
    most, rms = float(difference.max()), float(difference.square().mean().sqrt())
    assert most <= MAX_ERROR, most
    assert rms <= max_rms, rms
    return most, rms


def note(worst: dict[str, tuple[float, float]], name: str, error: tuple[float, float]) -> None:
    worst[name] = max(worst[name][0], error[0]), max(worst[name][1], error[1])
