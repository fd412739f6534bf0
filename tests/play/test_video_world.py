"""A converted world plays: by name, with keys and mouse, to the same bytes, and without an end."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from paracosm.cli.arguments import parse
from paracosm.cli.commands_play import PlayCommand, WorldChooser
from paracosm.convert.matrix_game2_world import ConvertConfig, convert_matrix_game2
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ControlError, DataError, WorldError
from paracosm.core.video_spec import VideoPlay
from paracosm.play.engine import EngineConfig, open_model_world
from paracosm.play.timeline import count_bytes
from paracosm.play.video_world import VideoWorld
from tests import tiny_video

WALK = Control(keys={"forward"}, look=(0.5, -0.2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tiny_video.need_parts()
    return make(tmp_path_factory.mktemp("video"))


def make(place, **options):
    source = tiny_video.write_checkpoint(place / "from", **options)
    tiny_video.write_parts(source)
    sizes = {"height": tiny_video.HEIGHT, "width": tiny_video.WIDTH}
    made = convert_matrix_game2(ConvertConfig(source=source, out=place / "world", steps=(1000, 500), **sizes))
    assert made.missing == ()
    return place / "world"


@pytest.fixture
def world(folder):
    world = open_model_world(str(folder))
    assert isinstance(world, VideoWorld)
    yield world
    world.close()


def test_it_says_what_it_is(world):
    info = world.info
    assert (info.height, info.width, info.fps) == (tiny_video.HEIGHT, tiny_video.WIDTH, 25.0)
    assert info.starts == ("seed", "image")
    assert info.controls.bindings["KeyW"] == "forward"
    assert info.details["frames_per_block"] == 12
    assert info.details["tokens_per_frame"] == 6


def test_a_step_is_a_frame_over_many_blocks(world):
    first = world.reset(seed=0)
    assert first.image.shape == (tiny_video.HEIGHT, tiny_video.WIDTH, 3)
    frames = [world.step(WALK) for _ in range(10)]
    assert [frame.index for frame in frames] == list(range(1, 11))
    assert len({frame.image.tobytes() for frame in frames}) == 10


def play(world, controls):
    return [world.step(control).image.tobytes() for control in controls]


def test_same_seed_same_controls_same_bytes_and_a_snapshot_is_complete(world):
    controls = [Control(keys={"left"} if i % 5 else ()) for i in range(11)]
    world.reset(seed=3)
    one = play(world, controls)
    world.reset(seed=3)
    other = play(world, controls[:7])
    state = world.snapshot()
    other += play(world, controls[7:])
    assert one == other
    world.restore(state)
    assert play(world, controls[7:]) == one[7:]
    world.reset(seed=4)
    assert play(world, controls[:2]) != one[:2]
    assert count_bytes(state) > 10_000, "the timeline must see the memory of the cache"


def test_a_control_answers_with_the_next_block_and_not_before(world):
    # block 0 gives frames 1 .. 8, block 1 frames 9 .. 20: step 8 asks for it
    calm, walks = [Control()] * 9, [Control()] * 8 + [Control(keys={"forward", "left"}, look=(1.5, 0.0))]
    world.reset(seed=0)
    one = play(world, calm)
    world.reset(seed=0)
    other = play(world, walks)
    assert one[:8] == other[:8]
    assert one[8] != other[8]


def test_a_tap_between_blocks_is_not_lost(world):
    calm = [Control()] * 9
    tap = [*calm[:3], Control(keys={"forward"}), *calm[4:]]
    world.reset(seed=0)
    one = play(world, calm)
    world.reset(seed=0)
    assert play(world, tap)[8] != one[8]


def test_keys_and_mouse_become_the_networks_numbers(world):
    spec = world._spec
    keyboard, mouse = spec.actions.numbers(
        Control(keys={"forward", "right", "look_up"}, look=(-1.5, 0.0)), spec.controls.look_limit
    )
    assert keyboard.tolist() == [1, 0, 0, 1]
    assert mouse == pytest.approx([0.1, -0.1])


def test_rows_told_are_those_that_the_block_sees(world, monkeypatch):
    seen = []
    plain = world._networks.dream

    def watch(state, told, first, play, draw):
        seen.append((first, len(told), told[-1].tolist()))
        return plain(state, told, first, play, draw)

    monkeypatch.setattr(world._networks, "dream", watch)
    world.reset(seed=0)
    play(world, [Control(keys={"back"})] * 33)
    ends = [first + count for first, count, _ in seen]
    assert ends == [8, 20, 32, 44]
    assert all(first <= max(0, 12 * block - 12) for block, (first, _, _) in enumerate(seen))
    assert seen[0][2] == [0, 1, 0, 0, 0, 0]


def test_steps_and_guidance_change_in_play(world):
    world.reset(seed=0)
    plain = play(world, [WALK] * 10)
    world.reset(seed=0)
    world.set_guidance(2.0)
    world.set_levels((1.0, 0.8, 0.4))
    assert play(world, [WALK] * 10) != plain
    assert world.settings == replace(world.settings, guidance=2.0, levels=(1.0, 0.8, 0.4))
    with pytest.raises(ConfigError, match="guidance 0 is not above 0; use 1 for plain play"):
        world.set_guidance(0.0)


def test_a_shorter_window_and_a_sink_are_played_and_belong_to_a_snapshot(folder, world):
    controls = [WALK] * 33
    world.reset(seed=0)
    own = play(world, controls)
    shown = {}
    for window, sink in ((6, 0), (6, 1), (3, 0)):
        other = open_model_world(str(folder), EngineConfig(window=window, sink=sink, backend="torch"))
        other.reset(seed=0)
        shown[window, sink] = play(other, controls)
        plan = other.snapshot().payload.networks.stream.cache.plan
        assert (plan.size, plan.sink) == (window - 3, max(0, sink))
        assert sorted(plan.held) == {(6, 0): [9, 10, 11], (6, 1): [0, 10, 11], (3, 0): []}[window, sink]
        state = other.snapshot()
        other.close()
    assert shown.pop((6, 0)) == own
    assert len({tuple(frames) for frames in shown.values()} | {tuple(own)}) == 3
    assert shown[6, 1][:20] == own[:20], "the ring of the second block holds all of the first either way"
    world.restore(state)
    assert world.settings.window == 3
    play(world, [WALK] * 12)
    assert world.snapshot().payload.networks.stream.cache.plan.held == ()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"window": 7}, "window 7 is outside 3 to 6 latent frames, from the block being made alone to all"),
        ({"window": 2}, "window 2 is outside 3 to 6 latent frames"),
        (
            {"window": 4, "sink": 2},
            "sink 2 does not fit beside the block of 3 in a window of 4 .* use 0 to 1",
        ),
        ({"sink": -2}, "sink -2 does not fit beside the block of 3"),
        ({"backend": "onnx"}, "backend onnx has no graphs of a streamed world; use torch, or auto"),
    ],
)
def test_what_a_streamed_world_cannot_do_is_refused(folder, given, text):
    with pytest.raises(ConfigError, match=text):
        open_model_world(str(folder), EngineConfig(**given))


def test_the_cache_is_dropped_and_rebuilt_on_request(world):
    world.reset(seed=0)
    play(world, [WALK] * 20)
    state = world.snapshot()
    plain = play(world, [WALK])
    world.restore(state)
    world.drop_cache()
    assert play(world, [WALK]) != plain
    world.restore(state)
    world.rebuild_cache()
    assert play(world, [WALK]) != plain, "what was evicted still stood in the cache"


def test_a_picture_starts_it(world):
    picture = np.full((tiny_video.HEIGHT, tiny_video.WIDTH, 3), 90, np.uint8)
    world.reset(seed=0)
    plain = play(world, [WALK])
    world.reset(seed=0, start=picture)
    assert play(world, [WALK]) != plain
    with pytest.raises(WorldError, match="needs 32 x 48"):
        world.reset(start=picture[:16])


def test_mistakes_are_refused(world):
    with pytest.raises(WorldError, match="has not begun; call reset first"):
        world.step(WALK)
    world.reset()
    with pytest.raises(ControlError, match="are not offered"):
        world.step(Control(keys={"fly"}))
    with pytest.raises(ControlError, match=r"this world allows at most 1.5 degrees a step"):
        world.step(Control(look=(9.0, 0.0)))
    world.close()
    with pytest.raises(WorldError, match="is closed; open it again"):
        world.step(WALK)


def test_changed_weights_are_refused(folder, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / "dynamics" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="the weights were changed or cut off"):
        open_model_world(str(copy))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_more_latents_than_the_published_table_holds(world):
    # 57 seconds end the published stream, 1,024 latent frames its table; decoding is left out here
    player = world._networks
    world.reset(seed=0)
    state, sizes = world.snapshot().payload.networks, set()
    told = np.zeros((16, 6), np.float32)
    draws = np.random.default_rng(0)
    settings = VideoPlay(levels=(1.0,))
    for block in range(370):
        _, last = player.rows_of_block(block)
        rows = told[-(last - max(0, last - 16)) :]
        latents, state = player.next_block(
            state,
            rows,
            last - len(rows),
            settings,
            lambda index, shape: draws.standard_normal(shape, np.float32),
        )
        if block > 40:
            sizes.add(count_bytes(state))
    assert state.stream.written == 1110
    assert state.condition.settled
    assert max(sizes) - min(sizes) < 1000, sizes  # numbers above 256 are objects of their own
    assert np.isfinite(np.stack(latents)).all()


@pytest.mark.parametrize(
    "options", [{"keys": 7, "mouse": 0}, {"keys": 2, "window": 4}, {"keys": 6}, {"block": 1, "window": 4}]
)
def test_other_variants_play_from_the_same_code(options, tmp_path):
    tiny_video.need_parts()
    world = open_model_world(str(make(tmp_path, **options)))
    first = world.reset(seed=0)
    frames = [world.step(Control(keys=world.info.controls.keys[:1])) for _ in range(6)]
    assert len({frame.image.tobytes() for frame in [first, *frames]}) == 7
    world.close()


@pytest.mark.parametrize("options", [{}, {"keys": 7, "mouse": 0}], ids=["universal", "templerun"])
def test_guidance_leaves_an_idle_player_alone_and_pushes_a_busy_one(options, tmp_path):
    tiny_video.need_parts()
    world = open_model_world(str(make(tmp_path, **options)))
    actions = world._spec.actions
    assert (actions.choice, actions.idle_number) == (("one", 0) if options else ("any", -1))
    busy = Control(keys=world.info.controls.keys[:1])
    for control, moves in ((Control(), False), (busy, True)):
        shown = []
        for guidance in (1.0, 3.0):
            world.set_guidance(guidance)
            world.reset(seed=0)
            shown.append(play(world, [control] * 9))
        assert (shown[0] != shown[1]) == moves, control
    world.close()


def test_a_size_that_does_not_divide_is_refused(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    with pytest.raises(
        ConfigError, match=r"360 x 640 does not divide into tokens of 16 x 16 pixels; use e.g. 35"
    ):
        convert_matrix_game2(ConvertConfig(source=source, out=tmp_path / "to", height=360))


def test_without_codec_the_transformer_alone_is_converted(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    made = convert_matrix_game2(ConvertConfig(source=source, out=tmp_path / "to"))
    assert made.missing == ("vae", "image encoder")
    assert (tmp_path / "to" / "dynamics" / "config.json").is_file()
    assert not (tmp_path / "to" / "world.json").exists()


def test_a_folder_of_all_variants_needs_a_choice(tmp_path):
    for name in ("base_distilled_model", "gta_distilled_model"):
        options = {"keys": 2, "window": 4} if name.startswith("gta") else {}
        tiny_video.write_checkpoint(tmp_path / "hub" / name, **options)
    config = ConvertConfig(source=tmp_path / "hub", out=tmp_path / "to")
    with pytest.raises(DataError, match="and the variants universal, gta_drive; give the folder of one"):
        convert_matrix_game2(config)
    assert convert_matrix_game2(replace(config, variant="gta_drive")).variant == "gta_drive"


def test_the_player_takes_its_folder_by_name(folder):
    chooser = WorldChooser(PlayCommand(world=str(folder), engine=EngineConfig(levels=(1.0,))))
    world = chooser(chooser.name)
    assert isinstance(world, VideoWorld)
    assert world.settings.levels == (1.0,)
    assert chooser.offers()[0].name == chooser.name
    world.close()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_streamed_world_plays_in_the_numbers_asked_for(folder, dtype):
    words = ["--device", "cpu", "--dtype", dtype]
    chooser = WorldChooser(parse(PlayCommand, [str(folder), *words], "paracosm play"))
    world = chooser(chooser.name)
    assert f"cpu {dtype}" in world.info.engine
    first = world.reset(seed=0)
    frames = [world.step(WALK) for _ in range(9)]
    assert len({frame.image.tobytes() for frame in [first, *frames]}) == 10
    world.close()


@pytest.mark.parametrize(
    ("device", "text"),
    [
        ("gpu", 'device "gpu" is not known; use cpu, cuda, a card by number as cuda:1, or auto'),
        ("cuda", "device cuda is not there: torch sees no graphics card; use cpu"),
    ],
)
def test_a_device_that_is_not_there_is_refused(folder, device, text, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=text):
        open_model_world(str(folder), EngineConfig(device=device))


def test_what_runs_behind_the_shown_frame_changes_no_byte(folder, world):
    controls = [WALK if i % 4 else Control(keys={"left"}) for i in range(23)]
    behind = open_model_world(str(folder), EngineConfig(overlap="behind"))
    world.reset(seed=2)
    behind.reset(seed=2)
    plain = play(world, controls)
    assert play(behind, controls[:11]) == plain[:11]
    state = behind.snapshot()
    assert play(behind, controls[11:]) == plain[11:]
    behind.restore(state)
    assert play(behind, controls[11:]) == plain[11:], "a snapshot waits for what runs behind"
    behind.close()
