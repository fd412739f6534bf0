import re

from paracosm.cli.main import main
from paracosm.core.figures import read_report


def test_a_recipe_is_described_and_its_costs_written(tmp_path, capsys):
    assert main(["plan", "doom", "--tiny", "--device", "h100", "--json", str(tmp_path / "plan.json")]) == 0
    said = capsys.readouterr().out
    assert re.search(r"dynamics: [\d,]+ steps of batch", said)
    assert "bf16 peak 989 TFLOP/s, 40 % reached" in said
    figures = read_report(tmp_path / "plan.json").figures
    parts = [figures[f"plan.{stage}.parameters"].value or 0 for stage in ("tokenizer", "dynamics")]
    assert (figures["plan.parameters"].value or 0) >= sum(parts) > 1e5
    assert figures["plan.flops"].value
    assert 0 < (figures["plan.memory_share"].value or 0) < 1


def test_what_is_no_recipe_or_device_is_refused(capsys):
    assert main(["plan", "quake"]) == 2
    assert 'there is no recipe "quake"; choose one of doom, coinrun, minetest, own' in capsys.readouterr().err
    assert main(["plan", "doom", "--device", "moon"]) == 2
    assert 'there is no device "moon"' in capsys.readouterr().err


def test_curating_has_a_plan_of_its_own(capsys):
    assert main(["plan", "curate", "--videos", "10"]) == 0
    assert "10 videos of 30 minutes at 24 frames/s" in capsys.readouterr().out
