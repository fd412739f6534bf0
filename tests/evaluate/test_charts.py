import math

import numpy as np
import pytest

from paracosm.evaluate.charts import Line, difference_picture, line_chart, row_picture
from paracosm.evaluate.clips import animation, difference_of, picture, strip


def test_lines_keep_inside_the_chart_and_leave_gaps_out() -> None:
    line = Line(name="world", x=[1, 2, 3], y=[10.0, math.nan, 30.0], low=[9, 9, 9], high=[31, 31, 31])
    chart = line_chart("a < b", [line], "steps", "dB")
    assert "a &lt; b (dB)" in chart
    points = chart.split("polyline points='")[1].split("'")[0].split()
    assert len(points) == 2
    assert all(0 <= float(part) <= 340 for point in points for part in point.split(","))


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-15, 1e6])
def test_rows_are_drawn_for_any_value(value: float) -> None:
    assert "circle" in row_picture(value, None, {"true_game": value, "copy_last": None})
    assert "circle" in difference_picture(value, (value, value))


def test_no_difference_is_middle_grey() -> None:
    truth = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    assert (difference_of(truth, truth) == 128).all()
    assert difference_of(truth + 10, truth).max() == 148


def test_pictures_are_embedded_and_keep_their_pixels_whole() -> None:
    clip = np.zeros((3, 4, 4, 3), np.uint8)
    clip[1] = 255
    assert "style='width:8px'" in picture(clip[0], 2, "one")
    assert "style='width:20px'" in animation([clip, clip], 10.0, 2, "two")
    assert strip([clip, clip[:2]]).shape == (10, 16, 3)
