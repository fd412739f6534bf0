"""Looks into a network while it runs: what the reference stored of its inner activations."""

import contextlib
from collections.abc import Iterator

import torch
from einops import rearrange
from torch import Tensor

from paracosm.models import action_module, dynamics_video
from paracosm.models.dynamics_video import VideoDynamics
from paracosm.nn.rope import axial_pairs, pair_table, rotate_pairs

from .reference import MAX_INNER

MOMENTS = {0: "b0p0", 8: "b2p0"}
"""Number of a forward pass since the start (three passes and a write a block) to its name."""


@contextlib.contextmanager
def watch(network: VideoDynamics) -> Iterator[dict[str, dict[str, Tensor]]]:
    """Collect activations of the moments that the reference stored."""
    found: dict[str, dict[str, Tensor]] = {name: {} for name in MOMENTS.values()}
    now: dict[str, Tensor] = {}
    count = 0

    def begin(*_) -> None:
        nonlocal count, now
        now = found.get(MOMENTS.get(count, ""), {})
        count += 1

    def output(name):
        def hook(module, inputs, made):
            now[name] = (made[0] if isinstance(made, tuple) else made).detach()

        return hook

    def first_input(name):
        def hook(module, inputs):
            now[name] = inputs[0].detach()

        return hook

    block = network.blocks[0]
    actions = block.actions
    handles = [
        network.enter.register_forward_pre_hook(begin),
        network.enter.register_forward_hook(output("patch_embedding")),
        network.context.register_forward_hook(lambda m, i, made: found["b0p0"].setdefault("img_emb", made)),
        block.self_attention.query.register_forward_pre_hook(first_input("block0.self_attn.in")),
        block.self_attention.leave.register_forward_hook(output("block0.self_attn.delta")),
        block.cross_norm.register_forward_pre_hook(first_input("block0.after_self_attn")),
        actions.register_forward_pre_hook(first_input("block0.after_cross_attn")),
        actions.keyboard.register_forward_pre_hook(first_input("block0.after_mouse")),
        actions.register_forward_hook(output("block0.after_keyboard")),
        block.feed_forward.register_forward_hook(output("block0.ffn.delta")),
        network.head.register_forward_hook(output("head.out")),
        *(layer.register_forward_hook(output(f"block{i}.out")) for i, layer in enumerate(network.blocks)),
    ]
    # the first block's attentions come first in each pass: self, cross, mouse, keyboard
    names = {"frames": ("block0.self", "block0.cross"), "places": ("block0.mouse", "block0.keyboard")}

    def recording(function, kind):
        def attend(q, k, v, seen=None):
            made = function(q, k, v, seen)
            free = [name for name in names[kind] if f"{name}.q" not in now]
            if free:
                parts = {"q": q, "k": k, "v": v, "o": made}
                now.update({f"{free[0]}.{part}": tensor.detach() for part, tensor in parts.items()})
            return made

        return attend

    frames, places = dynamics_video.attend_frames, action_module.attend_places
    dynamics_video.attend_frames = recording(frames, "frames")
    action_module.attend_places = recording(places, "places")
    try:
        yield found
    finally:
        dynamics_video.attend_frames, action_module.attend_places = frames, places
        for handle in handles:
            handle.remove()


def watched_errors(
    seen: dict[str, Tensor],
    tensors: dict[str, Tensor],
    start: str,
    index: Tensor,
    places: dict[str, Tensor] | None,
    *,
    first: int,
) -> dict[str, float]:
    """Compare what was watched with what is stored; each error is within the tolerance.

    Args:
        seen: of :func:`watch`.
        tensors: the reference.
        start: of the names compared, e.g. "dbg.b0p0.".
        index: tokens stored.
        places: positions and image tokens stored; None when only whole-token tensors are.
        first: number of the oldest latent in the window: the reference counts positions from the start.
    """
    errors = {}
    for name in (name for name in tensors if name.startswith(start)):
        inner = name.removeprefix(start)
        made = _select(inner, seen[inner], index, places, first)
        errors[name] = float((made - tensors[name]).abs().max())
        assert errors[name] <= MAX_INNER, (name, errors[name])
    return errors


def _select(name: str, x: Tensor, index: Tensor, places: dict[str, Tensor] | None, first: int) -> Tensor:
    """Bring one activation of the batch's first row into the stored form."""
    kind, part = name.split(".")[-2:] if "." in name else ("", name)
    x = x[0]
    if part in "qk" and kind in ("self", "mouse", "keyboard"):
        x = _count_from_start(x, first, kind)
    if kind in ("self", "cross"):
        tokens = rearrange(x, "t s n k -> (t s) n k")
        is_context = kind == "cross" and part in "kv"
        return tokens[places["context"] if places and is_context else slice(None, None, 34)]
    if kind in ("mouse", "keyboard"):
        return x[:, 0] if x.shape[1] == 1 else x[:, places["position"]].transpose(0, 1)
    if name == "img_emb":
        return x[places["context"]]
    return rearrange(x, "t s d -> (t s) d")[index]


def _count_from_start(x: Tensor, first: int, kind: str) -> Tensor:
    """Turn queries or keys (t, s, n, k) on by the frames that our positions leave out."""
    time, still = torch.tensor([float(first)]), torch.zeros(1)
    if kind == "self":
        return rotate_pairs(x, pair_table([time, still, still], axial_pairs(x.shape[-1]), 10_000.0))
    return rotate_pairs(x, pair_table([time], [4], 256.0))
