"""Every draw of training clips follows the weights that a selection gave to episodes."""

import ast
from pathlib import Path

import paracosm

MEASURES = {"measure_scale"}
"""Functions that measure over clips, all of which count alike."""


def test_every_sampler_of_training_clips_is_told_the_weights():
    seen, told = 0, 0
    for file in sorted(Path(paracosm.__file__).parent.rglob("*.py")):
        for function in ast.walk(ast.parse(file.read_text())):
            if not isinstance(function, ast.FunctionDef) or function.name in MEASURES:
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "ClipSampler":
                    seen += 1
                    told += any(keyword.arg == "weights" for keyword in call.keywords)
    assert seen >= 7
    assert told == seen
