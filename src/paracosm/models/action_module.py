"""Keyboard and mouse as published with Matrix-Game 2.0: two attentions over time inside a video transformer.

- *mouse*: a window of mouse rows is joined to every token, mixed by a small network, and each place of the
  picture attends over time;
- *keyboard*: each row is embedded, a window of them becomes one key and value a latent frame, and tokens
  attend to those.

Both add to the residual stream and begin as nothing: their last projections are zero. Both work cached, over
whole clips and at any batch. Small worlds use the lighter ``conditioning`` instead. This file does NOT know
noise, pictures or key names.

Source: Matrix-Game 2.0, 2508.13009, section 3; sizes and traps as measured on the published network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from paracosm.core.errors import ConfigError
from paracosm.nn.attention import Table
from paracosm.nn.norm import rms_norm
from paracosm.nn.rope import rotate_pairs
from paracosm.nn.video_attention import attend_places

Pair = tuple[Tensor, Tensor]
"""Keys and values, each (b, t, s, n, k), keys not rotated."""


@dataclass(frozen=True, kw_only=True)
class ActionModuleConfig:
    """Sizes of the action module; every layer that has one has the same."""

    keys: int
    """keyboard numbers a frame; 0 for no keyboard"""
    mouse: int
    """mouse numbers a frame; 0 for no mouse"""
    frames_per_latent: int
    """pixel frames, and so rows of controls, that one latent frame stands for"""
    window: int
    """latent frames whose rows a latent frame sees, ending with the row before its own last frame"""
    heads: int
    """attention heads, of keyboard and mouse alike"""
    keyboard_width: int
    """numbers of the keyboard's queries, keys and values"""
    mouse_width: int
    """numbers of the mouse's queries, keys and values"""
    embedding: int
    """numbers of one embedded keyboard row"""
    turned_pairs: int
    """pairs of each head that are turned by time; the rest stay as they are"""
    theta: float
    """base of the frequencies of those pairs"""

    def __post_init__(self) -> None:
        """Refuse sizes that do not divide."""
        for name, width in (("keyboard_width", self.keyboard_width), ("mouse_width", self.mouse_width)):
            if width % self.heads or width // self.heads < 2 * self.turned_pairs:
                raise ConfigError(
                    f"{name} {width} over {self.heads} heads gives no head of at least "
                    f"{2 * self.turned_pairs} numbers; use e.g. {self.heads * max(64, 2 * self.turned_pairs)}"
                )

    @property
    def rows(self) -> int:
        """Rows of controls that one latent frame sees."""
        return self.window * self.frames_per_latent


def window_rows(first: int, count: int, rows: int, frames_per_latent: int) -> list[list[int]]:
    """Say which rows of controls latent frames see: 4 n - 12 .. 4 n - 1 for latent n, 12 rows and 4 a latent.

    Row i acts between frame i and frame i + 1, and latent n ends with frame 4 n: so the last row seen is the
    one that leads to the latent's last frame. Numbers below 0 become 0: before the start, the first row was
    held.

    Args:
        first: number of the first latent frame.
        count: latent frames.
        rows: rows that each sees.
        frames_per_latent: rows a latent frame.

    Returns:
        For each latent frame, the numbers of its rows, oldest first.
    """
    ends = [(first + i) * frames_per_latent for i in range(count)]
    return [[max(0, row) for row in range(end - rows, end)] for end in ends]


class ActionModule(nn.Module):
    """What a layer does with keyboard and mouse.

    Args:
        width: numbers of a token of the residual stream.
        config: sizes.
    """

    def __init__(self, width: int, config: ActionModuleConfig) -> None:
        super().__init__()
        self.mouse = MouseAttention(width, config) if config.mouse else None
        self.keyboard = KeyboardAttention(width, config) if config.keys else None

    def forward(
        self,
        x: Tensor,
        windows: Pair,
        tables: tuple[Table, Table],
        past: dict[str, Pair],
        seen: Tensor | None,
    ) -> tuple[Tensor, dict[str, Pair]]:
        """Add what the controls do.

        Args:
            x: residual stream (b, t, s, d).
            windows: keyboard (b, t, rows, keys) and mouse (b, t, rows, numbers).
            tables: rotations of the t new frames, and of the frames of ``past``.
            past: "mouse" and "keyboard": keys and values of cached frames; {} without a cache.
            seen: bool (t, t): which frame sees which; None for all. Not with a cache.

        Returns:
            The residual stream, and the new frames' keys and values under the same names.
        """
        made: dict[str, Pair] = {}
        if self.mouse is not None:
            change, made["mouse"] = self.mouse(x, windows[1], tables, past.get("mouse"), seen)
            x = x + change
        if self.keyboard is not None:
            change, made["keyboard"] = self.keyboard(x, windows[0], tables, past.get("keyboard"), seen)
            x = x + change
        return x, made


class MouseAttention(nn.Module):
    """Temporal attention of every place, whose tokens carry the mouse rows of their frame.

    Args:
        width: numbers of a token of the residual stream.
        config: sizes.
    """

    def __init__(self, width: int, config: ActionModuleConfig) -> None:
        super().__init__()
        self.heads = config.heads
        inner = config.mouse_width
        self.mix = nn.Sequential(
            nn.Linear(width + config.mouse * config.rows, inner),
            nn.GELU(approximate="tanh"),
            nn.Linear(inner, inner),
            nn.LayerNorm(inner),
        )
        self.enter = nn.Linear(inner, 3 * inner, bias=False)
        self.leave = _silent(inner, width)
        _keep_unused_gains(self, inner // config.heads)

    def forward(
        self, x: Tensor, rows: Tensor, tables: tuple[Table, Table], past: Pair | None, seen: Tensor | None
    ) -> tuple[Tensor, Pair]:
        """Return the change of x, and keys and values; see :meth:`ActionModule.forward`."""
        numbers = repeat(rows.to(x.dtype), "b t r a -> b t s (r a)", s=x.shape[2])
        mixed = self.mix(torch.cat([x, numbers], -1))
        q, k, v = rearrange(self.enter(mixed), "b t s (three n k) -> three b t s n k", three=3, n=self.heads)
        q, k = rms_norm(q), rms_norm(k)
        return self.leave(_attend(q, (k, v), tables, past, seen)), (k, v)


class KeyboardAttention(nn.Module):
    """Attention of every token to the keyboard windows of the frames that it may see.

    Args:
        width: numbers of a token of the residual stream.
        config: sizes.
    """

    def __init__(self, width: int, config: ActionModuleConfig) -> None:
        super().__init__()
        self.heads = config.heads
        inner = config.keyboard_width
        self.embed = nn.Sequential(
            nn.Linear(config.keys, config.embedding),
            nn.SiLU(),
            nn.Linear(config.embedding, config.embedding),
        )
        self.query = nn.Linear(width, inner, bias=False)
        self.enter = nn.Linear(config.embedding * config.rows, 2 * inner, bias=False)
        self.leave = _silent(inner, width)
        _keep_unused_gains(self, inner // config.heads)

    def forward(
        self, x: Tensor, rows: Tensor, tables: tuple[Table, Table], past: Pair | None, seen: Tensor | None
    ) -> tuple[Tensor, Pair]:
        """Return the change of x, and keys and values; see :meth:`ActionModule.forward`."""
        window = rearrange(self.embed(rows.to(x.dtype)), "b t r e -> b t 1 (r e)")
        k, v = rearrange(self.enter(window), "b t s (two n k) -> two b t s n k", two=2, n=self.heads)
        q = rms_norm(rearrange(self.query(x), "b t s (n k) -> b t s n k", n=self.heads))
        k = rms_norm(k)
        return self.leave(_attend(q, (k, v), tables, past, seen)), (k, v)


def _attend(
    q: Tensor, own: Pair, tables: tuple[Table, Table], past: Pair | None, seen: Tensor | None
) -> Tensor:
    """Rotate, join with the past, attend at each place; (b, t, s, inner)."""
    q = rotate_frames(q, tables[0])
    k, v = rotate_frames(own[0], tables[0]), own[1]
    if past is not None:
        k = torch.cat([rotate_frames(past[0], tables[1]), k], 1)
        v = torch.cat([past[1], v], 1)
    return rearrange(attend_places(q, k, v, seen), "b t s n k -> b t s (n k)")


def rotate_frames(x: Tensor, table: Table) -> Tensor:
    """Rotate (b, t, s, n, k) by a table with one row a frame (t, pairs)."""
    cos, sin = (part[:, None, None] for part in table)
    return rotate_pairs(x, (cos, sin))


def _silent(inner: int, width: int) -> nn.Linear:
    """Make a last projection of zeros: a network that gets action modules begins unchanged."""
    leave = nn.Linear(inner, width, bias=False)
    nn.init.zeros_(leave.weight)
    return leave


def _keep_unused_gains(module: nn.Module, head_width: int) -> None:
    """Hold the gains of the query and key norms, which the published network stores and never applies.

    As buffers they travel with the weights, so that a file is kept whole, and no optimiser touches them.
    """
    module.register_buffer("unused_query_gain", torch.ones(head_width))
    module.register_buffer("unused_key_gain", torch.ones(head_width))
