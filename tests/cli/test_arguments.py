from dataclasses import dataclass
from typing import Literal

import pytest
import tyro

from paracosm.cli.arguments import File, full_name, name_first, parse, show
from paracosm.core.errors import ConfigError
from paracosm.core.figures import Figure, make_report, read_report


@dataclass(frozen=True, kw_only=True)
class InnerConfig:
    width: int = 3
    """Width."""


@dataclass(frozen=True, kw_only=True)
class OuterConfig:
    """Do something."""

    world: tyro.conf.Positional[str] = "doom"
    """World."""
    seed: int = 0
    """Seed."""
    beside: bool = False
    """Two."""
    choice: Literal["left", "right"] = "left"
    """Side."""
    json: File = None
    """File."""
    inner: InnerConfig = InnerConfig()
    """Sizes."""


def test_options_become_a_frozen_config(tmp_path):
    words = ["coinrun", "--seed", "3", "--beside", "--json", str(tmp_path), "--inner.width", "8"]
    assert parse(OuterConfig, words, "paracosm x") == OuterConfig(
        world="coinrun", seed=3, beside=True, json=tmp_path, inner=InnerConfig(width=8)
    )


def test_options_stand_over_a_config_that_was_given():
    default = OuterConfig(seed=5, inner=InnerConfig(width=9))
    parsed = parse(OuterConfig, ["--inner.width", "8"], "paracosm x", default)
    assert parsed == OuterConfig(seed=5, inner=InnerConfig(width=8))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--sed", "3"], "unrecognized options: --sed, 3; did you mean --seed?; see paracosm x --help"),
        (
            ["--seed", "x"],
            "error parsing --seed: invalid literal for int() with base 10: 'x'; see paracosm x",
        ),
        (
            ["--choice", "up"],
            "invalid choice 'up' for argument '--choice'. Expected one of ('left', 'right')",
        ),
        (["a", "b"], "unrecognized options: b; see paracosm x --help"),
    ],
)
def test_a_wrong_option_is_one_line(words, text, capsys):
    with pytest.raises(ConfigError) as caught:
        parse(OuterConfig, words, "paracosm x")
    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_a_world_without_a_kind_is_a_neural_one():
    assert full_name("doom") == "model:doom"
    assert full_name("runs/own/world") == "model:runs/own/world"
    assert full_name("gym:ALE/Pong-v5") == "gym:ALE/Pong-v5"


def test_the_first_word_may_stand_without_its_option():
    assert name_first(["game:doom", "--seed", "1"], "--world") == ["--world", "game:doom", "--seed", "1"]
    assert name_first(["--seed", "1"], "--world") == ["--seed", "1"]
    assert name_first([], "--world") == []


def test_figures_are_shown_and_written(tmp_path, capsys):
    report = make_report("paracosm x", {"a.b": Figure(value=2.5, unit="dB")})
    show(report, tmp_path / "report.json")
    assert "a.b" in capsys.readouterr().out
    assert read_report(tmp_path / "report.json") == report
