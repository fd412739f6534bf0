"""A base goes on learning over several recordings, and a world of words is built for each tokenizer."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.word_base import build_worlds, describe, parse_source, train_base
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError
from paracosm.core.instruct_spec import load_instruct_spec
from paracosm.models.base import weights_hash
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.play.instruct_world import InstructEngineConfig, InstructWorld
from paracosm.train.stages.masked import MaskedStageConfig
from tests import tiny
from tests.evaluate.coded_world import record_coded


def toy(out: Path, sources: list[tuple[Path, Path]], initial: Path | None = None) -> MaskedStageConfig:
    config = describe(out, sources, 2, initial)
    model = replace(
        config.model, width=32, depth=1, heads=2, hidden=32, text_width=32,
        latent_channels=tiny.tokenizer_config().latent_channels,
    )  # fmt: skip
    return replace(config, model=model, encoder="hashed_words", tokens_per_batch=200)


def test_a_base_goes_on_over_two_recordings_and_plays_in_each(tmp_path: Path) -> None:
    sources = []
    for seed in range(2):
        data = tmp_path / f"data{seed}"
        info = record_coded(data, 2, seed=seed)[0].info
        shape = {"height": info.height, "width": info.width}
        TokenizerVAE(replace(tiny.tokenizer_config(), **shape)).save(tmp_path / f"tokenizer{seed}")
        sources.append((data, tmp_path / f"tokenizer{seed}"))
    first = train_base(toy(tmp_path / "first", sources[:1]))
    config = toy(tmp_path / "second", sources, first)
    assert weights_hash(train_base(config)) != weights_hash(first)
    worlds = build_worlds(config, tmp_path / "second")
    assert len({folder.name for folder in worlds}) == 2
    for folder in worlds:
        assert load_instruct_spec(folder).parts.branch is None
        world = InstructWorld(folder, InstructEngineConfig(num_threads=1))
        world.reset(seed=0, prompt="a red room")
        assert world.step(Control()).image.shape == (info.height, info.width, 3)
        world.close()


def test_sources_name_recordings_and_tokenizer() -> None:
    assert parse_source("a/b=c") == (Path("a/b"), Path("c"))
    for text in ("a/b", "=c", "a="):
        with pytest.raises(ConfigError, match="write RECORDINGS=TOKENIZER, two folders"):
            parse_source(text)
