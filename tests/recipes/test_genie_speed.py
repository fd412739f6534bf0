"""The speed benchmark of genie runs every stage and every way to play."""

from pathlib import Path

import pytest

from benchmarks import genie_speed
from paracosm.recipes import genie


@pytest.mark.parametrize("name", ["tokenizer", "latent_actions", "dynamics"])
def test_a_step_of_each_stage_runs(name: str) -> None:
    config = genie.tiny(Path("run")).stages[name]
    step, frames = genie_speed.make_step(name, config)
    step()
    assert frames > 0


def test_play_is_told_for_every_number_of_passes_and_for_one_core() -> None:
    figures = genie_speed.play_figures(genie.tiny(Path("run")), frames=2)
    for passes in genie_speed.PASSES:
        for way in ("", ".one_core"):
            assert figures[f"play.passes_{passes}{way}.frames_per_second"].value > 0
            assert figures[f"play.passes_{passes}{way}.step_ms.p99"].unit == "ms"
