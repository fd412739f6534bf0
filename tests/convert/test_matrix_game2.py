"""Published checkpoints: every name and shape, nothing unused, nothing missing, errors that help."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from paracosm import play
from paracosm.convert.matrix_game2 import (
    convert_network,
    find_weights,
    published_shapes,
    read_published_config,
    read_published_weights,
)
from paracosm.convert.variants import VARIANTS, find_variant
from paracosm.core.errors import ConfigError, DataError
from paracosm.models.dynamics_video import VideoDynamics
from tests import tiny_video

PUBLISHED = json.loads((Path(__file__).parent / "published_tensors.json").read_text())


def meta(document) -> VideoDynamics:
    with torch.device("meta"):
        return VideoDynamics(read_published_config(document))


def expected_shapes(variant: str) -> dict[str, tuple[int, ...]]:
    """Every tensor of a published file, from the list of its config's making."""
    about, shapes = PUBLISHED["variants"][variant], dict(PUBLISHED["outside_blocks"])
    layers = 30 if about["action_blocks"] == "0..29" else 15
    for i in range(30):
        shapes |= {name.format(i=i): shape for name, shape in PUBLISHED["per_block"].items()}
        if i < layers:
            for name, shape in PUBLISHED["per_action_block"].items():
                if about["enable_mouse"] or name not in PUBLISHED["mouse_only"]:
                    sides = [about["keyboard_dim"] if side == "KEYBOARD_DIM" else side for side in shape]
                    shapes[name.format(i=i)] = sides
    return {name: tuple(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("variant", PUBLISHED["variants"])
def test_every_tensor_of_a_published_variant_has_its_name_and_shape(variant):
    about = PUBLISHED["variants"][variant]
    network = meta(published_document(variant))
    shapes = published_shapes(network)
    assert shapes == expected_shapes(variant)
    assert len(shapes) == about["tensors"]
    assert sum(map(math.prod, shapes.values())) == about["parameters"]
    assert sum(tensor.numel() for tensor in network.state_dict().values()) == about["parameters"]


def published_document(variant: str) -> dict:
    about = PUBLISHED["variants"][variant]
    actions = {
        "blocks": list(range(30 if about["action_blocks"] == "0..29" else 15)),
        "enable_keyboard": True,
        "enable_mouse": about["enable_mouse"],
        "heads_num": 16,
        "hidden_size": 128,
        "img_hidden_size": 1536,
        "keyboard_dim_in": about["keyboard_dim"],
        "keyboard_hidden_dim": 1024,
        "mouse_dim_in": about["mouse_dim"],
        "mouse_hidden_dim": 1024,
        "rope_dim_list": [8, 28, 28],
        "rope_theta": 256,
        "vae_time_compression_ratio": 4,
        "windows_size": 3,
    }
    return {
        "action_config": actions,
        "dim": 1536,
        "num_layers": 30,
        "num_heads": 12,
        "ffn_dim": 8960,
        "freq_dim": 256,
        "in_dim": 36,
        "out_dim": 16,
        "local_attn_size": about["local_attn_size"],
        "sink_size": 0,
        "inject_sample_info": False,
        "model_type": "i2v",
        "eps": 1e-6,
    }


@pytest.mark.parametrize("prefix", ["model.", ""])
def test_a_converted_network_holds_every_stored_number(tmp_path, prefix):
    source = tiny_video.write_checkpoint(tmp_path / "from", prefix=prefix)
    convert_network(source, tmp_path / "to")
    network = VideoDynamics.load(tmp_path / "to")
    stored = load_file(source / "weights.safetensors")
    numbers = torch.cat([tensor.flatten() for tensor in stored.values()]).sort().values
    held = torch.cat([tensor.flatten() for tensor in network.state_dict().values()]).sort().values
    assert torch.equal(held, numbers)
    assert torch.equal(network.enter.weight, stored[f"{prefix}patch_embedding.weight"].flatten(1))


def test_number_types_are_kept(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    stored = {name: part.bfloat16() for name, part in load_file(source / "weights.safetensors").items()}
    save_file(stored, source / "weights.safetensors")
    convert_network(source, tmp_path / "to")
    assert {part.dtype for part in load_file(tmp_path / "to" / "model.safetensors").values()} == {
        torch.bfloat16
    }
    network = VideoDynamics.load(tmp_path / "to", torch.bfloat16)
    clean, given = tiny_video.clip_inputs(network, 3)
    assert network(clean, torch.full((1, 3), 0.5), given).dtype == torch.bfloat16


def test_a_truncated_file_is_refused(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    path = source / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"weights.safetensors is corrupt or truncated .*; download it again"):
        convert_network(source, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def change(source: Path, **changes) -> None:
    stored = load_file(source / "weights.safetensors")
    for name, tensor in changes.items():
        if tensor is None:
            del stored[name]
        else:
            stored[name] = tensor
    save_file(stored, source / "weights.safetensors")


def test_a_missing_and_an_unknown_tensor_are_named(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    change(source, **{"model.blocks.1.ffn.0.bias": None, "model.text_embedding.0.weight": torch.zeros(2)})
    with pytest.raises(
        DataError, match=r"lacks model.blocks.1.ffn.0.bias and has unknown model.text_embedding.0.weight"
    ):
        convert_network(source, tmp_path / "to")


def test_weights_of_another_variant_are_refused(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    (source / "config.json").write_text(json.dumps(tiny_video.published_config(keys=2)))
    with pytest.raises(
        DataError,
        match=r"keyboard_embed.0.weight is \[4, 4\], config.json describes \[4, 2\]; the two belong",
    ):
        convert_network(source, tmp_path / "to")


def test_a_folder_without_weights_or_with_two_is_refused(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    (source / "weights.safetensors").rename(source / "a.safetensors")
    (source / "b.safetensors").write_bytes((source / "a.safetensors").read_bytes())
    with pytest.raises(DataError, match=r"holds a.safetensors, b.safetensors of the safetensors files"):
        find_weights(source)
    with pytest.raises(DataError, match=r"no folder; give the folder that holds config.json"):
        find_weights(tmp_path / "nowhere")


def test_other_tensors_beside_the_weights_are_passed_over(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    save_file({"in.noise": torch.zeros(2)}, source / "case.safetensors")
    assert find_weights(source).name == "weights.safetensors"
    network = meta(tiny_video.published_config() | {"dim": 24})
    with pytest.raises(DataError, match="the two belong to different variants"):
        read_published_weights(find_weights(source), network)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"dim": None}, "config.json has dim = None; a whole number from 1 to 1,000,000 is needed: give the"),
        ({"dim": True}, "dim = True; a whole number from 1"),
        ({"num_layers": 0}, "num_layers = 0; a whole number from 1"),
        ({"num_heads": 1.5}, "num_heads = 1.5; a whole number from 1"),
        ({"ffn_dim": float("inf")}, "ffn_dim = inf; a whole number from 1"),
        ({"in_dim": 16}, "in_dim = 16; a whole number from 17"),
        ({"freq_dim": 15}, "time_width 15 is odd, but a sinusoid has as many cosines as sines; use 16"),
        ({"sink_size": "x"}, "sink_size = 'x'; a whole number from 0"),
        ({"sink_size": -1}, "sink_size = -1; a whole number from 0"),
        ({"sink_size": 4}, "window 6 holds no block of 3 and sink of 4 latent frames; use a window of at"),
        ({"local_attn_size": -2}, "local_attn_size = -2; a whole number from -1"),
        ({"action_config": []}, r"action_config = \[\]; an object of settings is needed"),
        ({"patch_size": [2, 2, 2]}, r"patch_size = \[2, 2, 2\]; only \[1, 2, 2\] can be built here"),
        ({"model_type": "t2v"}, "model_type = 't2v'; only 'i2v' can be built here"),
        ({"dim": 48}, "img_hidden_size 24 is not dim 48"),
    ],
)
def test_a_config_of_another_network_is_refused(change, text):
    with pytest.raises(ConfigError, match=text):
        read_published_config(tiny_video.published_config() | change)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"blocks": ["a"]}, r"action_config.blocks = \['a'\]; a list of whole numbers from 0 to"),
        ({"blocks": [0, 0]}, r"action_config.blocks = \[0, 0\]; every block at most once is needed"),
        ({"blocks": [2]}, r"action_layers \[2\] are not all blocks 0 .. 1"),
        (
            {"blocks": []},
            r"action_config.blocks = \[\]: no block has an action module, so keys and mouse would do "
            r"nothing; such a base is what paracosm recipe matrix_game2.small --base FILE begins from",
        ),
        ({"enable_mouse": "no"}, "action_config.enable_mouse = 'no'; true or false is needed"),
        (
            {"enable_mouse": False, "enable_keyboard": False},
            "has neither action_config.enable_mouse nor action_config.enable_keyboard; a world needs one",
        ),
        ({"rope_theta": 0}, "action_config.rope_theta = 0; a number from 1 to 1e"),
        ({"rope_theta": float("nan")}, "action_config.rope_theta = nan; a number from 1 to 1e"),
        ({"rope_dim_list": []}, r"rope_dim_list = \[\]; a list of whole numbers from 0 to"),
        ({"rope_dim_list": [7, 5, 4]}, r"rope_dim_list = \[7, 5, 4\]; an even first number is needed"),
        ({"heads_num": 0}, "action_config.heads_num = 0; a whole number from 1"),
        ({"windows_size": "3"}, "action_config.windows_size = '3'; a whole number from 1"),
    ],
)
def test_actions_that_cannot_be_built_are_refused(change, text):
    document = tiny_video.published_config()
    with pytest.raises(ConfigError, match=text):
        read_published_config(document | {"action_config": document["action_config"] | change})


def test_a_setting_that_is_missing_is_named():
    document = tiny_video.published_config()
    del document["ffn_dim"]
    with pytest.raises(ConfigError, match=r"config.json has no ffn_dim; a whole number from 1"):
        read_published_config(document)


def test_a_whole_number_may_be_written_with_a_point():
    document = tiny_video.published_config()
    plain = read_published_config(document)
    actions = document["action_config"] | {"rope_theta": 256.0, "windows_size": 3.0}
    assert read_published_config(document | {"dim": 24.0, "action_config": actions}) == plain


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (
            torch.full((32,), torch.nan),
            "holds a number that is not finite in float32; the file is damaged or",
        ),
        (torch.full((32,), torch.inf, dtype=torch.bfloat16), "holds a number that is not finite in float32"),
        (torch.full((32,), 1e300, dtype=torch.float64), "holds a number that is not finite in float32"),
        (torch.zeros(32, dtype=torch.int64), "holds int64 numbers; weights are floating-point numbers: down"),
        (torch.zeros(32, dtype=torch.bool), "holds bool numbers; weights are floating-point numbers"),
    ],
)
def test_tensors_that_are_no_weights_are_refused(tmp_path, tensor, text):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    change(source, **{"model.blocks.1.ffn.0.bias": tensor})
    with pytest.raises(DataError, match=f"weights.safetensors: model.blocks.1.ffn.0.bias {text}"):
        convert_network(source, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_an_image_norm_of_another_kind_is_refused(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    change(source, **{"model.img_emb.proj.0.weight": torch.tensor(1.0)})
    with pytest.raises(DataError, match=r"img_emb.proj.0.weight is \[\], one row of numbers is needed"):
        convert_network(source, tmp_path / "to")


def test_a_setting_that_is_not_known_is_said(caplog):
    read_published_config(tiny_video.published_config() | {"new_setting": 3})
    assert "config.json: new_setting = 3 is not known and not used" in caplog.text


def test_a_variant_is_known_by_its_controls():
    for name, keys, mouse, window in (
        ("universal", 4, 2, 6),
        ("gta_drive", 2, 2, 4),
        ("templerun", 7, 0, 6),
        ("foundation", 4, 2, -1),
    ):
        config = tiny_video.config(keys=keys, mouse=mouse, window=window)
        assert find_variant("auto", config.actions, config.window) == (name, VARIANTS[name])
        assert find_variant(name, config.actions, config.window)[0] == name
    config = tiny_video.config(keys=6)
    name, variant = find_variant("auto", config.actions, config.window)
    assert (name, variant.columns) == ("custom", ("key1", "key2", "key3", "key4", "key5", "key6"))
    assert variant.controls.bindings["Digit6"] == "key6"


def test_every_key_of_a_network_with_many_has_a_binding_that_the_page_leaves_free():
    config = tiny_video.config(keys=32)
    controls = find_variant("auto", config.actions, config.window)[1].controls
    assert sorted(controls.bindings.values()) == sorted(controls.keys)
    assert (controls.bindings["Digit0"], controls.bindings["KeyQ"]) == ("key10", "key11")
    shortcuts = (Path(play.__file__).parent / "client" / "shortcuts.js").read_text()
    assert not [code for code in controls.bindings if f" {code}:" in shortcuts]


def test_more_keys_than_a_keyboard_has_are_refused():
    config = tiny_video.config(keys=33)
    with pytest.raises(
        ConfigError, match=r"has 33 keyboard numbers, and 32 keys are free for .*: add the variant, with its"
    ):
        find_variant("auto", config.actions, config.window)


def test_a_wrong_variant_is_refused():
    config = tiny_video.config(keys=2)
    with pytest.raises(
        ConfigError,
        match=r"variant universal has 4 keyboard numbers, 2 mouse numbers and a window, the config.json has",
    ):
        find_variant("universal", config.actions, config.window)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_published_block_runs_in_bfloat16_at_full_size():
    document = published_document("universal")
    config = replace(read_published_config(document), depth=1, action_layers=(0,))
    with torch.device("meta"):
        network = VideoDynamics(config)
    network = network.to_empty(device="cpu").bfloat16().eval()
    for tensor in network.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape, dtype=torch.bfloat16) * 0.02)
    with torch.inference_mode():
        clean, given = tiny_video.clip_inputs(network, 3, rows=44, columns=80)
        flow = network.step(clean, torch.full((1, 3), 0.5), given, network.empty_cache(44, 80))
    assert flow.shape == clean.shape
    assert bool(flow.isfinite().all())
