import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paracosm.core.config import differences, from_json, load_config, save_config, to_json
from paracosm.core.controls import ControlSpace
from paracosm.core.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class SharpConfig:
    kind: Literal["sharp"] = "sharp"
    radius: int


@dataclass(frozen=True, kw_only=True)
class SoftConfig:
    kind: Literal["soft"] = "soft"
    radius: float


@dataclass(frozen=True, kw_only=True)
class DepthConfig:
    depth: int
    rate: float = 0.5

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ConfigError(f"depth {self.depth} is too small; use 1 or more")


@dataclass(frozen=True, kw_only=True)
class StreetConfig:
    name: str
    dynamics: DepthConfig
    filter: SharpConfig | SoftConfig
    choice: Literal["left", "right"] = "left"
    sizes: tuple[int, ...] = ()
    size: tuple[int, float] = (1, 2.0)
    folder: Path = Path("runs")
    seed: int | None = None
    flag: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[DepthConfig, ...] = ()


def street(**changes: Any) -> StreetConfig:
    return replace(
        StreetConfig(name="doom", dynamics=DepthConfig(depth=3), filter=SoftConfig(radius=1.5)), **changes
    )


@given(
    depth=st.integers(1, 10**12),
    rate=st.floats(allow_nan=False, allow_infinity=False),
    name=st.text(),
    sizes=st.lists(st.integers()),
    seed=st.none() | st.integers(),
    weights=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    sharp=st.booleans(),
)
def test_what_was_saved_reloads_to_equality(depth, rate, name, sizes, seed, weights, sharp):
    config = street(
        name=name,
        dynamics=DepthConfig(depth=depth, rate=rate),
        filter=SharpConfig(radius=depth) if sharp else SoftConfig(radius=rate),
        sizes=tuple(sizes),
        seed=seed,
        weights=weights,
        notes=(DepthConfig(depth=1),),
    )
    assert from_json(StreetConfig, to_json(config)) == config


def test_a_config_file_reloads_to_equality(tmp_path):
    config = street(folder=Path("a/b"), choice="right", flag=True)
    save_config(config, tmp_path / "config.json")
    assert load_config(StreetConfig, tmp_path / "config.json") == config


def test_a_contract_class_of_core_can_be_saved():
    space = ControlSpace(keys=("forward", "use"), bindings={"KeyW": "forward"}, look_limit=(6.0, 0.0))
    assert from_json(ControlSpace, to_json(space)) == space


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("dynamics.depth", 2.5, "dynamics.depth: 2.5 is not an integer; write a whole number"),
        ("dynamics.depth", True, "dynamics.depth: true is not an integer; write a whole number"),
        ("dynamics.depth", 0, "dynamics: depth 0 is too small; use 1 or more"),
        ("dynamics.rate", "fast", 'dynamics.rate: "fast" is not a finite number; write one such as 0.5'),
        ("dynamics.rate", float("inf"), "dynamics.rate: Infinity is not a finite number"),
        ("dynamics.dept", 3, "dynamics.dept: DepthConfig has no such key; did you mean depth?"),
        ("zebra", 3, "zebra: StreetConfig has no such key; it has name, dynamics, filter"),
        ("choice", "lefd", 'choice: "lefd" is not allowed; write one of "left", "right"; did you mean left?'),
        ("filter.kind", "round", 'filter.kind: "round" is not allowed; write one of "sharp", "soft"'),
        ("sizes", [1, "2"], 'sizes[1]: "2" is not an integer'),
        ("size", [1], "size: [1] does not fit; write a list of 2 values"),
        ("flag", 1, "flag: 1 does not fit; write true or false"),
        ("name", None, "name: null does not fit; write text in quotes"),
        ("seed", "x", 'seed: "x" is not an integer; write a whole number, or null for none'),
        ("weights", {"a": "b"}, 'weights.a: "b" is not a finite number'),
        ("weights", [1], "weights: [1] does not fit; write an object"),
        ("notes", [{"depth": "1"}], 'notes[0].depth: "1" is not an integer'),
        ("dynamics", 3, "dynamics: 3 does not fit; write an object with the keys of DepthConfig"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(path, value, text):
    saved = to_json(street())
    *parents, last = path.split(".")
    place = saved
    for parent in parents:
        place = place[parent]
    place[last] = value
    with pytest.raises(ConfigError, match="^" + re.escape(text)):
        from_json(StreetConfig, saved)


def test_a_missing_key_is_named():
    saved = to_json(street())
    del saved["dynamics"]["depth"]
    with pytest.raises(
        ConfigError, match=r"^dynamics\.depth: the key is missing; DepthConfig has no default"
    ):
        from_json(StreetConfig, saved)


def test_a_union_without_its_kind_is_refused():
    saved = to_json(street())
    del saved["filter"]["kind"]
    with pytest.raises(ConfigError, match=r'^filter\.kind: the key is missing; write one of "sharp", "soft"'):
        from_json(StreetConfig, saved)


def test_an_integer_is_accepted_for_a_float_and_becomes_one():
    assert isinstance(from_json(DepthConfig, {"depth": 1, "rate": 2}).rate, float)


def test_a_number_that_json_cannot_hold_is_refused_on_saving():
    with pytest.raises(ConfigError, match=r"^dynamics\.rate: nan is not a finite number"):
        to_json(street(dynamics=DepthConfig(depth=1, rate=float("nan"))))


def test_a_file_error_names_the_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"depth": 2.5}')
    with pytest.raises(ConfigError, match=re.escape(f"{path}: depth: 2.5 is not an integer")):
        load_config(DepthConfig, path)
    path.write_text("{")
    with pytest.raises(DataError, match="is not valid JSON"):
        load_config(DepthConfig, path)


def test_differences_are_named_by_path_with_both_values():
    old, new = to_json(street()), to_json(street(dynamics=DepthConfig(depth=4), choice="right"))
    assert differences(old, new) == {"dynamics.depth": (3, 4), "choice": ("left", "right")}
    assert differences(old, old) == {}
