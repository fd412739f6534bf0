import json
import subprocess

import pytest

from paracosm.core import figures
from paracosm.core.errors import ConfigError
from paracosm.core.figures import (
    Figure,
    figure_of,
    make_report,
    not_computed,
    read_report,
    show_report,
    write_report,
)
from paracosm.core.stats import estimate


def test_a_report_on_disk_has_the_published_shape(tmp_path):
    report = make_report(
        "evaluate doom",
        {
            "fidelity.psnr_db@16": figure_of(estimate([20.0, 22.0]), "dB", anchors={"copy_last": 15.0}),
            "control.keys": not_computed("skipped", "the game is not installed"),
        },
        seeds=[0, 1],
    )
    write_report(report, tmp_path / "report.json")
    saved = json.loads((tmp_path / "report.json").read_text())
    assert set(saved) == {"command", "commit", "hardware", "seeds", "figures"}
    assert saved["seeds"] == [0, 1]
    assert saved["figures"]["fidelity.psnr_db@16"] == {
        "value": 21.0,
        "unit": "dB",
        "n": 2,
        "ci95": [20.0, 22.0],
        "higher_is_better": True,
        "anchors": {"copy_last": 15.0},
        "status": "ok",
        "reason": "",
    }
    assert saved["figures"]["control.keys"]["value"] is None
    assert read_report(tmp_path / "report.json") == report


def test_a_figure_that_was_not_computed_is_never_a_number():
    with pytest.raises(ValueError, match=r'a figure of value nan is not "ok"; use not_computed'):
        Figure(value=float("nan"))
    with pytest.raises(ValueError, match='a figure that is "failed" has a reason and no value, not 0'):
        Figure(value=0, status="failed", reason="it broke")
    with pytest.raises(ValueError, match="has a reason and no value"):
        Figure(status="skipped")


def test_the_table_shows_the_reason_where_a_value_is_missing():
    report = make_report(
        "x", {"a.b": Figure(value=3, unit="frames"), "c": not_computed("failed", "it broke")}
    )
    table = show_report(report).splitlines()
    assert table[1].split() == ["a.b", "3", "frames", "1"]
    assert "not computed (failed)" in table[2]
    assert "it broke" in table[2]


def test_the_hardware_is_that_of_this_machine():
    hardware = figures.hardware()
    assert set(hardware) == {"cpu", "cores", "memory_gb", "system", "python"}
    assert int(hardware["cores"]) >= 1
    assert float(hardware["memory_gb"]) > 0.1


def test_the_commit_is_that_of_the_checkout_and_empty_outside_one(monkeypatch):
    found = figures.commit()
    if found:
        here = figures.Path(figures.__file__).parent
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True).stdout
        assert head.startswith(found.removesuffix("+changes"))
    monkeypatch.setattr(figures, "_git", lambda *_: None)
    assert figures.commit() == ""


def test_figures_that_differ_change_no_code_but_prompts_do(tmp_path, monkeypatch):
    files = ["src/figures.py", "benchmarks/speed.json", "benchmarks/speed.md", "benchmarks/prompts/a.json"]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(figures, "__file__", str(tmp_path / files[0]))
    clean = figures.commit()
    assert len(clean) == 12
    for name in files[1:3]:
        (tmp_path / name).write_text("new")
        assert figures.commit() == clean
    (tmp_path / files[3]).write_text("new")
    assert figures.commit() == clean + "+changes"


def test_a_report_of_another_shape_is_refused(tmp_path):
    (tmp_path / "report.json").write_text('{"command": "x", "score": 1}')
    with pytest.raises(ConfigError, match="score: Report has no such key"):
        read_report(tmp_path / "report.json")
