"""Where a conversion may write: what it reads and what others keep stays as it is."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from paracosm.cli.main import main
from paracosm.convert.matrix_game2_world import ConvertConfig, convert_matrix_game2
from paracosm.core.errors import DataError
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
