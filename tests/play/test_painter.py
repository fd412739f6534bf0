"""Words to a first picture by an outside command, and how a session begins with it."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from paracosm.core.errors import ConfigError, WorldError
from paracosm.play import painter as painters
from paracosm.play.painter import CommandPainter
from paracosm.play.session import Session
from tests.play.little_worlds import ShowingWorld, opener

PAINT = """
import sys
from PIL import Image
words, out, width, height = sys.argv[1:]
open(out + ".words", "w").write(words)
image = Image.new("RGB", (3 * int(width), int(height)), "red")
image.paste("blue", (int(width), 0, 2 * int(width), int(height)))
image.save(out)
"""


def painter(tmp_path: Path, script: str = PAINT) -> CommandPainter:
    file = tmp_path / "paint it.py"
    file.write_text(script)
    program = shlex.join([sys.executable, str(file)])
    return CommandPainter(program + " {prompt} {out} {width} {height}")


def test_a_picture_is_scaled_to_fill_the_frame_and_cut(tmp_path: Path) -> None:
    picture = painter(tmp_path)("a blue room", 24, 32)
    assert (picture.shape, picture.dtype) == ((24, 32, 3), np.uint8)
    assert (picture == (0, 0, 255)).all(), "the middle third"


def test_words_stay_one_argument_whatever_they_look_like(tmp_path: Path) -> None:
    words = "a 'room'; touch x {width} $(id) {out}"
    seen = tmp_path / "seen"
    script = PAINT.replace('out + ".words"', repr(str(seen)))
    painter(tmp_path, script)(words, 24, 32)
    assert seen.read_text() == words


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise SystemExit('no card here')", "failed with exit code 1: no card here"),
        ("", "left no picture at"),
        ("import sys; open(sys.argv[2], 'w').write('words')", "left no picture at"),
    ],
)
def test_a_painter_that_leaves_no_picture_is_told(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(WorldError, match=said):
        painter(tmp_path, script)("a room", 24, 32)


def test_a_painter_that_hangs_or_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painters, "MOST_SECONDS", 0.5)
    with pytest.raises(WorldError, match="was still at work after"):
        painter(tmp_path, "import time; time.sleep(60)")("a room", 24, 32)
    with pytest.raises(WorldError, match="cannot be run"):
        CommandPainter("/no/such/program {prompt} {out}")("a room", 24, 32)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("paint", "names no {prompt} and no {out}; write"),
        ("paint {prompt}", "names no {out}; write"),
        ("paint '{prompt} {out}", "cannot be read: No closing quotation"),
    ],
)
def test_a_command_without_its_places_is_refused(command: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        CommandPainter(command)


def test_a_session_begins_with_what_was_painted_and_its_replay_needs_no_painter(tmp_path: Path) -> None:
    worlds = opener(showing=ShowingWorld)
    session = Session(worlds, painter=painter(tmp_path))
    shown = session.open("showing", prompt="a blue room")
    assert (shown.frame.image[5:] == (0, 0, 255)).all()
    assert session.prompt is None
    other = Session(worlds)
    again = other.load(session.save())
    assert np.array_equal(again.frame.image, shown.frame.image)
    with pytest.raises(WorldError, match="takes no prompt"):
        other.open("showing", prompt="a blue room")
