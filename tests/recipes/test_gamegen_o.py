"""The recipes of gamegen_o fit together, and the published sizes count to what is known of them."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch

from benchmarks.instruct_ablations import ablate
from paracosm.core.config import from_json, to_json
from paracosm.core.errors import ConfigError
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.dynamics_masked import MaskedDynamics
from paracosm.models.instruct import InstructNet
from paracosm.models.text import ENCODERS
from paracosm.recipes.gamegen_o import RECIPES, find_recipe, on_finished
from paracosm.train.stages.instruct import InstructStageConfig
from paracosm.train.stages.masked import MaskedStageConfig
from paracosm.zoo import bundled_worlds


@pytest.mark.parametrize("name", ["tiny", "smoke"])
def test_the_stages_of_a_recipe_fit_together(name: str, tmp_path: Path) -> None:
    recipe = find_recipe(f"gamegen_o.{name}", tmp_path)
    base, branch, made = recipe.base, recipe.branch, recipe.tokenizer.model
    assert branch.model.base == base.model
    assert base.model.latent_channels == made.latent_channels
    assert ENCODERS[base.encoder].width == base.model.text_width
    assert all(shape.span >= base.text_frames for shape in base.shapes)
    assert branch.base == base.run / "dynamics"
    assert {texts.clip_frames for texts in recipe.texts} == {branch.new_frames + 1}
    assert from_json(MaskedStageConfig, to_json(base)) == base
    assert from_json(InstructStageConfig, to_json(branch)) == branch


def test_the_published_base_has_about_as_many_parameters_as_the_network_it_equals() -> None:
    recipe = RECIPES["published"](Path("runs"))
    with torch.device("meta"):
        base, branch = MaskedDynamics(recipe.base.model), InstructNet(recipe.branch.model)
    assert base.num_parameters == 1_211_878_672, "Open-Sora 1.2's STDiT3-XL/2 has 1.1 thousand million"
    assert branch.num_parameters == 727397568
    assert [base.config.attention_of(i) for i in range(4)] == ["space", "time"] * 2
    assert (len(base.blocks), len(branch.blocks)) == (56, 28)


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r'there is no recipe "gamegen_o\.huge"; choose one of gamegen_o\.published'
    ):
        find_recipe("gamegen_o.huge")


def test_recordings_and_a_tokenizer_that_are_there_are_taken_everywhere(tmp_path: Path) -> None:
    recipe = find_recipe("gamegen_o.tiny", tmp_path / "run")
    data, coder = tmp_path / "data", tmp_path / "coder"
    found = on_finished(recipe, data=data, tokenizer=coder)
    assert not found.recordings
    assert found.coder == coder
    assert (found.base.data, found.base.tokenizers) == ((data,), (coder,))
    assert (found.branch.data, found.branch.tokenizer, found.guides.tokenizer) == (data, coder, coder)
    assert {texts.data for texts in found.texts} == {data}
    assert on_finished(recipe) == recipe
    assert (found.base.initial, found.branch.controls_from) == (None, None), "under other latents"
    doom = bundled_worlds()["doom"]
    assert (recipe.coder, recipe.base.initial) == (doom / "tokenizer", doom / "dynamics")
    dynamics, begins = FlowDynamics.load(doom / "dynamics"), MaskedDynamics(recipe.base.model)
    begins.begin_from(dynamics)
    branch = InstructNet(recipe.branch.model)
    branch.hear_as(dynamics)
    for own in (begins.blocks, branch.blocks):
        assert torch.equal(own[7].own.enter.weight, dynamics.blocks[7].time.enter.weight)  # pyright: ignore
    begun = on_finished(recipe, tokenizer=coder, dynamics=data)
    assert (begun.base.initial, begun.branch.controls_from) == (data, data)
    with pytest.raises(ConfigError, match="speaks the latents of one tokenizer; pass that one too"):
        on_finished(recipe, dynamics=data)


@pytest.mark.parametrize("form", ["none", "joined"])
def test_an_ablation_changes_the_form_and_the_folder_alone(
    form: Literal["none", "joined"], tmp_path: Path
) -> None:
    recipe = find_recipe("gamegen_o.tiny", tmp_path)
    other = ablate(recipe, form)
    assert (other.branch.text_form, other.branch.run) == (form, tmp_path / form / "branch")
    back = replace(other.branch, text_form=recipe.branch.text_form, run=recipe.branch.run)
    assert replace(other, name=recipe.name, branch=back) == recipe
