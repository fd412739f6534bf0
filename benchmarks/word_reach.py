"""How far words reach into a base: ``python -m benchmarks.word_reach WORLD --prompts PROMPTS``.

    python -m benchmarks.word_reach runs/word_base/worlds/minetest \
        --prompts benchmarks/prompts/minetest-1.json --json benchmarks/word_reach_minetest_learnt.json

Two prompts that differ in one word, and in the fact that it names, are answered from the same noise in one
pass. ``reach.FACT`` is the difference of the two answers as a share of what an answer varies in itself: 0
where the base does not hear the word. ``apart.FACT`` is how far that word lies from the other where words
have entered the network, against their size: 0 where it cannot hear it. No clip is judged, so facts that no
reader reads count too; a base may hear a word and still draw it wrongly, which ``prompt_hits`` tells.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from paracosm.core.figures import Figure, figure_of, make_report, show_report, write_report
from paracosm.core.instruct_spec import load_instruct_spec
from paracosm.core.instructions import parse_instruction
from paracosm.core.rng import stream
from paracosm.core.stats import estimate
from paracosm.models.dynamics_masked import MaskedDynamics, clip_conditions
from paracosm.models.text import TextEncoder, TextTokens, collate, make_encoder
from paracosm.models.tokenizer_vae import TokenizerVAE

from .prompt_hits import PROMPTS, Prompt, read_prompts

NUM_SEEDS = 4
"""Noises that each pair of prompts is answered from."""


def pairs_of(prompts: Sequence[Prompt]) -> Iterator[tuple[str, Prompt, Prompt]]:
    """Find the pairs that differ in one word and in what it names.

    Yields:
        The fact ("keys" for all keys) and both prompts.
    """
    for one, two in itertools.combinations(prompts, 2):
        first, second = one.prompt.split(), two.prompt.split()
        if len(first) != len(second) or sum(a != b for a, b in zip(first, second, strict=True)) != 1:
            continue
        named = {name for name, _ in {*one.facts.items()} ^ {*two.facts.items()}}
        kinds = {"keys" if name.startswith("key_") else name for name in named}
        if len(kinds) == 1:
            yield kinds.pop(), one, two


class Answers(Protocol):
    """Hears a prompt."""

    def answer(self, prompt: str) -> tuple[Tensor, Tensor]:
        """Return what is foreseen from a few noises, and the words as they enter, (l, d)."""
        ...


class Listener:
    """Answers prompts from noise in one pass.

    Args:
        folder: of the world.
    """

    def __init__(self, folder: Path) -> None:
        self.spec = spec = load_instruct_spec(folder)
        self.base = MaskedDynamics.load(folder / spec.parts.base.folder).eval()
        self.encoder: TextEncoder = make_encoder(spec.encoder)
        latents = TokenizerVAE.load(folder / spec.parts.tokenizer.folder).config
        frames = spec.given_frames + spec.new_frames
        shape = (latents.latent_channels, latents.latent_height, latents.latent_width)
        noise = stream(0, "reach").standard_normal((NUM_SEEDS, frames, *shape), np.float32)
        self.noise = torch.from_numpy(noise)
        row = clip_conditions(spec.fps, spec.height, spec.width, frames)
        self.conditions = torch.tensor([row] * NUM_SEEDS)

    def tokens(self, prompt: str) -> TextTokens:
        """Read a prompt into its fields as play does, once for each noise."""
        fields = self.base.config.fields
        said = parse_instruction(prompt, self.spec.prompt_fields, self.spec.unchanged)
        states = {fields.index(name): self.encoder.encode([text])[0] for name, text in said.items()}
        return collate([states] * NUM_SEEDS, self.encoder.width)

    @torch.inference_mode()
    def answer(self, prompt: str) -> tuple[Tensor, Tensor]:
        """Return the clean latents foreseen from each noise, and the words as they enter, (l, d)."""
        text = self.tokens(prompt)
        levels = torch.ones(self.noise.shape[:2])
        words = self.base.text(text).states[0, 1:]
        return self.base(self.noise, levels, text, self.conditions), words


def measure(listener: Answers, prompts: Sequence[Prompt], seed: int = 0) -> dict[str, Figure]:
    """Measure all pairs; the figures of a fact are means over its pairs."""
    heard = {one.prompt: listener.answer(one.prompt) for one in prompts}
    reach: dict[str, list[float]] = {}
    apart: dict[str, list[float]] = {}
    for fact, one, two in pairs_of(prompts):
        (answer, words), (other, others) = heard[one.prompt], heard[two.prompt]
        size = answer.std().item()
        reach.setdefault(fact, []).append((answer - other).square().mean().sqrt().item() / size)
        if words.shape == others.shape:
            far = (words - others).norm(dim=-1).max() / words.norm(dim=-1).mean()
            apart.setdefault(fact, []).append(far.item())
    named = [(f"reach.{fact}", found) for fact, found in sorted(reach.items())]
    named += [(f"apart.{fact}", found) for fact, found in sorted(apart.items())]
    return {name: figure_of(estimate(found, seed), "share") for name, found in named}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("world", type=Path, help="folder of the world")
    parser.add_argument("--prompts", type=Path, default=PROMPTS / "doom-1.json")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = measure(Listener(given.world), read_prompts(given.prompts).prompts)
    report = make_report("python -m benchmarks.word_reach " + " ".join(sys.argv[1:]), figures, seeds=(0,))
    print(show_report(report))
    if given.json:
        write_report(report, given.json)


if __name__ == "__main__":
    main()
