import pytest

from paracosm.data.reader import Dataset
from paracosm.evaluate.parts.short import Short
from paracosm.evaluate.parts.structure import Structure
from paracosm.evaluate.quality import PSNR_CAP_DB

from .benches import measure_toy, value

PARTS = [Short(num_cases=4, steps=8), Structure(num_cases=4, steps=8, horizons=(1, 8, 16))]


def test_the_oracle_reaches_the_ceiling_at_every_horizon(held_out: Dataset, reference: Dataset) -> None:
    figures = measure_toy("oracle", PARTS, held_out, reference)
    for horizon in (1, 8):
        assert value(figures, f"fidelity.ssim@{horizon}") == pytest.approx(1.0)
        assert value(figures, f"fidelity.moving_psnr_db@{horizon}") == PSNR_CAP_DB
        assert figures[f"fidelity.ssim@{horizon}"].anchors["true_game"] == pytest.approx(1.0)
    late = figures["fidelity.ssim@16"]
    assert (late.status, late.reason) == ("skipped", "the cases are 8 steps long")


@pytest.mark.parametrize("kind", ["frozen", "blind"])
def test_a_frozen_or_blind_world_stands_at_its_anchors(
    kind: str, held_out: Dataset, reference: Dataset
) -> None:
    figures = measure_toy(kind, PARTS, held_out, reference)
    for name in ("fidelity.ssim@8", "fidelity.moving_psnr_db@8"):
        anchors = figures[name].anchors
        assert value(figures, name) == pytest.approx(
            anchors["copy_last" if kind == "frozen" else "no_control"]
        )
        assert value(figures, name) < anchors["true_game"] / 2


def test_a_world_one_step_late_is_caught(held_out: Dataset, reference: Dataset) -> None:
    figures = measure_toy("late", PARTS, held_out, reference)
    assert value(figures, "fidelity.ssim@8") < 0.7
    assert value(figures, "fidelity.moving_psnr_db@8") < PSNR_CAP_DB - 20
