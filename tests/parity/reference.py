"""The reference case as our network sees it: weights through the converter, inputs block by block."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from paracosm.models.action_module import window_rows
from paracosm.models.dynamics_video import BlockInput, VideoDynamics

KEPT = Path(__file__).parent / "data"
LATENT_BLOCK, ROWS, FRAMES_PER_LATENT = 3, 12, 4
MAX_ERROR = 2e-5
"""On flows and latents: five times what float32 costs the published code itself."""
MAX_RMS_FLOW, MAX_RMS_LATENTS = 2e-6, 1.5e-6
"""About three times float32's own; a layer norm's wrong epsilon is only seen here."""
MAX_INNER = 3e-5
"""On inner activations, whose own float32 noise reaches 6.5e-6."""


@dataclass(frozen=True)
class Case:
    """Inputs and outputs by the names of the reference; latents are (channel, latent, row, column)."""

    tensors: dict[str, Tensor]
    context: Tensor | None

    def block_of(self, name: str, block: int) -> Tensor:
        part = self.tensors[name][:, LATENT_BLOCK * block : LATENT_BLOCK * (block + 1)]
        return part.transpose(0, 1)[None]

    def given(self, network: VideoDynamics, block: int) -> BlockInput:
        rows = torch.tensor(window_rows(LATENT_BLOCK * block, LATENT_BLOCK, ROWS, FRAMES_PER_LATENT))
        if self.context is None:
            context = network.read_context(self.tensors["in.visual_context"][None])
        else:
            context = tuple(layer.cross.keys_values(self.context[None]) for layer in network.blocks)
        return BlockInput(
            condition=self.block_of("in.cond_concat", block),
            keyboard=self.tensors["in.keyboard"][rows][None],
            mouse=self.tensors["in.mouse"][rows][None],
            context=context,
        )

    def renoise(self, block: int, index: int) -> Tensor:
        return self.tensors["in.renoise"][block, index].transpose(0, 1)[None]


@dataclass(frozen=True)
class ImageTokens:
    """Tokens of the start picture through ``img_emb``; what lies between is anchored by the published end."""

    index: Tensor
    """which of the case's image tokens are kept"""
    tokens: Tensor
    """(token, 1280) as they come from the image encoder"""
    rows: Tensor
    """which rows of the first matrix are kept"""
    hidden: Tensor
    """(token, 1280) after the first matrix and its activation"""
    published: Tensor
    """(token, 96) as the published code gives them"""


def kept_image_tokens() -> tuple[ImageTokens, dict[str, Tensor]]:
    """The tokens in the repository, and the kept case's weights with what is kept of img_emb's matrices."""
    with np.load(KEPT / "image_tokens.npz") as stored:
        tensors = {name: torch.from_numpy(stored[name]) for name in stored.files}
    index, rows = (tensors.pop(name).long() for name in ("tokens_index", "hidden_rows"))
    weights = kept_case()[1]
    weights["model.img_emb.proj.1.weight"][rows] = tensors.pop("proj.1.weight_rows")
    weights["model.img_emb.proj.3.weight"] = tensors.pop("proj.3.weight")
    tensors = _floats(tensors)
    kept = ImageTokens(
        index=index,
        tokens=tensors["tokens"],
        rows=rows,
        hidden=tensors["hidden"],
        published=tensors["dbg.b0p0.img_emb"],
    )
    return kept, weights


def kept_case() -> tuple[Case, dict[str, Tensor]]:
    """The case in the repository, and its weights under their published names."""
    with np.load(KEPT / "matrix_game2_tiny.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    low, high = "half:low:", "half:high:"
    for name in [name for name in arrays if name.startswith(low)]:
        parts = np.stack([arrays.pop(name), arrays.pop(high + name.removeprefix(low))], -1)
        arrays[name.removeprefix(low)] = parts.view(np.float16)[..., 0]
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    weights = {
        name.removeprefix("weights:"): tensors.pop(name)
        for name in list(tensors)
        if name.startswith("weights:")
    }
    # their result is stored as the case's context
    weights["model.img_emb.proj.1.weight"] = torch.zeros(1280, 1280, dtype=torch.float16)
    weights["model.img_emb.proj.3.weight"] = torch.zeros(96, 1280, dtype=torch.float16)
    return Case(tensors=_floats(tensors), context=tensors["context"]), weights


def full_case(folder: Path) -> Case:
    return Case(tensors=_floats(load_file(folder / "case.safetensors")), context=None)


def write_checkpoint(folder: Path, weights: dict[str, Tensor]) -> Path:
    """A folder as it would be downloaded."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(json.loads((KEPT / "config.json").read_text())))
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / "tiny.safetensors")
    return folder


def _floats(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: part.float() if part.is_floating_point() else part for name, part in tensors.items()}
