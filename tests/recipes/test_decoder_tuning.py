"""A decoder tuned to another game gains on held-out frames, and levels that were seen cannot judge."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.decoder_tuning import TuneConfig, tune
from paracosm.core.errors import DataError
from paracosm.models.tokenizer_vae import TokenizerVAE
from tests import tiny
from tests.train.datasets import HEIGHT, WIDTH, record_counting


def test_a_tuned_decoder_is_held_against_the_one_before_on_other_levels(tmp_path: Path) -> None:
    folder = tmp_path / "before"
    TokenizerVAE(replace(tiny.tokenizer_config(), height=HEIGHT, width=WIDTH)).save(folder)
    record_counting(tmp_path / "data", num_episodes=2)
    record_counting(tmp_path / "held_out", num_episodes=3, split="held_out", seed=1)
    config = TuneConfig(
        before=folder,
        data=tmp_path / "data",
        held_out=tmp_path / "held_out",
        run=tmp_path / "run",
        num_steps=12,
    )
    figures = tune(config)
    before, tuned, gain = (
        figures[f"decoder.{name}"] for name in ("psnr_db.before", "psnr_db.tuned", "gain_db")
    )
    assert gain.n == 3
    assert before.value is not None
    assert tuned.value is not None
    assert gain.value is not None
    assert gain.value == pytest.approx(tuned.value - before.value)
    assert gain.value > 0
    with pytest.raises(
        DataError, match=r"has levels that .* shows too .*; record it with another --first-world"
    ):
        tune(replace(config, held_out=tmp_path / "data"))
