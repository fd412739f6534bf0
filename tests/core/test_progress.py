import io

from paracosm.core.progress import LineProgress, no_progress, show_duration


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_says_what_how_far_how_fast_and_how_long():
    clock = Clock()
    progress = LineProgress("train dynamics", 1000, start=100, stream=io.StringIO(), clock=clock)
    clock.now = 10
    progress.update(200, {"loss": 0.123456})
    assert progress.line() == "train dynamics: 200 of 1,000  10.0 step/s  1 min 20 s left  loss 0.1235"


def test_a_terminal_line_is_rewritten_and_a_file_gets_a_line_every_half_minute():
    for stream, lines in ((Terminal(), 1), (io.StringIO(), 5)):
        clock = Clock()
        progress = LineProgress("record", 120, "frame", stream=stream, clock=clock)
        for second in range(120):
            clock.now = second + 1
            progress.update(second + 1)
        progress.close()
        progress.close()
        assert stream.getvalue().count("\n") == lines
        assert "120 of 120" in stream.getvalue()
        assert "took 2 min 00 s" in stream.getvalue()


def test_a_shorter_line_leaves_nothing_of_a_longer_one():
    clock, stream = Clock(), Terminal()
    progress = LineProgress("train", 10, stream=stream, clock=clock)
    clock.now = 1
    progress.update(1, {"loss": 1.0})
    first = stream.getvalue()
    clock.now = 2
    progress.update(2, {})
    assert len(stream.getvalue()) - len(first) == len(first)


def test_slow_work_is_told_in_seconds_a_unit():
    clock = Clock()
    progress = LineProgress("render", 0, "level", stream=io.StringIO(), clock=clock)
    clock.now = 20
    progress.update(4)
    assert progress.line() == "render: 4  5.0 s/level"


def test_durations_read_well():
    assert [show_duration(s) for s in (0, 59.4, 59.6, 3599.7, 7500)] == [
        "0 s",
        "59 s",
        "1 min 00 s",
        "1 h 00 min",
        "2 h 05 min",
    ]


def test_no_progress_says_nothing(capsys):
    progress = no_progress("train", 10)
    progress.update(5, {"loss": 1.0})
    progress.close()
    assert capsys.readouterr() == ("", "")
