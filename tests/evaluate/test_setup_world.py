import shutil
from pathlib import Path

from paracosm.evaluate.setup_world import describe_world


def test_results_are_of_weights_wherever_they_lie_and_of_no_others(tmp_path: Path) -> None:
    first, copy = tmp_path / "run" / "world", tmp_path / "zoo" / "doom"
    first.mkdir(parents=True)
    (first / "model.safetensors").write_bytes(b"one")
    shutil.copytree(first, copy)
    began = describe_world(f"model:{first}")
    assert describe_world(f"model:{copy}") == began
    (copy / "model.safetensors").write_bytes(b"two")
    assert describe_world(f"model:{copy}") != began


def test_worlds_without_weights_are_their_names() -> None:
    assert describe_world("game:doom") == {"world": "game:doom", "weights": None}
