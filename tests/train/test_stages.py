"""Tokenizer, encode and dynamics stages on recordings of the counting world."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from paracosm.core.errors import ConfigError, DataError
from paracosm.data.reader import Dataset
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.tokenizer_vae import TokenizerVAE
from paracosm.train.stages import encode, teacher, tokenizer

from .datasets import record_counting
from .stages import dynamics_config, tokenizer_config

BF16_TOLERANCE = 2e-2
"""Share of the largest latent: encoding multiplies in bf16, whose 8 bits leave 0.6 % after four layers."""


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings, a trained tokenizer and encoded latents."""
    root = tmp_path_factory.mktemp("street")
    record_counting(root / "data")
    made = tokenizer.main(tokenizer_config(root / "tokenizer", root / "data"))
    encode.main(encode.EncodeStageConfig(data=root / "data", tokenizer=made))
    return root


def config_of(root: Path, name: str) -> teacher.TeacherStageConfig:
    controls = Dataset(root / "data").info.controls
    return dynamics_config(root / name, root / "data", root / "tokenizer" / "tokenizer", controls)


def test_encoded_latents_are_those_of_the_tokenizer_row_by_row(street: Path) -> None:
    dataset = Dataset(street / "data")
    folder = street / "tokenizer" / "tokenizer"
    made = encode.encode_clip(TokenizerVAE.load(folder), np.ascontiguousarray(dataset.episodes[0].frames), 5)
    stored = encode.open_store(dataset, folder).read(dataset.episodes[0])
    assert stored.shape == (13, 4, 4, 8)
    np.testing.assert_allclose(stored, made, atol=BF16_TOLERANCE * np.abs(made).max())
    distances = np.abs(stored[:, None] - made[None]).mean((2, 3, 4))
    assert distances.argmin(1).tolist() == list(range(13))


def test_latents_leave_the_tokenizer_at_about_unit_variance(street: Path) -> None:
    dataset = Dataset(street / "data")
    store = encode.open_store(dataset, street / "tokenizer" / "tokenizer")
    latents = np.concatenate([store.read(episode) for episode in dataset.episodes]).astype(np.float32)
    assert 0.2 < latents.std() < 1.5


@pytest.mark.parametrize("past", ["two_streams", "independent"])
def test_both_kinds_of_past_train_and_leave_a_model(street: Path, past: str) -> None:
    config = replace(config_of(street, past), past=past)  # pyright: ignore[reportArgumentType]
    folder = teacher.main(config)
    assert FlowDynamics.load(folder).config == config.model


def test_the_control_of_step_t_leads_to_frame_t_plus_1(street: Path) -> None:
    stage = teacher.TeacherStage(config_of(street, "law"))
    latents, controls = stage.batch(0, 0, 2)
    (episode, first), *_ = stage.sampler.draw(0, 0, 2)
    recorded = Dataset(street / "data").episodes[episode].control_vectors
    assert torch.equal(controls[0, 0], torch.zeros(controls.shape[-1]))
    assert np.array_equal(controls[0, 1:].numpy(), recorded[first : first + latents.shape[1] - 1])


def test_a_dream_keeps_its_start_and_answers_the_same_seed_alike(street: Path) -> None:
    stage = teacher.TeacherStage(config_of(street, "dream"))
    dynamics = stage.networks["dynamics"]
    assert isinstance(dynamics, FlowDynamics)
    latents, controls = stage.batch(0, 0, 2)
    first = teacher.dream(dynamics, latents[:, :2], controls, (1.0, 0.5))
    again = teacher.dream(dynamics, latents[:, :2], controls, (1.0, 0.5))
    assert torch.equal(first[:, :2], latents[:, :2])
    assert first.shape == latents.shape
    assert torch.equal(first, again)


def test_training_can_begin_with_given_weights_of_the_same_sizes_only(street: Path) -> None:
    folder = teacher.main(config_of(street, "first"))
    begun = replace(config_of(street, "second"), initial=folder)
    stage = teacher.TeacherStage(begun)
    given = FlowDynamics.load(folder).state_dict()
    assert all(
        torch.equal(value, given[name]) for name, value in stage.networks["dynamics"].state_dict().items()
    )
    with pytest.raises(ConfigError, match="choose weights of the same sizes"):
        teacher.TeacherStage(replace(begun, model=replace(begun.model, depth=1)))


def test_weights_of_a_world_with_other_controls_begin_anew_where_they_enter(
    street: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun = replace(config_of(street, "own"), initial=street / "other")
    other = replace(begun.model, control_width=begun.model.control_width + 3, look_limit=(4.0, 4.0))
    FlowDynamics(other).save(street / "other")
    with caplog.at_level("INFO"):
        weights = teacher.TeacherStage(begun).networks["dynamics"].state_dict()
    fresh = teacher.TeacherStage(replace(begun, initial=None)).networks["dynamics"].state_dict()
    given = FlowDynamics.load(street / "other").state_dict()
    entering = "control.enter.weight"
    assert torch.equal(weights[entering], fresh[entering])
    assert all(torch.equal(weights[name], given[name]) for name in weights if name != entering)
    assert "but anew in control.enter.weight" in caplog.text


def test_a_tokenizer_can_begin_with_given_weights(street: Path, tmp_path: Path) -> None:
    folder = tokenizer.main(tokenizer_config(tmp_path / "first", street / "data", num_steps=1))
    begun = replace(tokenizer_config(tmp_path / "second", street / "data", num_steps=1), initial=folder)
    stage = tokenizer.TokenizerStage(begun)
    given = TokenizerVAE.load(folder).state_dict()
    assert all(
        torch.equal(value, given[name]) for name, value in stage.networks["tokenizer"].state_dict().items()
    )
    with pytest.raises(ConfigError, match="choose weights of the same sizes"):
        tokenizer.TokenizerStage(
            replace(begun, model=replace(begun.model, latent_channels=begun.model.latent_channels + 1))
        )


def test_latents_of_another_tokenizer_are_not_taken(street: Path, tmp_path: Path) -> None:
    other = tokenizer.main(tokenizer_config(tmp_path / "other", street / "data", num_steps=1))
    with pytest.raises(DataError, match="is missing; run the encode stage first"):
        teacher.TeacherStage(replace(config_of(street, "other"), tokenizer=other))


def test_an_average_can_be_taken_from_a_checkpoint_only_once_there_is_one(street: Path) -> None:
    config = config_of(street, "average")
    with pytest.raises(DataError, match="has no checkpoint yet"):
        teacher.save_average(config)
    finished = FlowDynamics.load(teacher.main(config)).state_dict()
    saved = FlowDynamics.load(teacher.save_average(config)).state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in finished.items())


def test_an_empty_split_names_those_that_exist(street: Path) -> None:
    with pytest.raises(DataError, match=r'no episode of split "unseen"; it has \[\'train\'\]'):
        tokenizer.TokenizerStage(replace(tokenizer_config(street / "t", street / "data"), split="unseen"))


def test_models_of_another_size_than_the_recording_are_refused_with_both(street: Path) -> None:
    config = tokenizer_config(street / "size", street / "data")
    with pytest.raises(ConfigError, match=r"frames of 32 x 64, the tokenizer is for 64 x 64"):
        tokenizer.TokenizerStage(replace(config, model=replace(config.model, height=64)))
    dynamics = config_of(street, "width")
    with pytest.raises(ConfigError, match=r"has \d+ control numbers, the dynamics takes 99"):
        teacher.TeacherStage(replace(dynamics, model=replace(dynamics.model, control_width=99)))
