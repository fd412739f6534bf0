import json

import pytest

from paracosm.core.errors import ConfigError, DataError
from paracosm.curate.scores import read_scores
from paracosm.curate.select import SelectConfig, decide, read_selection, select, show_yields


def test_a_selection_tells_the_yield_of_each_condition(curated):
    selection = select(SelectConfig(out=curated, where="motion > 0.1 and hud < 0.1"))
    steps = [(step.condition, step.clips, step.alone, step.unknown) for step in selection.yields]
    assert steps == [
        ("all clips", 4, 4, 0),
        ("motion > 0.1", 3, 3, 0),
        ("hud < 0.1", 2, 2, 0),
        ("not a duplicate", 1, 3, 0),
    ]
    assert "motion > 0.1" in show_yields(selection)


def test_what_is_not_known_selects_nothing_and_is_told(curated):
    selection = decide(read_scores(curated), SelectConfig(out=curated, where="hud < 0.9"))
    reasons = dict(
        zip(selection.table["clip"].to_pylist(), selection.table["reason"].to_pylist(), strict=True)
    )
    assert reasons["other/c.mp4#0-40"] == "hud < 0.9: not known"
    assert selection.yields[1].unknown == 1


def test_a_selection_replays_to_the_same_bytes(curated):
    select(SelectConfig(out=curated, where="motion > 0.1", name="one", balance=1.0))
    first = [(curated / "selections" / f"one.{ending}").read_bytes() for ending in ("json", "parquet")]
    select(SelectConfig(out=curated, where="motion > 0.1", name="one", balance=1.0))
    assert [
        (curated / "selections" / f"one.{ending}").read_bytes() for ending in ("json", "parquet")
    ] == first
    stored = json.loads(first[0])
    assert stored["where"] == "motion > 0.1"
    assert set(stored["scores"]) >= {"measure", "cuts", "motion"}


def test_a_duplicate_is_kept_when_its_original_is_not(curated):
    where = "source != 'game/a.mp4'"
    selection = decide(read_scores(curated), SelectConfig(out=curated, where=where))
    kept = selection.table.filter(selection.table["kept"])["clip"].to_pylist()
    assert "game/b.mp4#0-40" in kept


def test_balance_favours_rare_kinds(curated):
    scores = read_scores(curated)
    config = SelectConfig(out=curated, duplicates="keep", balance=1.0)
    weights = decide(scores, config).weights
    assert weights["pan-right"][1] < weights["still"][1] == weights["pan-left"][1]
    total = sum(decide(scores, config).table["weight"].to_pylist())
    assert total == pytest.approx(4)
    assert {weight for _, weight in decide(scores, SelectConfig(out=curated)).weights.values()} == {1.0}


def test_an_unknown_selection_names_those_that_are_there(curated):
    select(SelectConfig(out=curated, name="good"))
    with pytest.raises(DataError, match="has no selection bad; there are: good"):
        read_selection(curated, "bad")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"duplicates": "hide"}, 'duplicates "hide" is neither "drop" nor "keep"'),
        ({"name": "../x"}, 'name "../x" is no plain file name'),
        ({"balance": 2.0}, "balance 2 must be 0 to 1"),
    ],
)
def test_a_selection_that_cannot_be_made_is_refused(options, said):
    with pytest.raises(ConfigError) as caught:
        SelectConfig(**options)
    assert said in str(caught.value)
