from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paracosm.data.reader import Dataset
from paracosm.evaluate.cases import choose_cases
from paracosm.evaluate.rollouts import Subject
from paracosm.evaluate.speed import (
    HALF_SPAN,
    LATE_STEP,
    Timing,
    joules_since,
    measure_speed,
    read_energy,
    speed_figures,
)

from .toys import open_toy


def timing(step_s: np.ndarray) -> Timing:
    return Timing(
        first_frame_s=1.5,
        step_s=step_s,
        memory_mb=(100.0, 130.0),
        peak_memory_mb=150.0,
        details={"height": 48, "width": 64, "denoise_steps": 2, "tokens_per_frame": 12, "engine": "words"},
    )


def test_frames_per_second_leave_the_warm_up_out() -> None:
    step_s = np.full(1050, 0.02)
    step_s[:50] = 1.0
    figure = speed_figures(timing(step_s))["engine.frames_per_second"]
    assert figure.value == pytest.approx(50.0)
    assert figure.ci95 == pytest.approx((50.0, 50.0))


def test_one_slow_step_in_fifty_shows_in_the_99th_percentile_alone() -> None:
    step_s = np.full(1050, 0.02)
    step_s[50::50] = 0.05
    figures = speed_figures(timing(step_s))
    assert figures["engine.step_ms.p50"].value == pytest.approx(20.0)
    assert figures["engine.step_ms.p99"].value == pytest.approx(50.0)


def test_a_late_frame_costs_as_many_times_an_early_one_as_it_does() -> None:
    step_s = np.full(LATE_STEP + HALF_SPAN, 0.01)
    step_s[LATE_STEP - HALF_SPAN :] = 0.03
    figures = speed_figures(timing(step_s))
    assert figures["engine.cost_ratio@10000"].value == pytest.approx(3.0)
    assert figures["engine.memory_growth_mb@10000"].value == 30.0


def test_too_few_steps_are_not_computed_and_never_zero() -> None:
    figures = speed_figures(timing(np.full(55, 0.01)))
    assert figures["engine.frames_per_second"].reason == "only 55 steps were timed"
    assert figures["engine.cost_ratio@10000"].reason == "only 55 steps were played, 10050 are needed"
    assert all(
        figures[name].value is None for name in ("engine.frames_per_second", "engine.cost_ratio@10000")
    )


def test_resolution_steps_and_tokens_stand_beside_the_speed() -> None:
    figures = speed_figures(timing(np.full(200, 0.01)))
    shown = {
        name: figures[f"engine.{name}"].value
        for name in ("height", "width", "denoise_steps", "tokens_per_frame")
    }
    assert shown == {"height": 48, "width": 64, "denoise_steps": 2, "tokens_per_frame": 12}


def test_energy_is_what_the_packages_used_and_never_zero_where_none_is_told(tmp_path: Path) -> None:
    for zone, (used, most) in {"intel-rapl:0": (900, 1000), "intel-rapl:0:0": (5, 1000)}.items():
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "energy_uj").write_text(f"{used}\n")
        (tmp_path / zone / "max_energy_range_uj").write_text(f"{most}\n")
    before = read_energy(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("400\n")  # it began again at 0
    assert joules_since(before) == pytest.approx(500e-6)
    assert joules_since(read_energy(tmp_path / "nothing")) is None
    told = replace(timing(np.full(200, 0.01)), joules=3.0)
    assert speed_figures(told)["engine.joules_per_frame"].value == pytest.approx(0.015)
    assert speed_figures(timing(np.full(200, 0.01)))["engine.joules_per_frame"].status == "skipped"


def test_a_world_is_timed_in_a_process_of_its_own(held_out: Dataset) -> None:
    rollout = choose_cases(held_out.episodes, 1, 10, seed=0)[0].rollout
    figures = measure_speed(Subject(name="model:oracle", opener=open_toy), rollout, 120)
    assert figures["engine.frames_per_second"].value > 100
    assert 0 < figures["engine.first_frame_s"].value < 60
    assert figures["engine.peak_memory_mb"].value > 10
