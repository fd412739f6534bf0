"""What the claims of genie are measured by: Delta_t PSNR, action margin, loss; and tables that resume.

Shared by the groups of ``genie_claims`` and by ``genie_meaning``. Held-out clips are drawn by seed, so every
variant is judged on the same ones, under the same masks and draws.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paracosm.core.figures import commit, hardware
from paracosm.core.rng import stream
from paracosm.data.clips import control_rows
from paracosm.data.pieces import FrameClips
from paracosm.data.reader import Dataset
from paracosm.evaluate.metrics.responses import action_margin
from paracosm.models.dynamics_flow import shift_controls
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.latent_actions import CodeInput, LatentActions
from paracosm.models.mask_schedule import SamplerConfig
from paracosm.models.masking import draw_mask
from paracosm.models.pixels import to_pixels
from paracosm.models.token_rollout import dream_codes
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.train.losses import psnr_db

START, HORIZON = 4, 4
"""True frames that a dream starts from, and the frame after them that Delta_4 PSNR compares."""

Row = Mapping[str, float | str]
"""One row of a table."""


@dataclass(frozen=True, kw_only=True)
class Networks:
    """What a variant is made of; without a latent action model its actions are the recorded controls."""

    tokenizer: TokenizerVQ
    dynamics: MaskGITDynamics
    actions: LatentActions | None


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Clips that no variant has seen.

    Attributes:
        pixels: (n, t, c, h, w) in [-1, 1].
        controls: (n, t - 1, a), the recorded ones.
    """

    pixels: Tensor
    controls: Tensor


def draw_held_out(folder: Path, count: int) -> HeldOut:
    """Draw clips of START + HORIZON frames from the recordings of a folder."""
    episodes = Dataset(folder).episodes
    length = START + HORIZON
    clips = FrameClips(episodes, length, seed=0)
    places = clips.places(0, 0, count)
    rows = {i: control_rows(episodes[i]) for i, _ in places}
    controls = np.stack([rows[i][first : first + length - 1] for i, first in places])
    pixels = to_pixels(torch.from_numpy(clips.cut(places)))
    return HeldOut(pixels=pixels, controls=torch.from_numpy(controls).float())


@torch.no_grad()
def reconstruction_db(networks: Networks, held_out: HeldOut) -> float:
    """PSNR of the tokenizer's own pictures: no dream of it can be better."""
    tokenizer = networks.tokenizer
    return float(psnr_db(tokenizer.decode(tokenizer.encode(held_out.pixels)), held_out.pixels))


def delta_psnr(networks: Networks, held_out: HeldOut, sampler: SamplerConfig) -> dict[str, float]:
    """Delta_t PSNR at t = HORIZON: how much worse a dream is under actions that were drawn at random.

    Source: Genie 2402.15391, section 3.
    """
    told, drawn = delta_scores(networks, held_out, sampler)
    difference = told - drawn
    return {
        "psnr_db": float(told.mean()),
        f"delta_{HORIZON}_psnr_db": float(difference.mean()),
        "standard_error": float(difference.std(ddof=1) / np.sqrt(len(difference))),
        "clips": len(difference),
    }


@torch.no_grad()
def delta_scores(
    networks: Networks, held_out: HeldOut, sampler: SamplerConfig
) -> tuple[np.ndarray, np.ndarray]:
    """PSNR in dB of frame HORIZON of each clip, float64 (n,): under its own actions, and under drawn ones."""
    codes = networks.tokenizer.encode(held_out.pixels)
    told = true_actions(networks, held_out, codes)
    drawn = random_actions(networks, held_out, told)
    last = slice(START + HORIZON - 1, START + HORIZON)
    scores = []
    for actions in (told, drawn):
        picture = _dream(networks, codes, actions, sampler)[:, last]
        scores.append(
            [float(psnr_db(picture[i, None], held_out.pixels[i, None, last])) for i in range(len(codes))]
        )
    return np.array(scores[0]), np.array(scores[1])


@torch.no_grad()
def action_margins(networks: Networks, held_out: HeldOut, sampler: SamplerConfig) -> dict[int, np.ndarray]:
    """Smallest error under a wrong learnt action minus that under those found, after 1 and HORIZON steps.

    A wrong action is any other than the one found at the first step, and is held to the end. All dreams of a
    clip share their draws. The smallest of several errors is smaller than any: a world that is blind to its
    actions scores 0, one that answers at random below.

    Returns:
        Steps to float64 (n,), squared grey levels of 255.
    """
    model = networks.actions
    assert model is not None, "a world of recorded controls has no other learnt action"
    codes = networks.tokenizer.encode(held_out.pixels)
    told = model.infer(codes if isinstance(model.config.input, CodeInput) else held_out.pixels)
    dreams = [told]
    for other in range(1, model.config.num_actions):
        wrong = told.clone()
        wrong[:, START - 1 :] = ((told[:, START - 1] + other) % model.config.num_actions)[:, None]
        dreams.append(wrong)
    errors = []
    for actions in dreams:
        made = _dream(networks, codes, networks.dynamics.action_vectors(actions), sampler)
        difference = 127.5 * (made - held_out.pixels)[:, START:]
        errors.append(difference.square().mean((2, 3, 4)).double().numpy())
    right, wrong = errors[0], np.stack(errors[1:], 1)
    return {step: action_margin(right[:, step - 1], wrong[:, :, step - 1]) for step in (1, HORIZON)}


def _dream(networks: Networks, codes: Tensor, actions: Tensor, sampler: SamplerConfig) -> Tensor:
    """Pictures (n, t, c, h, w) that go on from the first START frames under action vectors (n, t - 1, a)."""
    made = dream_codes(networks.dynamics, codes[:, :START], shift_controls(actions), sampler)
    return networks.tokenizer.decode(made)


@torch.no_grad()
def held_out_loss(networks: Networks, held_out: HeldOut) -> float:
    """Cross-entropy in nats of masked codes that see a clean past, under masks that are the same for all."""
    dynamics = networks.dynamics
    codes = networks.tokenizer.encode(held_out.pixels)
    actions = shift_controls(true_actions(networks, held_out, codes))
    mask = draw_mask(codes.shape, torch.Generator().manual_seed(0))
    known = torch.ones(codes.shape[:2], dtype=torch.bool)
    known[:, 0] = False
    masked = codes.masked_fill(mask, dynamics.config.mask_code)
    features = dynamics(masked, actions, known, codes)
    return float(functional.cross_entropy(dynamics.head(features[mask]), codes[mask]))


def true_actions(networks: Networks, held_out: HeldOut, codes: Tensor) -> Tensor:
    """Action vectors (n, t - 1, a) as found in the clips, or as recorded."""
    model = networks.actions
    if model is None:
        return held_out.controls
    seen = codes if isinstance(model.config.input, CodeInput) else held_out.pixels
    return networks.dynamics.action_vectors(model.infer(seen))


def random_actions(networks: Networks, held_out: HeldOut, told: Tensor) -> Tensor:
    """Actions drawn evenly among the learnt ones, or recorded controls of other clips."""
    draws = stream(0, "random actions")
    if networks.actions is None:
        return held_out.controls[torch.from_numpy(draws.permutation(len(told)))]
    drawn = draws.integers(networks.dynamics.config.num_actions, size=told.shape[:2])
    return networks.dynamics.action_vectors(torch.from_numpy(drawn))


def fit_power_law(sizes: Sequence[float], losses: Sequence[float]) -> dict[str, float]:
    """Fit loss = scale * size ** -exponent by least squares of logarithms.

    Returns:
        The exponent, its standard error from the residuals, and the share of variance explained. A floor
        that no size goes below is not fitted: few sizes could not tell it.

    Raises:
        ValueError: for fewer than three sizes, whose fit has no error.
    """
    if len(sizes) < 3:
        raise ValueError(f"{len(sizes)} sizes give no error of a line's slope; measure at least 3")
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(losses, float))
    slope, offset = np.polyfit(x, y, 1)
    rest = y - (slope * x + offset)
    spread = ((x - x.mean()) ** 2).sum()
    error = float(np.sqrt((rest**2).sum() / (len(x) - 2) / spread))
    explained = 1.0 - float((rest**2).sum() / ((y - y.mean()) ** 2).sum()) if y.std() else 0.0
    return {"exponent": float(-slope), "standard_error": error, "explained": explained}


class Table:
    """Rows by name in OUT/NAME.jsonl: each is kept as it comes, and one that is there is not made again."""

    def __init__(self, out: Path, name: str) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._out, self._name = out, name
        self._file = out / f"{name}.jsonl"
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self.rows: dict[str, dict[str, float | str]] = {row["row"]: row for row in map(json.loads, lines)}

    def add(self, row: str, make: Callable[[], Row]) -> dict[str, float | str]:
        """Return a row, made now when it is not there yet."""
        if row not in self.rows:
            self.rows[row] = {"row": row, **make()}
            with self._file.open("a") as file:
                file.write(json.dumps(self.rows[row]) + "\n")
        return self.rows[row]

    def write(self, command: str, **notes: object) -> str:
        """Write OUT/NAME.json with the machine, and return the table as Markdown."""
        rows = list(self.rows.values())
        document = {"command": command, "commit": commit(), "hardware": hardware(), **notes, "rows": rows}
        (self._out / f"{self._name}.json").write_text(json.dumps(document, indent=1) + "\n")
        columns = list(dict.fromkeys(name for row in rows for name in row))
        lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(_show(row.get(name, "")) for name in columns) + " |" for row in rows]
        text = "\n".join(lines) + "\n"
        (self._out / f"{self._name}.md").write_text(text)
        return text


def _show(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
