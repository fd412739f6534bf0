"""Worlds whose faults are known: each must be caught, and the oracle must reach every ceiling."""

import functools
from collections.abc import Iterator

import pytest

from paracosm.core.figures import Figure
from paracosm.data.reader import Dataset
from paracosm.evaluate.long_runs import learn_game
from paracosm.evaluate.parts.control import Control, LateControl
from paracosm.evaluate.parts.fidelity import Fidelity
from paracosm.evaluate.parts.long import Long
from paracosm.evaluate.parts.opposites import Opposites
from paracosm.evaluate.parts.short import Short
from paracosm.evaluate.parts.stability import Stability
from paracosm.evaluate.quality import PSNR_CAP_DB
from paracosm.evaluate.runner import run_parts

from .toys import SPACE, toy_config, use_toy_judges

SHORT = (
    Short(num_cases=8, steps=18),
    Fidelity(num_cases=8, steps=18, horizons=(1, 4, 8, 16, 32)),
    Control(num_cases=8, steps=18),
)
LONG = (
    Long(num_runs=2, steps=330),
    Stability(num_runs=2),
    LateControl(num_runs=2, steps=330),
)


@pytest.fixture(scope="module", autouse=True)
def _judges() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_toy_judges(patch)
        yield


@pytest.fixture(scope="module")
def measure_short(held_out: Dataset):
    @functools.cache
    def measure(kind: str) -> dict[str, Figure]:
        return run_parts(SHORT, toy_config(kind, held_out.episodes)).figures

    return measure


@pytest.fixture(scope="module")
def measure_long(held_out: Dataset, reference: Dataset):
    game = learn_game(reference.episodes, SPACE, seed=0)

    @functools.cache
    def measure(kind: str) -> dict[str, Figure]:
        return run_parts(LONG, toy_config(kind, held_out.episodes, real=game, fps=2.6)).figures

    return measure


def value(figures: dict[str, Figure], name: str) -> float:
    found = figures[name].value
    assert found is not None, (name, figures[name].reason)
    return float(found)


@pytest.mark.parametrize("kind", ["true", "oracle"])
def test_the_true_game_reaches_every_ceiling_of_short_runs(measure_short, kind: str) -> None:
    figures = measure_short(kind)
    for horizon in (1, 4, 8, 16):
        assert value(figures, f"fidelity.psnr_db@{horizon}") == PSNR_CAP_DB
        assert value(figures, f"fidelity.sharpness_share@{horizon}") == 1.0
    assert value(figures, "control.keys_share_of_ceiling") == 1.0
    assert value(figures, "control.turn_share_of_ceiling") == 1.0
    assert value(figures, "control.f1.up") == figures["control.f1.up"].anchors["true_game"]


def test_the_oracle_stands_above_every_anchor(measure_short) -> None:
    figures = measure_short("oracle")
    for name in (
        "fidelity.psnr_db@4",
        "control.f1.up",
        "control.keys_share_of_ceiling",
        "control.turn_share_of_ceiling",
    ):
        anchors = figures[name].anchors
        assert set(anchors) == {"true_game", "copy_last", "shuffled", "no_control"}
        assert all(
            value(figures, name) > anchors[one] + 0.2 for one in ("copy_last", "shuffled", "no_control")
        ), name


def test_a_frozen_world_scores_as_the_copied_frame_and_reads_no_control(measure_short) -> None:
    figures = measure_short("frozen")
    for horizon in (1, 4, 16):
        figure = figures[f"fidelity.psnr_db@{horizon}"]
        assert figure.value == figure.anchors["copy_last"]
        assert value(figures, f"fidelity.gain_over_copy_db@{horizon}") == 0.0
    assert value(figures, "control.keys_share_of_ceiling") == 0.0
    assert value(figures, "control.turn_share_of_ceiling") == pytest.approx(0.0, abs=0.01)


def test_a_noise_world_is_below_the_copied_frame_and_far_too_sharp(measure_short) -> None:
    figures = measure_short("noise")
    assert value(figures, "fidelity.gain_over_copy_db@1") < 0
    assert value(figures, "fidelity.sharpness_share@4") > 3
    assert value(figures, "control.keys_share_of_ceiling") < 0.5


def test_a_world_blind_to_controls_gains_nothing_over_shuffled_ones(measure_short) -> None:
    figures = measure_short("blind")
    assert value(figures, "fidelity.gain_over_shuffled_db@4") == 0.0
    assert value(figures, "control.keys_share_of_ceiling") == 0.0


JUDGED = ("fidelity.psnr_db@", "control.f1.", "control.keys_share", "control.turn_share")
"""Figures in which a world must not win by doing nothing, or by ignoring what it is told."""


@pytest.mark.parametrize(
    ("kind", "anchors"), [("frozen", ("copy_last",)), ("blind", ("shuffled", "no_control"))]
)
def test_worlds_that_ignore_their_controls_stand_at_the_anchors_and_not_above(
    measure_short, kind: str, anchors: tuple[str, ...]
) -> None:
    judged = [
        figure
        for name, figure in measure_short(kind).items()
        if name.startswith(JUDGED) and figure.value is not None
    ]
    assert len(judged) >= 6
    for figure in judged:
        assert figure.value == pytest.approx(max(figure.anchors[anchor] for anchor in anchors), abs=1e-6)
        assert figure.value < figure.anchors["true_game"] - 0.1


def test_a_world_with_controls_swapped_is_caught(measure_short) -> None:
    figures = measure_short("swapped")
    assert value(figures, "control.keys_share_of_ceiling") < 0.1
    assert value(figures, "control.turn_sign_accuracy") < 0.1
    assert value(figures, "control.turn_share_of_ceiling") < -0.5


def test_a_world_one_step_late_is_caught(measure_short) -> None:
    figures = measure_short("late")
    assert value(figures, "fidelity.psnr_db@4") < PSNR_CAP_DB - 10
    assert value(figures, "control.keys_share_of_ceiling") < 0.9


def test_the_true_game_reaches_every_ceiling_of_long_runs(measure_long) -> None:
    figures = measure_long("oracle")
    assert value(figures, "stability.in_band_share_of_ceiling@120s") > 0.9
    assert value(figures, "stability.frozen_share@120s") == 0.0
    for name in ("views_share", "places_share", "encoder_views_share"):
        assert value(figures, f"stability.{name}@120s") > 0.8, name
    for seconds in (60, 120):
        assert value(figures, f"control.keys_share_of_ceiling@{seconds}s") == pytest.approx(1.0, abs=0.02)
        assert value(figures, f"control.turn_share_of_ceiling@{seconds}s") == pytest.approx(1.0, abs=0.02)


def test_a_frozen_world_is_found_frozen_and_without_variety(measure_long) -> None:
    figures = measure_long("frozen")
    assert value(figures, "stability.frozen_share@120s") > 0.3
    assert figures["stability.frozen_share@120s"].anchors["true_game"] == 0.0
    assert value(figures, "stability.views_share@120s") == 0.0
    assert value(figures, "stability.places_share@120s") < 0.2
    assert value(figures, "control.keys_share_of_ceiling@60s") == 0.0


def test_a_noise_world_is_out_of_band_and_in_no_known_place(measure_long) -> None:
    figures = measure_long("noise")
    assert value(figures, "stability.in_band_share_of_ceiling@120s") == 0.0
    assert value(figures, "stability.places_share@120s") == 0.0


def test_a_world_that_fades_to_grey_is_out_of_band_and_loses_its_views(measure_long) -> None:
    figures = measure_long("grey")
    assert value(figures, "stability.in_band_share_of_ceiling@120s") < 0.5
    assert value(figures, "stability.views_share@120s") < 0.5


def test_late_control_stands_beside_shuffled_and_copied(measure_long) -> None:
    anchors = measure_long("oracle")["control.keys_share_of_ceiling@60s"].anchors
    assert anchors["true_game"] == 1.0
    assert anchors["copy_last"] == 0.0
    assert anchors["shuffled"] is not None
    assert anchors["shuffled"] < 0.7
    assert anchors["no_control"] is None


@pytest.mark.parametrize(
    ("kind", "share"), [("oracle", 1.0), ("swapped", 0.0), ("frozen", 0.0), ("blind", 0.0)]
)
def test_opposite_turns_go_opposite_ways_only_where_they_should(
    held_out: Dataset, kind: str, share: float
) -> None:
    outcome = run_parts([Opposites(num_cases=4)], toy_config(kind, held_out.episodes))
    figure = outcome.figures["control.opposite_share.turn"]
    assert (figure.value, figure.n) == (share, 4)
    assert figure.anchors["shuffled"] == (1.0 if kind == "swapped" else 0.0)


def test_long_runs_too_short_for_a_moment_say_so(held_out: Dataset) -> None:
    parts = [Long(num_runs=2, steps=40), LateControl(num_runs=2, steps=40)]
    figures = run_parts(parts, toy_config("oracle", held_out.episodes)).figures
    figure = figures["control.keys_share_of_ceiling@60s"]
    assert (figure.status, figure.reason) == ("skipped", "the runs are 40 steps long, 60 s are 240")


def test_the_name_of_a_stability_figure_promises_no_more_seconds_than_were_played(
    held_out: Dataset, reference: Dataset
) -> None:
    game = learn_game(reference.episodes, SPACE, seed=0)
    parts = [Long(num_runs=2, steps=42), Stability(num_runs=2)]
    figures = run_parts(parts, toy_config("oracle", held_out.episodes, real=game)).figures
    assert figures["stability.in_band_share@10s"].value is not None
    promised = {name: figure for name, figure in figures.items() if name.endswith("@120s")}
    assert {name.replace("@120s", "@10s") for name in promised} == set(figures) - set(promised)
    for figure in promised.values():
        assert (figure.status, figure.reason) == ("skipped", "the runs are 42 steps long, 120 s are 480")


def test_a_long_run_keeps_the_name_of_its_length(measure_long) -> None:
    names = [name for name in measure_long("oracle") if name.startswith("stability.")]
    assert names
    assert all(name.endswith("@120s") for name in names)
