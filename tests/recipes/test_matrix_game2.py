"""The recipes are the published networks, and their cost is what counting says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file

from paracosm.cli.plan_video import (
    describe_machine,
    describe_video,
    judge_all,
    machine_figures,
    video_figures,
)
from paracosm.core.errors import ConfigError, DataError
from paracosm.models.dynamics_video import VideoDynamics
from paracosm.recipes.cost import DEVICES
from paracosm.recipes.matrix_game2 import RECIPES, find_recipe
from paracosm.recipes.video_cost import video_cost
from paracosm.recipes.video_machine import Machine, card_speeds
from paracosm.recipes.video_street import bring_base, street
from tests import tiny_video

TABLE = Path(__file__).parents[1] / "convert" / "published_tensors.json"
PUBLISHED = json.loads(TABLE.read_text())["variants"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recipes_have_the_published_numbers(name):
    cost = video_cost(find_recipe(f"matrix_game2.{name}"))
    assert (cost.tensors, cost.parameters) == (PUBLISHED[name]["tensors"], PUBLISHED[name]["parameters"])


def test_a_pass_of_the_published_student_is_ten_teraflops_and_a_block_of_twelve_frames_sixty_three():
    cost = video_cost(find_recipe("matrix_game2.universal"))
    # the estimate of 11.2 lets every weight meet every token; those of the picture and of keys meet fewer
    assert cost.forward_flops == pytest.approx(10.13e12, rel=0.01)
    assert cost.decode_flops == pytest.approx(22.9e12, rel=0.01)
    assert cost.block_flops == 4 * cost.forward_flops + cost.decode_flops
    assert cost.cache_bytes / 2**20 == pytest.approx(618.8, rel=0.01)
    assert cost.frames_per_second(DEVICES["h100"].flops_per_second) == pytest.approx(75, rel=0.02)


@pytest.mark.parametrize("name", ["small", "tiny"])
def test_smaller_sizes_are_planned(name):
    recipe = RECIPES[name]()
    figures = video_figures(recipe, DEVICES["rtx-4090"])
    assert figures["plan.parameters"].value < 0.15 * 1_619_242_304
    assert figures["plan.hours"].value > 0
    assert recipe.name in describe_video(recipe)


CARD = Machine(
    name="a card", memory_gb=24.0, speeds={"float32": 80e12, "bfloat16": 400e12, "float16": 410e12}
)


def test_a_card_is_told_which_precision_to_take_for_every_recipe_that_plays():
    judged = judge_all(CARD)
    assert list(judged) == ["universal", "gta_drive", "templerun", "small"]
    universal, cost = judged["universal"], video_cost(RECIPES["universal"]())
    for name, number_bytes in (("float32", 4), ("bfloat16", 2), ("float16", 2)):
        way = universal.ways[name]
        assert way.memory_gb == cost.memory_bytes(352 * 640, number_bytes) / 1e9
        assert way.frames_per_second == pytest.approx(12 * CARD.speeds[name] / cost.block_flops)
    # float16 is faster by less than a tenth, and bfloat16 has the wider range
    assert {judgement.best for judgement in judged.values()} == {"bfloat16"}
    head, *lines, decoder = describe_machine(CARD, judged)
    assert head.startswith("Matrix-Game 2.0 on a card with 24.0 GB")
    assert "(80 in float32, 4e+02 in bfloat16, 4.1e+02 in float16)" in head
    assert lines[0] == (
        "universal: take --dtype bfloat16: 8.2 GB, about 76 frames/s of 25, plays live; "
        "float32 16.4 GB, 15 frames/s; float16 8.2 GB, 78 frames/s"
    )
    assert [line.partition(":")[0] for line in lines] == list(judged)
    assert decoder == (
        "decoder: take the full one of Wan 2.1; there is no other; its share of the work: "
        "36% of universal, 38% of gta_drive, 32% of templerun, 83% of small"
    )


def test_what_does_not_fit_is_not_taken():
    judged = judge_all(replace(CARD, memory_gb=7.5, speeds={"float32": 1e12, "float16": 1e9}))
    assert {name: judgement.best for name, judgement in judged.items()} == {
        "universal": "",
        "gta_drive": "float16",
        "templerun": "",
        "small": "float16",
    }
    lines = describe_machine(replace(CARD, memory_gb=7.5), judged)
    assert lines[1] == "universal: does not fit into 7.5 GB; needs 16.4 GB in float32, 8.2 GB in float16"
    assert lines[2].startswith(
        "gta_drive: take --dtype float16: 7.3 GB, about 0.0002 frames/s of 25, for look"
    )
    assert lines[2].endswith("; float32 14.6 GB, does not fit")
    slower = judge_all(replace(CARD, speeds={"float32": 95e9, "bfloat16": 100e9, "float16": 2e9}))
    assert slower["universal"].best == "float32", "as fast to a tenth, and more exact"


def test_what_a_machine_is_told_is_told_in_figures_too():
    judged = judge_all(replace(CARD, memory_gb=10.0))
    figures = machine_figures(replace(CARD, memory_gb=10.0), judged)
    head = "doctor.streamed.universal"
    assert figures[f"{head}.bfloat16.take"].value == 1
    assert figures[f"{head}.float32.take"].value == figures[f"{head}.float16.take"].value == 0
    assert figures[f"{head}.bfloat16.memory_gb"].value == pytest.approx(8.2, abs=0.05)
    assert figures[f"{head}.bfloat16.frames_per_second"].value == pytest.approx(76, abs=0.5)
    assert figures[f"{head}.float32.frames_per_second"].reason == "does not fit into 10.0 GB"
    assert figures["doctor.streamed.small.decoder_share"].value == pytest.approx(0.83, abs=0.005)
    assert figures["doctor.streamed.bfloat16.flops_per_second"].value == 400e12


def test_a_known_card_is_taken_at_the_speed_of_the_table():
    measured = {"float32": 40e12, "bfloat16": 132e12, "float16": 132e12}
    table = DEVICES["rtx-4090"].flops_per_second
    assert card_speeds("NVIDIA GeForce RTX 4090", measured) == {
        "float32": 0.5 * 40e12,
        "bfloat16": table,
        "float16": table,
    }
    assert card_speeds("another", measured) == measured


def test_an_unknown_recipe_is_refused():
    with pytest.raises(ConfigError, match=r'no recipe "matrix_game2.x"; choose one of matrix_game2'):
        find_recipe("matrix_game2.x")


def test_the_street_hands_each_stage_what_the_one_before_left(tmp_path):
    described = street("matrix_game2.tiny", tmp_path)
    assert described.base is not None
    assert described.base.model.action_layers == ()
    assert described.teacher.initial == described.base.run / "dynamics"
    assert described.student.teacher == described.teacher.run / "dynamics"
    assert described.forcing.student == described.student.run / "dynamics"
    assert described.forcing.real == described.teacher.run / "dynamics"
    assert described.student.levels == described.forcing.levels == RECIPES["tiny"]().levels
    assert described.teacher.data.parts == tmp_path / "codec" / "parts"
    assert list(RECIPES["tiny"]().training) == [
        part.run.name for part in (described.base, described.teacher, described.student, described.forcing)
    ]


def test_a_published_base_takes_the_place_of_the_toy_one(tmp_path):
    described = street("matrix_game2.tiny", tmp_path / "run", base_file=tmp_path / "base.safetensors")
    assert described.base is None
    with pytest.raises(DataError, match="is corrupt or truncated"):
        bring_base(described)
    model = described.teacher.model
    tensors = tiny_video.published_tensors(model)
    tensors = {name: tensor for name, tensor in tensors.items() if ".action_model." not in name}
    save_file(
        {**tensors, "text_embedding.0.weight": tensors["head.head.weight"] + 1}, tmp_path / "base.safetensors"
    )
    bring_base(described)
    begun = VideoDynamics.load(described.teacher.initial)
    assert begun.config == model
    leaves = [tensor for name, tensor in begun.state_dict().items() if "leave" in name and "actions" in name]
    assert len(leaves) == 4
    assert not any(bool(tensor.any()) for tensor in leaves)


def test_a_street_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"matrix_game2.universal has no street; walk one of matrix_game2.tiny"
    ):
        street("matrix_game2.universal", tmp_path)
    with pytest.raises(ConfigError, match=r"name a folder with vae/ and image_encoder/ by --parts"):
        street("matrix_game2.small", tmp_path)
    with pytest.raises(
        DataError, match=r"holds no recordings; paracosm record or paracosm import makes some"
    ):
        street("matrix_game2.tiny", tmp_path, data=tmp_path)
    assert street("matrix_game2.small", tmp_path, parts=tmp_path).codec is None
