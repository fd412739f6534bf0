"""The one loop: denoise with the cache frozen, then one write; for any kind of array."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paracosm.core.errors import ConfigError
from paracosm.models import rollout
from paracosm.models.rollout import check_levels, next_frame


class Recorder:
    """Denoises towards a fixed target and notes every call."""

    def __init__(self, target: Any) -> None:
        self.target = target
        self.calls: list[tuple[str, float | None, Any, Any]] = []

    def denoise(self, x: Any, level: float, control: Any, cache: Any) -> Any:
        self.calls.append(("denoise", level, control, cache))
        self.seen = x
        return self.target

    def write(self, clean: Any, control: Any, cache: Any) -> Any:
        self.calls.append(("write", None, control, cache))
        return [*cache, clean]


def test_every_pass_sees_the_frozen_cache_and_one_write_ends_the_frame() -> None:
    recorder, cache = Recorder(np.ones(3)), ["before"]
    clean, after = next_frame(
        recorder.denoise, recorder.write, np.zeros(3), (1.0, 0.5, 0.25), "control", cache
    )
    assert [call[:2] for call in recorder.calls] == [
        ("denoise", 1.0), ("denoise", 0.5), ("denoise", 0.25), ("write", None)
    ]  # fmt: skip
    assert all(call[2] == "control" and call[3] is cache for call in recorder.calls)
    assert cache == ["before"]
    assert after[1] is clean is recorder.target


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_the_next_pass_starts_on_the_straight_line_from_the_prediction_to_the_noise(kind: Any) -> None:
    recorder = Recorder(kind([2.0, 4.0]))
    next_frame(recorder.denoise, recorder.write, kind([10.0, 0.0]), (1.0, 0.25), None, [])
    assert recorder.seen.tolist() == [2.0 + 0.25 * 8.0, 4.0 - 0.25 * 4.0]


def test_a_perfect_denoiser_stays_on_the_path_of_its_noise() -> None:
    clean, noise = np.float32(3.0), np.float32(-1.0)
    recorder = Recorder(clean)
    next_frame(recorder.denoise, recorder.write, noise, (1.0, 0.6, 0.1), None, [])
    assert recorder.seen == pytest.approx(0.9 * clean + 0.1 * noise)


@pytest.mark.parametrize("levels", [(), (0.5,), (1.0, 1.0), (1.0, 0.4, 0.5), (1.0, 0.0)])
def test_levels_that_do_not_fall_from_one_to_above_zero_are_refused(levels: tuple[float, ...]) -> None:
    text = f"levels {list(levels)} do not fall from 1 to above 0; use e.g. [1.0, 0.5]"
    with pytest.raises(ConfigError, match=re.escape(text)):
        check_levels(levels)


def test_the_loop_imports_no_torch() -> None:
    code = "import sys, paracosm.models.rollout; print('torch' in sys.modules)"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "False"


def test_the_loop_itself_imports_nothing_but_words() -> None:
    tree = ast.parse(Path(rollout.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert modules <= {"collections.abc", "itertools", "typing", "paracosm.core.errors"}
