"""A world of tokens plays: same seed same bytes, snapshots, learnt actions, real keys, any start picture."""

import base64
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ControlError, DataError, WorldError
from paracosm.core.rng import stream
from paracosm.core.token_spec import TokenStarts, action_picture, load_token_spec
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.mask_schedule import SamplerConfig
from paracosm.models.token_step import CodesCondition, CodesStep, empty_place
from paracosm.models.token_world import build_token_world
from paracosm.play.backends.onnx_backend import open_graph
from paracosm.play.connection import describe
from paracosm.play.engine import open_model_world
from paracosm.play.token_world import TokenEngineConfig, TokenWorld
from tests import foreign, tiny_genie
from tests.tiny_genie import ACTIONS, HEIGHT, WIDTH


def build(folder: Path, **changes: object) -> Path:
    draws = stream(0, "token starts")
    values = {
        "tokenizer": tiny_genie.tokenizer(),
        "dynamics": tiny_genie.dynamics(),
        "starts": TokenStarts(
            frames=draws.integers(0, 256, (3, 3, HEIGHT, WIDTH, 3), np.uint8),
            actions=draws.integers(0, ACTIONS, (3, 2)),
        ),
        "name": "tiny-tokens",
        "description": "Random weights under learnt actions.",
        "fps": 10.0,
        "idle_action": 1,
        "sampler": SamplerConfig(num_passes=3),
        "key_actions": {"left": 2, "right": 3},
    }
    build_token_world(folder, **values | changes)  # pyright: ignore[reportArgumentType]
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("tokens") / "world")


def play(world: TokenWorld, controls: list[Control], seed: int = 0) -> np.ndarray:
    return np.stack([world.reset(seed).image, *(world.step(control).image for control in controls)])


SCRIPT = [Control(latent=i % ACTIONS) for i in range(7)]


def test_it_opens_by_its_folder_and_offers_its_learnt_actions(folder: Path) -> None:
    world = open_model_world(str(folder))
    assert isinstance(world, TokenWorld)
    assert world.info.controls.num_latents == ACTIONS
    assert world.info.controls.keys == ("left", "right")
    frames = play(world, SCRIPT)
    assert frames.shape == (8, HEIGHT, WIDTH, 3)
    assert world.info.details["denoise_steps"] == 3
    world.close()
    with pytest.raises(WorldError, match="is closed; open it again"):
        world.step(Control())


def test_same_seed_and_controls_give_the_same_bytes_and_others_do_not(folder: Path) -> None:
    one, two = TokenWorld(folder), TokenWorld(folder)
    assert np.array_equal(play(one, SCRIPT), play(two, SCRIPT))
    assert not np.array_equal(play(one, SCRIPT), play(two, SCRIPT, seed=5))
    assert not np.array_equal(play(one, SCRIPT), play(two, SCRIPT[::-1]))


def test_a_snapshot_replays_the_same_bytes_also_after_another_way_was_tried(folder: Path) -> None:
    world = TokenWorld(folder)
    play(world, SCRIPT[:3])
    state = world.snapshot()
    first = [world.step(control).image for control in SCRIPT]
    world.restore(state)
    world.step(Control(latent=3))
    world.restore(state)
    again = [world.step(control).image for control in SCRIPT]
    assert np.array_equal(first, again)


def test_writing_behind_the_frame_on_show_changes_no_byte(folder: Path) -> None:
    first, behind = (TokenWorld(folder, TokenEngineConfig(overlap=kind)) for kind in ("none", "behind"))
    assert np.array_equal(play(first, SCRIPT), play(behind, SCRIPT))
    saved = behind.snapshot()
    ahead = [world.step(Control(latent=1)).image for world in (first, behind)]
    assert np.array_equal(*ahead)
    behind.restore(pickle.loads(pickle.dumps(saved)))  # nothing in a snapshot is still to be written
    assert np.array_equal(behind.step(Control(latent=1)).image, ahead[0])
    behind.close()


def test_keys_stand_for_their_actions_and_nothing_for_the_idle_one(folder: Path) -> None:
    world = TokenWorld(folder)
    assert world.action(Control()) == 1
    assert world.action(Control(keys={"left"})) == 2
    assert world.action(Control(latent=0)) == 0
    assert world.action(Control(keys={"left"}, latent=2)) == 2
    with pytest.raises(
        ControlError, match=r"ask for the actions \[0, 2\] at once; this world takes one a step"
    ):
        world.action(Control(keys={"left"}, latent=0))
    with pytest.raises(ControlError, match="latent 4 is not offered; this world has 4 latent actions"):
        world.action(Control(latent=4))


def test_keys_held_together_take_the_action_of_their_chord_or_of_the_rarest_among_them(folder: Path) -> None:
    spec = replace(
        load_token_spec(folder),
        key_actions={"left": 2, "right": 3, "up": 0},
        chord_actions={"right+up": 1},
        rarest_first=("left", "up", "right"),
    )
    assert spec.action_of({"up", "right"}) == 1
    assert spec.action_of({"up", "left"}) == 2  # nobody labelled this one
    assert spec.action_of({"right", "left"}) == 2
    assert spec.action_of({"up"}) == 0
    with pytest.raises(ConfigError, match=r"right\+up is action 4 of 4; use 0 to 3"):
        replace(spec, chord_actions={"right+up": 4})
    with pytest.raises(ConfigError, match=r"rarest_first names \['fly'\]; key_actions has"):
        replace(spec, rarest_first=("fly",))


@pytest.mark.parametrize(
    ("attention", "conditioning"), [("factorised", "add"), ("joint", "prepend"), ("space", "film")]
)
def test_with_and_without_torch_the_same_tokens_are_made(
    tmp_path: Path,
    attention: Literal["factorised", "joint", "space"],
    conditioning: Literal["add", "prepend", "film"],
) -> None:
    folder = build(
        tmp_path / "world",
        tokenizer=tiny_genie.tokenizer(attention),
        dynamics=tiny_genie.dynamics(conditioning),
        storage="float16",
    )
    worlds = [TokenWorld(folder, TokenEngineConfig(backend=kind)) for kind in ("onnx", "torch")]
    one, two = (play(world, SCRIPT) for world in worlds)
    # a token more or less would change a patch by far more than the last bit of a picture
    assert np.abs(one.astype(int) - two).max() <= 1
    state, again = worlds[0].snapshot(), []
    for _ in range(2):
        worlds[0].restore(state)
        again.append(np.stack([worlds[0].step(control).image for control in SCRIPT]))
    assert np.array_equal(*again)


def test_a_world_stored_in_bytes_multiplies_them_as_torch_does(tmp_path: Path) -> None:
    folder = build(tmp_path / "world", storage="int8")
    dynamics = MaskGITDynamics.load(folder / "dynamics")
    step = CodesStep(dynamics, "int8").eval()
    codes = torch.randint(dynamics.config.mask_code, (dynamics.config.tokens_per_frame,))
    with torch.no_grad():
        told = {"codes": codes, "told": CodesCondition(dynamics)(torch.tensor([1]), torch.tensor([True]))}
    place = empty_place(dynamics.stack)
    with torch.no_grad():
        expected = step(*told.values(), *place.values())[0].numpy()
    session = open_graph(folder / "dynamics" / "step.onnx", 1)
    given = {name: value.numpy() for name, value in {**told, **place}.items()}
    made = session.run(["logits"], given)[0]
    np.testing.assert_allclose(made, expected, atol=0.02 * np.abs(expected).max())
    assert play(TokenWorld(folder), SCRIPT).std() > 0


def test_a_world_without_graphs_plays_with_torch_and_says_so(folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "world"
    shutil.copytree(folder, old)
    for graph in old.rglob("*.onnx"):
        graph.unlink()
    assert TokenWorld(folder).info.details["backend"] == "onnx"
    assert TokenWorld(old).info.details["backend"] == "torch"
    with pytest.raises(DataError, match=r"step.onnx is missing|encode.onnx is missing"):
        TokenWorld(old, TokenEngineConfig(backend="onnx"))


def test_what_each_action_does_is_shown_beside_its_number(folder: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "world"
    shutil.copytree(folder, drawn)
    assert TokenWorld(drawn).info.latent_pictures == ()
    (drawn / "actions").mkdir()
    for action in range(ACTIONS):
        action_picture(drawn, action).write_bytes(b"png %d" % action)
    info = TokenWorld(drawn).info
    assert info.latent_pictures == tuple(b"png %d" % action for action in range(ACTIONS))
    sent = describe(info)["latent_pictures"]
    assert [base64.b64decode(picture) for picture in sent] == list(info.latent_pictures)
    action_picture(drawn, 2).unlink()
    with pytest.raises(DataError, match=r"actions/3.png is missing beside others"):
        TokenWorld(drawn)


def test_a_folder_of_others_is_not_replaced_by_a_world(tmp_path: Path) -> None:
    with foreign.refused(tmp_path / "mine") as mine:
        build(mine)


def test_it_plays_where_no_torch_is_loaded(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from paracosm.core.controls import Control;"
        "from paracosm.play.engine import open_model_world;"
        f"world = open_model_world({str(folder)!r}); world.reset();"
        "print(world.step(Control(latent=1)).index);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


def test_it_begins_from_any_picture_of_its_size(folder: Path) -> None:
    world = TokenWorld(folder)
    picture = stream(1, "drawing").integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    assert world.reset(0, start=picture).image.shape == picture.shape
    assert world.step(Control(latent=2)).index == 1
    clip = np.stack([picture] * 3)
    world.reset(0, start=clip, controls=[Control(latent=0), Control(latent=1)])
    with pytest.raises(WorldError):
        world.reset(0, start=picture[1:])


def test_passes_can_be_chosen_while_playing(folder: Path) -> None:
    world = TokenWorld(folder)
    world.reset()
    world.set_passes(1)
    assert world.step(Control()).index == 1
    with pytest.raises(ConfigError, match="num_passes 7 is outside 1 to 6, the tokens of a frame"):
        world.set_passes(7)


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    other = MaskGITDynamics(replace(tiny_genie.dynamics_config(), num_codes=20))
    with pytest.raises(
        ConfigError, match="the tokenizer makes 12 codes on a grid of 2 x 3, the dynamics is for"
    ):
        build(tmp_path / "world", dynamics=other)
    with pytest.raises(ConfigError, match="idle_action is action 9 of 4; use 0 to 3"):
        build(tmp_path / "world", idle_action=9)
    starts = TokenStarts(
        frames=np.zeros((1, 2, HEIGHT, WIDTH, 3), np.uint8), actions=np.full((1, 1), ACTIONS)
    )
    with pytest.raises(
        DataError, match=r"start actions are int64 \(1, 1\); int64 \(1, 1\) from 0 to 3 is needed"
    ):
        build(tmp_path / "world", starts=starts)
    assert not (tmp_path / "world").exists()


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    folder = build(tmp_path / "world")
    weights = folder / "dynamics" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(
        DataError, match=r"dynamics/model\.safetensors has the hash .*the weights were changed"
    ):
        load_token_spec(folder)
    weights.unlink()
    with pytest.raises(DataError, match=r"model\.safetensors is missing; copy the whole world folder"):
        load_token_spec(folder)
