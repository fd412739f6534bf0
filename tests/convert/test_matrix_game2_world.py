"""What a conversion reads and writes: files of others stay, settings that cannot be played are refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from paracosm.cli.main import main
from paracosm.convert.matrix_game2_world import ConvertConfig, convert_matrix_game2
from paracosm.convert.sampler import KEYS, PublishedSampler, read_sampler
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.video_spec import load_video_spec
from paracosm.models.video_stream import warped_levels
from tests import foreign, tiny_video


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("out", "how"),
    [
        ("hub/base_distilled_model", "is"),
        ("hub/other/../base_distilled_model/", "is"),
        ("hub", "contains"),
        ("hub/base_distilled_model/world", "lies inside"),
    ],
)
def test_what_is_read_stays_as_it_is(tmp_path, capsys, out, how):
    source = tiny_video.write_checkpoint(tmp_path / "hub" / "base_distilled_model")
    before = contents(tmp_path)
    assert main(["convert", "matrix-game-2", str(source), str(tmp_path / out)]) == 2
    error = capsys.readouterr().err
    assert f" {how} {source}, which is read; write to a folder beside it" in error
    assert error.count("\n") == 1
    assert contents(tmp_path) == before


def test_the_folder_of_all_variants_holds_no_world(tmp_path):
    tiny_video.write_checkpoint(tmp_path / "hub" / "base_distilled_model")
    config = ConvertConfig(source=tmp_path / "hub", out=tmp_path / "hub" / "world", variant="universal")
    with pytest.raises(DataError, match=r"hub/world lies inside .*hub, which is read; write to a folder"):
        convert_matrix_game2(config)
    # beside the variant's own folder is another matter: there only codec and image encoder are read
    source = tmp_path / "hub" / "base_distilled_model"
    assert convert_matrix_game2(replace(config, source=source)).variant == "universal"


def test_a_start_picture_in_the_old_world_stays(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    config = ConvertConfig(source=source, out=tmp_path / "to")
    convert_matrix_game2(config)
    Image.new("RGB", (8, 8)).save(tmp_path / "to" / "start.png")
    with pytest.raises(DataError, match=r"to contains .*start.png, which is read"):
        convert_matrix_game2(replace(config, starts=(tmp_path / "to" / "start.png",)))
    assert (tmp_path / "to" / "start.png").is_file()


def test_a_folder_of_others_is_not_replaced_by_a_world(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    with foreign.refused(tmp_path / "mine") as mine:
        convert_matrix_game2(ConvertConfig(source=source, out=mine))


def test_a_run_folder_with_a_dynamics_is_not_replaced(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    config = ConvertConfig(source=source, out=tmp_path / "run")
    convert_matrix_game2(config)
    (tmp_path / "run" / "checkpoints").mkdir()
    with pytest.raises(DataError, match=r"run holds checkpoints, dynamics and no world.json of this project"):
        convert_matrix_game2(config)


def test_an_earlier_conversion_is_replaced(tmp_path):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    config = ConvertConfig(source=source, out=tmp_path / "to", height=32, width=48)
    for _ in range(2):
        assert convert_matrix_game2(config).missing == ("vae", "image encoder")
    tiny_video.need_parts()
    tiny_video.write_parts(source)
    for _ in range(2):
        assert convert_matrix_game2(config).missing == ()
    assert (tmp_path / "to" / "world.json").is_file()


def with_sampler(folder: Path, **settings: Any) -> ConvertConfig:
    source = tiny_video.write_checkpoint(folder / "from")
    (source / "pipeline.json").write_text(json.dumps(settings))
    return ConvertConfig(source=source, out=folder / "to", height=32, width=48)


@pytest.mark.parametrize(
    ("key", "value", "needed"),
    [
        *(("num_frame_per_block", value, "a whole number from 1") for value in (0, "x", None, 2.5, True)),
        *(
            ("denoising_step_list", value, "a list of whole numbers from 1")
            for value in ("abc", None, [], [1000.0, 500.5], [1000, "500"], [1000, 0], [1000, -5])
        ),
        *(
            ("timestep_shift", value, "a number from 1 to 1000")
            for value in ("x", None, 0, 0.5, -5, True, float("nan"), float("inf"))
        ),
        *(("context_noise", value, "a number from 0 to 1000") for value in ("x", None, -1, 1001)),
        *(("warp_denoising_step", value, "true or false") for value in ("no", 1, None)),
    ],
)
def test_a_sampler_setting_that_does_not_fit_is_named(tmp_path, key, value, needed):
    with pytest.raises(ConfigError) as caught:
        convert_matrix_game2(with_sampler(tmp_path, **{key: value}))
    text = str(caught.value)
    assert f"pipeline.json has {key} = {value!r}; {needed}" in text
    assert text.endswith("is needed: change it, or leave it out to take the variant's own")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    "steps", [(1000, 1500), (1500, 1000), (1000, -5), (1000, 1000), (999, 500), (1000, 0)]
)
def test_steps_that_do_not_fall_are_refused_before_anything_is_written(tmp_path, capsys, steps):
    source = tiny_video.write_checkpoint(tmp_path / "from")
    words = ["convert", "matrix-game-2", str(source), str(tmp_path / "to"), "--steps", *map(str, steps)]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert f"denoising steps {list(steps)} do not fall from 1000 to at least 1; use e.g. 1000 666" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "to").exists()
    (tmp_path / "other").mkdir()
    if min(steps) > 0:
        with pytest.raises(ConfigError, match=r"do not fall from 1000 to at least 1"):
            convert_matrix_game2(with_sampler(tmp_path / "other", denoising_step_list=list(steps)))


def test_a_block_that_the_window_does_not_hold_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"window 6 holds no block of 7 and sink of 0 latent frames"):
        convert_matrix_game2(with_sampler(tmp_path, num_frame_per_block=7))


def test_a_schedule_of_other_steps_is_refused_and_an_unknown_setting_is_told(tmp_path, caplog):
    with pytest.raises(ConfigError, match=r"num_train_timesteps = 500; only 1000 can be built here"):
        convert_matrix_game2(with_sampler(tmp_path / "a", num_train_timesteps=500))
    convert_matrix_game2(with_sampler(tmp_path / "b", mode="universal"))
    assert "pipeline.json: mode = 'universal' is not known and not used" in caplog.text


def test_what_the_sampler_file_says_is_how_the_world_plays(tmp_path):
    tiny_video.need_parts()
    settings = {
        "denoising_step_list": [1000.0, 500],
        "timestep_shift": 3,
        "num_frame_per_block": 2,
        "context_noise": 20,
    }
    config = with_sampler(tmp_path, **settings)
    tiny_video.write_parts(config.source)
    convert_matrix_game2(config)
    play = load_video_spec(config.out).play
    assert play.levels == (1.0, 0.75)
    assert play.context_level == 0.02
    assert json.loads((config.out / "dynamics" / "config.json").read_text())["config"]["block"] == 2
    # the command's own steps come first; not warped, a step is its level
    (config.source / "pipeline.json").write_text(json.dumps(settings | {"warp_denoising_step": False}))
    convert_matrix_game2(replace(config, steps=(1000, 250)))
    assert load_video_spec(config.out).play.levels == (1.0, 0.25)


@pytest.mark.parametrize("shift", [1.0, 1.1, 1.7352, 3.3, 1000.0])
def test_every_shift_begins_at_pure_noise(shift):
    levels = warped_levels((1000, 999, 1), shift)
    assert levels[0] == 1.0
    assert 1.0 > levels[1] > levels[2] > 0.0


def test_the_page_tells_every_setting_of_the_sampler_and_its_example_is_read(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "worlds" / "matrix_game2.md").read_text()
    section = page.partition("### pipeline.json")[2].partition("\n## ")[0]
    assert [key for key in KEYS if f"| `{key}` |" not in section] == []
    (tmp_path / "pipeline.json").write_text(section.partition("```json")[2].partition("```")[0])
    assert read_sampler(tmp_path) == PublishedSampler(steps=(1000, 750, 500, 250))
