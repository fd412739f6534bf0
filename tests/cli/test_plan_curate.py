"""The bill of curating is a sum that can be checked by hand, and says what it assumes."""

import json

import pytest

from paracosm.cli.plan_curate import plan_curate
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.figures import Figure, make_report, read_report, write_report
from paracosm.curate.pipeline import LOG_FILE


def test_the_bill_of_ogamedata_is_printed_from_the_committed_benchmark(tmp_path, capsys):
    plan_curate(["--json", str(tmp_path / "plan.json")])
    said = capsys.readouterr().out
    assert "32,000 videos of 30 minutes at 24 frames/s on 64 cores" in said
    assert "videos of 640 x 360" in said
    figures = read_report(tmp_path / "plan.json").figures
    assert figures["plan.curate.video_hours"].value == 16_000
    assert figures["plan.curate.frames"].value == 16_000 * 3600 * 24
    assert 100 < (figures["plan.curate.measure"].value or 0) < 10_000


def test_times_and_prices_add_up(tmp_path):
    speeds = {"measure": 100.0, "overlay": 300.0}
    report = make_report(
        "made", {f"curate.speed.{name}": Figure(value=speed) for name, speed in speeds.items()}
    )
    write_report(report, tmp_path / "speeds.json")
    words = ["--videos=10", "--minutes=60", "--fps=20", "--cores=2", "--core-hour-price=0.5"]
    plan_curate([*words, "--speeds", str(tmp_path / "speeds.json"), "--json", str(tmp_path / "plan.json")])
    figures = read_report(tmp_path / "plan.json").figures
    hours = 10 * 3600 * 20 * (1 / 100 + 1 / 300) / 3600
    assert figures["plan.curate.core_hours"].value == pytest.approx(hours)
    assert figures["plan.curate.days"].value == pytest.approx(hours / 48)
    assert figures["plan.curate.price"].value == pytest.approx(hours / 2)
    assert figures["plan.curate.all"].value == pytest.approx(75)


def test_a_curated_folder_tells_its_own_speeds(tmp_path, capsys):
    row = {"frames": 50, "processor_seconds": {"measure": 2.0}}
    (tmp_path / LOG_FILE).write_text(json.dumps(row) + "\n")
    plan_curate(["--out", str(tmp_path)])
    assert f"measured in {tmp_path}" in capsys.readouterr().out


def test_what_was_never_measured_is_no_plan(tmp_path):
    with pytest.raises(DataError, match="tells no speed; curate something there first"):
        plan_curate(["--out", str(tmp_path)])
    with pytest.raises(DataError, match="is missing; run python -m benchmarks"):
        plan_curate(["--speeds", str(tmp_path / "none.json")])
    with pytest.raises(ConfigError, match="must be above 0"):
        plan_curate(["--videos", "0"])
    for words in (["--fps", "nan"], ["--minutes", "inf"], ["--core-hour-price", "nan"]):
        with pytest.raises(ConfigError, match=r"must be finite numbers; give e\.g\. --fps 24"):
            plan_curate(words)
