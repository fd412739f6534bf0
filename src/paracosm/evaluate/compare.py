"""Two worlds on the same cases: the paired difference of every figure, or a refusal that says why.

This file does NOT play.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paracosm.core.config import differences
from paracosm.core.errors import DataError
from paracosm.core.figures import Figure, not_computed
from paracosm.core.files import read_json

from .bench import Bench
from .part import Measured, Part, Tally
from .runner import Outcome, describe_parts, measure_parts
from .store import ResultsFolder
from .tally import difference

DIFFERENCE = "difference."
"""Begins the names of figures that are this world's minus the other's."""
SAME = ("cases", "reader", "encoder", "real")
"""What must be the same on both sides, beside the parts' versions and settings."""


def compare(own: Measured, other: Measured) -> dict[str, Figure]:
    """Subtract every figure of another world, on the cases that both judged.

    Returns:
        Figures whose names begin with :data:`DIFFERENCE`: tallies with a paired interval, plain figures
        without one. What only one side has is left out.
    """
    found = {}
    for name, mine in own.items():
        theirs = other.get(name)
        if isinstance(mine, Tally) and isinstance(theirs, Tally):
            found[DIFFERENCE + name] = difference(mine, theirs)
        elif isinstance(mine, Figure) and isinstance(theirs, Figure):
            found[DIFFERENCE + name] = _plain_difference(mine, theirs)
        elif theirs is not None:
            reason = "one of the two worlds has no value on the cases"
            found[DIFFERENCE + name] = not_computed("undefined", reason, mine.unit)
    return found


def read_outcome(folder: Path, own: Outcome, setup: Mapping[str, Any], parts: Sequence[Part]) -> Outcome:
    """Read another world's results, measured again from what its units kept.

    Args:
        folder: its results folder.
        own: what was measured now; the same units are read.
        setup: what it was measured with.
        parts: the parts.

    Raises:
        DataError: when the other was measured on other cases, with other judges, with other versions or
            settings of a part, or not with one of the parts; names the first that differs.
    """
    theirs = read_json(folder / "setup.json")
    check_comparable(folder, theirs, {**setup, "parts": describe_parts(parts)})
    known = ResultsFolder(folder).read()
    bench = Bench(own.bench.config)
    for name, results in own.results.items():
        keys = [(name, result.unit.key) for result in results]
        bench.finished[name] = [known[key] for key in keys if key in known]
    # the splits are known once the cases were chosen
    bench.adopt_cases(own.bench)
    return Outcome(bench=bench, results=bench.finished, measured=measure_parts(parts, bench))


def check_comparable(folder: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Refuse to compare what was not measured alike.

    Raises:
        DataError: names the first difference, with both values.
    """
    alike = json.loads(json.dumps({name: ours[name] for name in SAME}))
    changed = differences({name: theirs.get(name) for name in SAME}, alike)
    for name, part in json.loads(json.dumps(ours["parts"])).items():
        changed |= differences(theirs["parts"].get(name, {}), part, f"parts.{name}")
    if changed:
        path, (before, after) = next(iter(changed.items()))
        raise DataError(
            f"{path} is {json.dumps(after)} here and {json.dumps(before)} in {folder}, so the two cannot be "
            "compared; measure that world again with the same cases, judges and version"
        )


def _plain_difference(mine: Figure, theirs: Figure) -> Figure:
    if mine.value is None or theirs.value is None:
        reason = mine.reason or theirs.reason
        return not_computed("undefined", reason, mine.unit)
    return Figure(
        value=mine.value - theirs.value, unit=mine.unit, n=mine.n, higher_is_better=mine.higher_is_better
    )
