"""Recipes of genie: the paper's figures come out, and the toy street leads from pictures to a dynamics."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from paracosm.cli.commands_plan import describe_genie, genie_figures
from paracosm.cli.commands_recipe import find_genie
from paracosm.core.config import from_json, to_json
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, DataError
from paracosm.data.reader import Dataset
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.latent_actions import LatentActions
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.play.engine import open_model_world
from paracosm.recipes import cost, genie
from paracosm.recipes.cost import DEVICES, num_tokens, stage_cost
from paracosm.recipes.genie import GenieRecipe
from paracosm.recipes.genie_street import draw_actions, from_folder, name_keys, on_recordings, run_genie
from paracosm.train.stages.maskgit import FinishedActions, ParallelActions
from tests.train.datasets import record_counting

RUN = Path("runs")
BILLION = 1_000_000_000


def test_the_paper_model_has_its_10_7_billion_parameters_and_942_billion_tokens() -> None:
    recipe = genie.paper_10b(RUN)
    sizes = {name: stage_cost(config).parameters / BILLION for name, config in recipe.stages.items()}
    assert round(sum(sizes.values()), 1) == 10.7
    assert round(sizes["dynamics"], 1) == 10.1
    assert round(sizes["tokenizer"], 1) == 0.2
    assert recipe.dynamics.model.tokens_per_frame == 920
    assert round(num_tokens(recipe.dynamics) / BILLION) == 942
    # 6.6e22 operations in table 12, by the usual six for each parameter and token
    flops = stage_cost(recipe.dynamics).flops
    assert 0.8 < flops / 6.6e22 < 1.3


def test_robotics_has_its_2_5_billion_parameters_beside_the_latent_actions() -> None:
    recipe = genie.robotics_2_5b(RUN)
    sizes = [stage_cost(config).parameters for config in (recipe.tokenizer, recipe.dynamics)]
    assert round(sum(sizes) / BILLION, 1) == 2.5


def test_the_case_study_is_appendix_f() -> None:
    recipe = genie.coinrun_case_study(RUN)
    record = recipe.recordings["train"]
    assert record.num_world_seeds == 10_000
    assert record.num_episodes * record.max_steps == 10_000_000
    assert record.policy == "random"
    assert recipe.tokenizer.model.tokens_per_frame == 256
    assert (recipe.tokenizer.batch_size, recipe.tokenizer.loop.num_steps) == (48, 300_000)
    assert (recipe.dynamics.batch_size, recipe.dynamics.loop.num_steps) == (36, 200_000)
    assert recipe.latent_actions.model.num_actions == 6
    assert recipe.dynamics.model.stack.depth == 12
    assert recipe.dynamics.past == "masked"
    assert isinstance(recipe.dynamics.actions, ParallelActions)
    assert (recipe.sampler.num_passes, recipe.sampler.temperature) == (25, 1.0)


@pytest.mark.parametrize("name", genie.RECIPES)
def test_every_recipe_can_be_planned_and_its_configs_reload_to_equality(name: str) -> None:
    recipe = find_genie(f"genie.{name}", RUN, tiny=False)
    assert recipe.name in describe_genie(recipe)
    for config in recipe.stages.values():
        assert from_json(type(config), to_json(config)) == config
    figures = genie_figures(recipe, DEVICES["h100"])
    for figure in ("plan.parameters", "plan.flops", "plan.hours", "plan.dynamics.tokens", "plan.memory_gb"):
        assert figures[figure].value > 0
    with torch.device("meta"):
        model = MaskGITDynamics(recipe.dynamics.model)
    assert figures["plan.dynamics.parameters"].value == model.num_parameters


@pytest.mark.parametrize("stage", ["tokenizer", "latent_actions", "dynamics"])
def test_counting_by_depth_gives_what_the_whole_network_has(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = genie.tiny(RUN).stages[stage]
    names = [name for name in ("encoder", "decoder", "stack") if hasattr(config.model, name)]
    stacks = {name: replace(getattr(config.model, name), depth=3 + i) for i, name in enumerate(names)}
    config = replace(config, model=replace(config.model, **stacks), batch_size=2)
    quick = stage_cost(config)
    monkeypatch.setattr(cost, "_STACKS", {})
    assert stage_cost(config) == quick


def test_an_unknown_recipe_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r'no recipe "genie.huge"; choose one of genie.tiny, genie.small'):
        find_genie("genie.huge", RUN, tiny=False)


def quick(recipe: GenieRecipe, num_steps: int = 3) -> GenieRecipe:
    """The toy recipe with a few steps a stage."""
    toy = genie.shorten(recipe)
    toy = replace(toy, latent_actions=replace(toy.latent_actions, free_steps=1))
    stages = {
        name: replace(
            config,
            loop=replace(config.loop, num_steps=num_steps, precision="fp32", log_every=1),
            batch_size=2,
            clip_frames=6,
        )
        for name, config in toy.stages.items()
    }
    return replace(toy, **stages)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("genie") / "steps"
    record_counting(folder, num_episodes=3, max_steps=14)
    return folder


def test_the_street_leads_from_pictures_to_a_dynamics(pictures: Path) -> None:
    recipe = quick(from_folder(pictures.parent / "run", pictures))
    folder = run_genie(recipe)
    assert folder == recipe.run / "world"
    dynamics = MaskGITDynamics.load(recipe.dynamics.run / "dynamics")
    actions = LatentActions.load(recipe.latent_actions.run / "latent_actions")
    assert torch.equal(dynamics.actions, actions.quantizer.lookup(torch.arange(8)))
    tokenizer = TokenizerVQ.load(recipe.tokenizer.run / "tokenizer")
    info = Dataset(pictures).info
    assert (tokenizer.config.height, tokenizer.config.width) == (info.height, info.width)
    assert isinstance(recipe.dynamics.actions, FinishedActions)
    world = open_model_world(str(folder))
    frames = [world.reset(seed=0), *(world.step(Control(latent=i)) for i in range(8))]
    assert all(frame.image.shape == (info.height, info.width, 3) for frame in frames)
    world.close()
    assert run_genie(recipe) == folder  # walking again trains nothing
    chosen = name_keys(recipe, folder, pictures)
    held = np.concatenate([episode.control_vectors for episode in Dataset(pictures).episodes]).any(0)
    assert set(chosen) == {key for key, ever in zip(info.controls.keys, held, strict=False) if ever}
    with Image.open(draw_actions(folder, num_steps=4)) as picture:
        assert picture.height > 8 * info.height  # a row for each of eight actions
    world = open_model_world(str(folder))
    assert world.info.controls.keys == tuple(chosen)
    bindings = {code: key for code, key in info.controls.bindings.items() if key in chosen}
    assert world.info.controls.bindings == bindings  # so the page's keys reach them
    assert len(world.info.latent_pictures) == 8
    world.close()


def test_a_named_recipe_takes_recordings_that_are_there_already(pictures: Path) -> None:
    recipe = on_recordings(find_genie("genie.small", pictures.parent / "named", tiny=True), pictures)
    info = Dataset(pictures).info
    assert not recipe.recordings
    assert {config.data for config in recipe.stages.values()} == {pictures}
    assert {config.cuts for config in recipe.stages.values()} == {"none"}
    assert (recipe.tokenizer.model.height, recipe.tokenizer.model.width) == (info.height, info.width)
    assert recipe.dynamics.model.tokens_per_frame == recipe.tokenizer.model.tokens_per_frame
    with pytest.raises(DataError, match="holds no recordings; paracosm record or paracosm import makes some"):
        on_recordings(recipe, pictures.parent / "nothing")


def test_what_holds_no_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder; give a folder of recordings or of videos"):
        from_folder(tmp_path / "run", tmp_path / "nothing")
    with pytest.raises(DataError, match="holds no video; put files ending in"):
        from_folder(tmp_path / "run", tmp_path)
