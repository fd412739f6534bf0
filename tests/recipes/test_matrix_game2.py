"""The recipes are the published networks, and their cost is what counting says."""

import json
from pathlib import Path

import pytest

from paracosm.cli.plan_video import describe_video, judge_machine, video_figures
from paracosm.core.errors import ConfigError
from paracosm.recipes.cost import DEVICES, Device
from paracosm.recipes.matrix_game2 import RECIPES, find_recipe
from paracosm.recipes.video_cost import HALF, verdict, video_cost

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


def test_a_machine_is_told_what_fits():
    recipe = RECIPES["universal"]()
    cost = video_cost(recipe)
    card = Device(flops_per_second=400e12, memory_gb=24, source="")
    assert "plays live" in verdict(recipe, cost, card, is_card=True)
    assert "about 76 frames/s of 25" in verdict(recipe, cost, card, is_card=True)
    small = Device(flops_per_second=1e12, memory_gb=4, source="")
    assert verdict(recipe, cost, small, is_card=True) == (
        f"universal: does not fit; needs {cost.memory_bytes(352 * 640, HALF) / 1e9:.1f} GB in bfloat16"
    )
    assert len(judge_machine()) == 2


def test_an_unknown_recipe_is_refused():
    with pytest.raises(ConfigError, match=r'no recipe "matrix_game2.x"; choose one of matrix_game2'):
        find_recipe("matrix_game2.x")
