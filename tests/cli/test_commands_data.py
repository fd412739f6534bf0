import numpy as np
import pytest

from paracosm.cli.main import main
from paracosm.core.figures import read_report
from paracosm.data.reader import Dataset
from tests.collect.made_logs import vpt_line, write_vpt

SMALL = ["--num-episodes", "2", "--policy", "sticky", "--max-steps", "8", "--workers", "1"]


@pytest.fixture
def recording(tmp_path):
    assert main(["record", "game:counting", "--out", str(tmp_path / "rec"), *SMALL]) == 0
    return tmp_path / "rec"


def test_a_recording_is_made_and_goes_on(recording, capsys):
    assert (len(Dataset(recording)), Dataset(recording).num_frames) == (2, 18)
    more = ["--num-episodes", "3", *SMALL[2:]]
    assert main(["record", "--world", "game:counting", "--out", str(recording), *more]) == 0
    assert "3 episodes, 27 frames of game:counting" in capsys.readouterr().out


def test_a_recording_is_described_with_figures(recording, tmp_path, capsys):
    assert main(["info", str(recording), "--json", str(tmp_path / "figures.json")]) == 0
    assert "game:counting" in capsys.readouterr().out
    figures = read_report(tmp_path / "figures.json").figures
    assert figures["dataset.frames"].value == 18
    assert "dataset.key_share.forward" in figures


def test_the_options_of_a_game_belong_to_it(tmp_path, capsys):
    assert main(["record", "game:doom", "--help"]) == 0
    assert "--game.max-turn" in capsys.readouterr().out
    words = ["record", "game:counting", "--out", str(tmp_path), *SMALL, "--game.max-turn", "3"]
    assert main(words) == 2
    assert "unrecognized options: --game.max-turn" in capsys.readouterr().err


def test_an_unknown_game_is_refused_with_those_there_are(tmp_path, capsys):
    assert main(["record", "game:quake", "--out", str(tmp_path), *SMALL]) == 2
    assert 'there is no game "quake"; choose one of game:doom' in capsys.readouterr().err


def test_a_folder_of_videos_is_imported(tmp_path, capsys):
    av = pytest.importorskip("av")
    (tmp_path / "videos").mkdir()
    with av.open(str(tmp_path / "videos" / "walk.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=15)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for i in range(6):
            picture = np.full((32, 32, 3), 40 * i, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    sizes = ["--height", "16", "--width", "16", "--fps", "15"]
    assert main(["import", str(tmp_path / "videos"), "--out", str(tmp_path / "out"), *sizes]) == 0
    assert "1 episodes, 6 frames; controls are not known" in capsys.readouterr().out
    assert main(["import", str(tmp_path / "nothing"), "--out", str(tmp_path / "out"), *sizes]) == 2
    assert "holds no video" in capsys.readouterr().err


def test_foreign_logs_come_in_with_a_report_of_what_has_no_name(tmp_path, capsys):
    pytest.importorskip("cv2")
    lines = [vpt_line(step, keyboard__keys=["key.keyboard.g"] if step < 3 else []) for step in range(60)]
    write_vpt(tmp_path / "in", lag=1, lines=lines)
    words = ["import", str(tmp_path / "in"), "--format", "vpt", "--out", str(tmp_path / "out")]
    words += ["--height", "48", "--width", "96", "--fps", "20"]
    assert main(words) == 2
    assert "turn 1 frame(s) after its controls" in capsys.readouterr().err
    assert main([*words, "--shift-controls", "1"]) == 0
    said = capsys.readouterr().out
    assert "1 episodes, 59 frames of log:vpt" in said
    assert "not among the keys, kept in inputs.jsonl: key.keyboard.g (3)" in said
    assert "alignment: best lag 0 in 1 of 1 episodes with turns" in said
    assert main(["info", str(tmp_path / "out")]) == 0
    assert "alignment  best lag 0 in 1 of 1 episodes" in capsys.readouterr().out
