"""The card of every figure made here: formula, unit, range, direction, and how it can mislead.

``docs/metrics.md`` is written from this table by ``make docs``, and a test holds every figure that the parts
give against it. This file does NOT compute anything.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MetricCard:
    """What a figure means.

    Attributes:
        name: of the figure; capitals stand for what varies, e.g. "fidelity.ssim@H".
        formula: how it is computed, in words and signs.
        unit: as in the figure; "" for a plain number.
        low: smallest value, None for no bound.
        high: largest value, None for no bound.
        higher_is_better: None for neither.
        traps: how it misleads, and what to read beside it.
        source: where it comes from, "" for our own.
    """

    name: str
    formula: str
    unit: str
    low: float | None
    high: float | None
    higher_is_better: bool | None
    traps: str
    source: str = ""

    def fits(self, figure: str) -> bool:
        """Tell whether a figure's name is one of this card's."""
        pattern = re.sub(r"[A-Z]+", "[a-z0-9_]+", re.escape(self.name))
        return re.fullmatch(pattern, figure.removeprefix("unseen.")) is not None

    @property
    def range(self) -> str:
        """The range in words."""
        if self.low is None and self.high is None:
            return "any number"
        if self.high is None:
            return f"{self.low:g} and up"
        if self.low is None:
            return f"up to {self.high:g}"
        return f"{self.low:g} to {self.high:g}"

    @property
    def direction(self) -> str:
        """The direction in words."""
        return {True: "higher is better", False: "lower is better", None: "neither direction is better"}[
            self.higher_is_better
        ]


FIDELITY = (
    MetricCard(
        name="fidelity.ssim@H",
        formula="structural similarity of brightness after H steps: Gaussian window 11 x 11, sigma 1.5, C1 "
        "= (0.01 · 255)², C2 = (0.03 · 255)², mean over whole windows; mean over cases",
        unit="SSIM",
        low=-1,
        high=1,
        higher_is_better=True,
        traps="At 64 pixels a window is a sixth of the picture: a frame one pixel off falls to 0.5. Plain "
        "pictures score high; read sharpness beside it.",
        source="Wang et al. 2004, equation 13; equal to scikit-image to nine digits, by test",
    ),
    MetricCard(
        name="fidelity.moving_psnr_db@H",
        formula="PSNR over the pixels that the true game changed by more than 8 grey levels since the "
        "start, grown by one pixel; cases with fewer than 16 such pixels are left out; mean over cases",
        unit="dB",
        low=0,
        high=60,
        higher_is_better=True,
        traps="What a world wrongly sets in motion elsewhere is not seen; PSNR of the whole picture sees "
        "it. Once the camera turned, nearly all pixels changed and both agree.",
    ),
    MetricCard(
        name="distance.frechet@H",
        formula="|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½) of 64 features of clips of 8 frames that end after "
        "H steps; 1,024 or more clips against as many real ones of other moments",
        unit="feature variance",
        low=0,
        high=None,
        higher_is_better=False,
        traps="Biased upward, about as 1 / N: only compare with the anchor true_game, which is real "
        "against real at the same N. Never comparable between games, encoders or papers. Blind to lag and "
        "to wrong controls, for a clip one frame late is a real clip. No interval: resampling narrows the "
        "Gaussian.",
        source="Heusel et al. 2017, equation 6",
    ),
    MetricCard(
        name="distance.kernel@H",
        formula="squared maximum mean discrepancy of the same features with the kernel (x·y / 64 + 1)³, "
        "unbiased; pairs of one clip with itself are left out, also in resamples",
        unit="MMD²",
        low=None,
        high=None,
        higher_is_better=False,
        traps="Equal distributions give 0 on average, so slightly negative values happen. Blind to lag and "
        "wrong controls, as the Fréchet distance is. The anchor true_game is the floor.",
        source="Bińkowski et al. 2018, section 4",
    ),
)

CONTROL = (
    MetricCard(
        name="control.delta_psnr_db@T",
        formula="for every control held T steps: PSNR against the true game under it, minus the mean PSNR "
        "of what the other controls show against the same frames; mean over controls and cases",
        unit="dB",
        low=-60,
        high=60,
        higher_is_better=True,
        traps="Says that controls matter, and not by how much they should: the anchor true_game does. "
        "Controls that do nothing in the true game pull it to 0.",
        source="Genie's Delta_t PSNR (Bruce et al. 2024, section 3), with every control of the world in "
        "place of random latent actions",
    ),
    MetricCard(
        name="control.action_margin@T",
        formula="smallest MSE of what a wrong control shows, minus the MSE of what the right one shows, "
        "both against the true game under the right one; only wrong controls whose true frames differ in 1 "
        "% of the pixels; mean",
        unit="grey levels²",
        low=None,
        high=None,
        higher_is_better=True,
        traps="Ruled by controls that change much (turns); read the share beside it. A world that stands "
        "elsewhere by now has large errors under all controls, and a margin near 0.",
    ),
    MetricCard(
        name="control.action_margin_share@T",
        formula="share of the controls, over all starts, whose action margin is above 0",
        unit="share",
        low=0,
        high=1,
        higher_is_better=True,
        traps="A margin of a thousandth counts as one of a thousand.",
    ),
    MetricCard(
        name="control.spread_share@T",
        formula="counterfactual spread: mean squared difference of the pictures that all controls lead to, "
        "over the same of the true game, as a ratio of sums",
        unit="share",
        low=0,
        high=None,
        higher_is_better=None,
        traps="1 is right. Chaos spreads as well as control does: read the margin beside it.",
    ),
    MetricCard(
        name="control.effect_delay",
        formula="frames until 1 % of the pixels differ by more than 12 grey levels from the run without "
        "the key (same start, same noise); controls that show in the true game within 16 frames; one that "
        "never shows counts 17; mean",
        unit="frames",
        low=1,
        high=17,
        higher_is_better=False,
        traps="Any difference counts, also a wrong one. 1 is the law's best; the true game itself may take "
        "longer: see its anchor.",
    ),
    MetricCard(
        name="control.effect_missed_share",
        formula="share of those controls whose effect does not show within 16 frames",
        unit="share",
        low=0,
        high=1,
        higher_is_better=False,
        traps="As above.",
    ),
    MetricCard(
        name="control.stop_steps",
        formula="steps from the release of a movement control, held for 16, to the first of three steps in "
        "a row whose motion is calm (half a grey level, or 1.5 times the true game's own when idle); 16 "
        "for one that does not stop or never moved; controls that move and stop in the true game",
        unit="steps",
        low=0,
        high=16,
        higher_is_better=None,
        traps="Neither direction is better: Doom slides. A world that flickers never stops.",
    ),
    MetricCard(
        name="control.stop_error_steps",
        formula="mean absolute difference of the stop time from that of the true game",
        unit="steps",
        low=0,
        high=16,
        higher_is_better=False,
        traps="As above.",
    ),
    MetricCard(
        name="control.together_margin_db",
        formula="PSNR under two controls held together for 8 steps against the true game under both, minus "
        "the better PSNR of what each alone shows against the same frames; pairs that differ from both in "
        "the true game",
        unit="dB",
        low=-60,
        high=60,
        higher_is_better=True,
        traps="A world that drops one of two keys has 0 or less. After 8 steps a world that stands a "
        "little off loses most of its margin, since PSNR is steep near perfection.",
    ),
    MetricCard(
        name="control.together_share",
        formula="share of those pairs with a margin above 0.5 dB",
        unit="share",
        low=0,
        high=1,
        higher_is_better=True,
        traps="As above.",
    ),
)

CAMERA = (
    MetricCard(
        name="camera.rpe_translation",
        formula="relative pose error of each step, translation, after a Sim(3) alignment (Umeyama) of the "
        "path; poses by direct alignment of brightness with the true game's lens and depth; mean over "
        "valid steps",
        unit="units of the game",
        low=0,
        high=None,
        higher_is_better=False,
        traps="The alignment hides a wrong speed: read the speed ratio. The anchor true_game is the "
        "estimator's own error on real frames, below which nothing can be told apart. Depth is that of the "
        "true place: a dream that stands elsewhere is read with a bias. A slow and unsteady world is "
        "stretched and its unsteadiness with it, so that it may read worse than a frozen one: read "
        "step_error too.",
        source="as in GameCraft and MIND; our own code",
    ),
    MetricCard(
        name="camera.step_error",
        formula="distance between where a step led and where it truly led, without any alignment; mean "
        "over valid steps",
        unit="units of the game",
        low=0,
        high=None,
        higher_is_better=False,
        traps="A world that is right but slow pays for its speed. A frozen world pays every true step, and "
        "only a world that goes mostly the true way reads below it.",
    ),
    MetricCard(
        name="camera.rpe_rotation_deg",
        formula="the same for rotation: angle between the step's turn and the true one, no alignment needed",
        unit="degrees",
        low=0,
        high=180,
        higher_is_better=False,
        traps="Undefined where the camera cannot turn. In a narrow view a step aside looks much like a turn.",
    ),
    MetricCard(
        name="camera.speed_ratio",
        formula="length of the estimated path over that of the true one, without alignment, as a ratio of "
        "sums",
        unit="ratio",
        low=0,
        high=None,
        higher_is_better=None,
        traps="1 is right. Trembling adds length, so noise reads as speed.",
    ),
    MetricCard(
        name="camera.valid_share",
        formula="share of steps in which the motion found leaves at most half of the difference without "
        "motion, or 6 grey levels of it",
        unit="share",
        low=0,
        high=1,
        higher_is_better=True,
        traps="A frozen world is valid throughout; a world that breaks is not, and its errors come from "
        "the few steps that are.",
    ),
)

STABILITY = (
    MetricCard(
        name="stability.distance_to_real@Ss",
        formula="energy distance 2 E|x - y| - E|x - x'| - E|y - y'| between the views of all runs in the "
        "ten seconds before second S (two a second, coarse colours and edges on 6 x 8 cells) and 256 real "
        "views",
        unit="view distance",
        low=0,
        high=None,
        higher_is_better=False,
        traps="Few runs see few places, so that real play reads above 0 too: the anchor true_game is what "
        "these very runs read in the true game. Variety counts, so one plain picture for ever does not "
        "win.",
        source="Székely and Rizzo 2013, equation 5",
    ),
    MetricCard(
        name="stability.seconds_until_drift",
        formula="seconds until the first of three in a row that are unlike the real game: mean view "
        "farther from every real place than 95 % of real views are, or sharpness, brightness or saturation "
        "outside the real band (1st to 99th percentile), or a still picture while a movement control is "
        "held",
        unit="s",
        low=0,
        high=None,
        higher_is_better=True,
        traps="A run that never drifts counts its whole length, so compare runs of one length only. Real "
        "play pressed against a plain wall drifts too: see the anchor.",
    ),
)

MEMORY = (
    MetricCard(
        name="memory.score",
        formula="After a second of rest: gate · max(0, 1 - d(first view, return view) / d(two random "
        "views)); gate = min(1, d(first, farthest) / half of the true game's); d is the root mean square "
        "over coarse colours and edges on 6 x 8 cells; walks that the true game leaves by (a quarter of "
        "the random distance) and comes back from (half of it)",
        unit="score",
        low=0,
        high=1,
        higher_is_better=True,
        traps="Coarse on purpose, so that a return a pixel off is a return: a room that came back with "
        "other furniture may pass. A world with controls mirrored comes back as well; control figures "
        "catch it.",
    ),
    MetricCard(
        name="memory.score.FAMILY",
        formula="the same over one kind of walk: turn (right and back, waiting 0, 1 or 4 seconds), "
        "full_turn (360 degrees), walk (a key and its opposite, 0.5 to 2 seconds), loop (a square)",
        unit="score",
        low=0,
        high=1,
        higher_is_better=True,
        traps="Momentum and walls keep the true game, too, from coming back exactly: see the anchor.",
    ),
    MetricCard(
        name="memory.score@A_Bs",
        formula="the same over walks that take A to B seconds",
        unit="score",
        low=0,
        high=1,
        higher_is_better=True,
        traps="Long walks are of other kinds than short ones; compare the same walks first.",
    ),
    MetricCard(
        name="memory.return_ratio",
        formula="d(first view, return view) / d(two random views), without the gate; d to the true first "
        "view where that is larger",
        unit="ratio",
        low=0,
        high=None,
        higher_is_better=False,
        traps="A frozen world wins it: the score is the figure to read.",
    ),
)

SECTIONS = {
    "Fidelity": FIDELITY,
    "Control": CONTROL,
    "Camera": CAMERA,
    "Stability": STABILITY,
    "Memory": MEMORY,
}
"""Cards by section of the page."""


def card_of(figure: str) -> MetricCard | None:
    """Return the card of a figure, None when it has none here."""
    for cards in SECTIONS.values():
        for card in cards:
            if card.fits(figure):
                return card
    return None


def cards_page() -> str:
    """Return docs/metrics.md."""
    parts = [
        "# Cards of the figures\n\nWritten by `make docs` from `evaluate/metrics/cards.py`. "
        "How cases, anchors, intervals and statuses work,\n"
        "and the cards of the first suite, stand in [measuring](measuring.md).\n"
    ]
    for section, cards in SECTIONS.items():
        parts.append(f"## {section}\n")
        parts += [_show(card) for card in cards]
    return "\n".join(parts)


def _show(card: MetricCard) -> str:
    unit = f"{card.unit}, " if card.unit else ""
    lines = [
        f"**`{card.name}`** ({unit}{card.range}; {card.direction})",
        f"{card.formula[0].upper()}{card.formula[1:]}.",
        f"*Trap:* {card.traps}",
    ]
    if card.source:
        lines.append(f"*Source:* {card.source}.")
    return "\n\n".join(textwrap.fill(line, 120) for line in lines) + "\n"
