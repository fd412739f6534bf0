"""A model on disk: what was saved comes back, and every broken folder is refused with a reason."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from paracosm.core.errors import ConfigError, DataError
from paracosm.models.base import weights_hash
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.tokenizer_vae import TokenizerVAE
from tests import foreign, tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.tokenizer().save(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def edit_config(folder: Path, **changes: object) -> None:
    document = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(document | changes))


def test_what_was_saved_comes_back_in_eval_mode(folder: Path) -> None:
    saved, loaded = tiny.tokenizer(), TokenizerVAE.load(folder)
    assert loaded.config == saved.config
    assert not loaded.training
    for name, tensor in saved.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])
    assert loaded.num_parameters == sum(parameter.numel() for parameter in saved.parameters())


def test_the_hash_names_the_weights(folder: Path, tmp_path: Path) -> None:
    tiny.tokenizer().save(tmp_path / "same")
    tiny.tokenizer(seed=1).save(tmp_path / "other")
    assert weights_hash(folder) == weights_hash(tmp_path / "same") != weights_hash(tmp_path / "other")


def test_saving_replaces_the_whole_folder(folder: Path) -> None:
    (folder / "left_over").touch()
    tiny.tokenizer().save(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_a_folder_of_others_is_not_replaced_by_a_model(tmp_path: Path) -> None:
    with foreign.refused(tmp_path / "mine") as mine:
        tiny.tokenizer().save(mine)


def test_a_model_of_another_library_is_not_replaced(folder: Path) -> None:
    (folder / "config.json").write_text('{"architectures": ["CLIPModel"], "hidden_size": 8}')
    with pytest.raises(DataError, match=r"no config.json of this project, so it is not replaced"):
        tiny.tokenizer().save(folder)


def test_weights_can_be_read_by_everyone(folder: Path) -> None:
    assert (folder / "model.safetensors").stat().st_mode & 0o444 == 0o444


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no model folder; a model is a folder with config\.json"):
        TokenizerVAE.load(tmp_path / "none")


def test_missing_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        DataError, match=r"model\.safetensors is missing; restore it or train the model again"
    ):
        TokenizerVAE.load(folder)


def test_truncated_weights_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match="is corrupt or truncated"):
        TokenizerVAE.load(folder)


def test_a_newer_format_is_refused(folder: Path) -> None:
    edit_config(folder, format_version=99)
    with pytest.raises(ConfigError, match=r"has format_version 99, this version reads up to \d+; .*upgrade"):
        TokenizerVAE.load(folder)


def test_a_folder_without_a_format_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match="has no format_version; it is not a model of this project"):
        TokenizerVAE.load(folder)


def test_another_kind_of_model_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match='kind "tokenizer_vae", not "dynamics_flow"; pass another folder'):
        FlowDynamics.load(folder)


def test_an_unknown_key_is_refused_by_its_path(folder: Path) -> None:
    document = json.loads((folder / "config.json").read_text())
    document["config"]["stemm"] = 4
    (folder / "config.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=r"tokenizer\.config\.stemm: .* did you mean stem"):
        TokenizerVAE.load(folder)


def test_weights_of_another_model_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["extra"] = tensors.pop("shift")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(DataError, match=r"lacks \['shift'\] and has unknown \['extra'\].*restore the pair"):
        TokenizerVAE.load(folder)


def test_weights_of_another_size_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["shift"] = torch.zeros(7)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(DataError, match=r"shift is \(7,\), the config says \(4,\); restore the pair"):
        TokenizerVAE.load(folder)
