"""The tables of genie's claims: a power law with its error, rows that stay, figures that know their sign."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import genie_claims
from benchmarks.genie_measures import (
    HORIZON,
    START,
    HeldOut,
    Networks,
    Row,
    Table,
    delta_psnr,
    fit_power_law,
    held_out_loss,
    reconstruction_db,
)
from paracosm.models.mask_schedule import SamplerConfig
from paracosm.recipes import genie
from paracosm.train.stages.maskgit import FinishedActions
from tests import tiny_genie


def test_a_power_law_is_found_with_the_error_of_its_exponent() -> None:
    sizes = [1e5, 3e5, 1e6, 3e6]
    exact = fit_power_law(sizes, [5.0 * size**-0.08 for size in sizes])
    assert exact["exponent"] == pytest.approx(0.08)
    assert exact["standard_error"] == pytest.approx(0.0, abs=1e-9)
    assert exact["explained"] == pytest.approx(1.0)
    bent = fit_power_law(sizes, [2.0, 1.9, 1.6, 1.55])
    assert 0.0 < bent["standard_error"] < bent["exponent"]
    with pytest.raises(ValueError, match="2 sizes give no error of a line's slope; measure at least 3"):
        fit_power_law([1.0, 2.0], [1.0, 0.5])


def test_a_row_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    made: list[str] = []

    def make(name: str) -> Row:
        made.append(name)
        return {"loss": 1.5}

    Table(tmp_path, "sizes").add("one", lambda: make("one"))
    again = Table(tmp_path, "sizes")
    assert again.add("one", lambda: make("one")) == {"row": "one", "loss": 1.5}
    again.add("two", lambda: make("two"))
    assert made == ["one", "two"]
    assert again.write("command").splitlines()[2:] == ["| one | 1.5 |", "| two | 1.5 |"]


def test_figures_of_random_networks_are_finite_and_repeat_themselves() -> None:
    networks = Networks(
        tokenizer=tiny_genie.tokenizer(), dynamics=tiny_genie.dynamics(), actions=tiny_genie.latent_actions()
    )
    shape = (3, START + HORIZON, 3, tiny_genie.HEIGHT, tiny_genie.WIDTH)
    held_out = HeldOut(
        pixels=tiny_genie.draw(4, *shape).clamp(-1, 1), controls=torch.zeros(3, START + HORIZON - 1, 3)
    )
    sampler = SamplerConfig(num_passes=2)
    one, two = (delta_psnr(networks, held_out, sampler) for _ in range(2))
    assert one == two
    assert one["clips"] == 3
    assert one["standard_error"] >= 0
    assert held_out_loss(networks, held_out) > 0
    assert reconstruction_db(networks, held_out) > 0


def test_variants_share_what_they_do_not_change(tmp_path: Path) -> None:
    base = genie.small(tmp_path)
    none = HeldOut(pixels=torch.zeros(0), controls=torch.zeros(0))
    setting = genie_claims.Setting(base=base, out=tmp_path, steps=9, held_out=none)
    shared, film = genie_claims.arrange(setting), genie_claims.arrange(setting, name="film")
    assert shared.tokenizer == film.tokenizer
    assert (shared.tokenizer.run, shared.tokenizer.loop.num_steps) == (tmp_path / "tokenizer", 9)
    assert film.dynamics.run == tmp_path / "film"

    run = tmp_path / "run"
    taken = genie_claims.arrange(replace(setting, finished=run))
    assert taken.tokenizer == replace(base.tokenizer, run=run / "tokenizer")
    assert taken.dynamics.tokenizer == run / "tokenizer" / "tokenizer"
    assert taken.dynamics.actions == FinishedActions(model=run / "latent_actions" / "latent_actions")
    assert taken.dynamics.loop.num_steps == 9

    own = genie_claims.arrange(replace(setting, finished=run), tokenizer_folder="own", actions="codes")
    assert (own.tokenizer.run, own.latent_actions.run) == (tmp_path / "own", tmp_path / "codes")
    assert own.latent_actions.loop.num_steps == 9
