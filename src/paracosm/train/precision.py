"""Which number type a machine multiplies fast: bf16 where the hardware has it, float32 elsewhere.

A processor without bf16 units imitates them, tens of times slower than its own float32; a card or a processor
with them gains two to eight times. This file does NOT know networks or losses.
"""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "bf16", "fp32"]
"""auto: bf16 where the device multiplies it in hardware, else fp32."""


def has_bf16(device: str) -> bool:
    """Tell whether a torch device multiplies bf16 matrices in hardware.

    Args:
        device: e.g. "cpu" or "cuda:0"; kinds other than these count as without, since none was tried.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "cpu" and (
        bool(torch.cpu._is_avx512_bf16_supported()) or bool(torch.cpu._is_amx_tile_supported())
    )


def choose_precision(precision: Precision, device: str) -> Literal["bf16", "fp32"]:
    """Return what ``precision`` means on a device."""
    if precision == "auto":
        return "bf16" if has_bf16(device) else "fp32"
    return precision


def autocast(precision: Precision, device: str) -> torch.autocast:
    """Make the context in which matrix products have that type; weights and sums stay float32."""
    enabled = choose_precision(precision, device) == "bf16"
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=enabled)
