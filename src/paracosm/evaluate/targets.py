"""What a bundled world must reach to ship, as a table: figure, bound, and whether a report meets it.

This file does NOT measure; a figure that was not computed meets no target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paracosm.core.figures import Figure


@dataclass(frozen=True, kw_only=True)
class Target:
    """A bound that a figure must keep.

    Attributes:
        figure: its name.
        least: smallest value allowed, None for no lower bound.
        most: largest value allowed, None for no upper bound.
        above: value that itself is not enough, None for no such bound.
    """

    figure: str
    least: float | None = None
    most: float | None = None
    above: float | None = None

    def meets(self, figures: Mapping[str, Figure]) -> bool:
        """Tell whether the figure was computed and keeps the bound."""
        figure = figures.get(self.figure)
        if figure is None or figure.value is None:
            return False
        return (
            (self.least is None or figure.value >= self.least)
            and (self.above is None or figure.value > self.above)
            and (self.most is None or figure.value <= self.most)
        )

    def __str__(self) -> str:
        bounds = [f">= {self.least:g}"] if self.least is not None else []
        bounds += [f"> {self.above:g}"] if self.above is not None else []
        bounds += [f"<= {self.most:g}"] if self.most is not None else []
        return f"{self.figure} {' and '.join(bounds)}"


COMMON = (
    Target(figure="fidelity.gain_over_copy_db@1", least=0.0),
    Target(figure="fidelity.gain_over_copy_db@4", least=3.0),
    Target(figure="fidelity.sharpness_share@16", least=0.8, most=1.25),
    Target(figure="control.keys_share_of_ceiling", least=0.9),
    Target(figure="control.opposite_share.right_left", least=0.9),
    Target(figure="stability.in_band_share_of_ceiling@120s", least=0.95),
    Target(figure="stability.encoder_views_share@120s", least=0.7),
    Target(figure="stability.places_share@120s", least=0.7),
    Target(figure="engine.frames_per_second", least=30.0),
    Target(figure="engine.cost_ratio@10000", most=1.2),
    Target(figure="play.chromium.key_to_screen_ms.p95", most=120.0),
    Target(figure="determinism.two_processes", least=1.0),
    Target(figure="determinism.restore", least=1.0),
    Target(figure="determinism.branch", least=1.0),
)
"""Every bundled world. The upper bound of sharpness keeps noise from passing as detail."""

LEARNT_ACTIONS = (
    Target(figure="learnt_actions.purity_share_of_reader", least=0.8),
    Target(figure="learnt_actions.delta_psnr_db@4", above=1.0),
    Target(figure="learnt_actions.action_margin@1", above=0.0),
    Target(figure="engine.frames_per_second", least=25.0),
)
"""A world whose actions were found by watching; one that is blind to them has a margin of exactly 0."""

TARGETS: Mapping[str, Sequence[Target]] = {
    "game:doom": (
        Target(figure="tokenizer.psnr_db", least=28.0),
        Target(figure="fidelity.gain_over_copy_db@16", least=3.0),
        Target(figure="control.turn_share_of_ceiling", least=0.9),
        Target(figure="control.opposite_share.turn", least=0.9),
        Target(figure="control.opposite_share.forward_back", least=0.9),
        *COMMON,
    ),
    "game:coinrun": (
        Target(figure="tokenizer.psnr_db", least=30.0),
        Target(figure="fidelity.gain_over_copy_db@16", least=0.0),
        *COMMON,
    ),
    "game:minetest": (
        Target(figure="tokenizer.psnr_db", least=28.0),
        Target(figure="fidelity.gain_over_copy_db@16", least=0.0),
        Target(figure="control.turn_share_of_ceiling", least=0.9),
        # a captured game cannot be put into a recorded state, so nothing says which way opposites must go
        *(target for target in COMMON if "opposite" not in target.figure),
    ),
}
"""Targets by the game that a world stands in for; other games have none."""
