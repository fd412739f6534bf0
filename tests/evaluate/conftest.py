from pathlib import Path

import pytest

from paracosm.data.reader import Dataset

from .toys import record_toy


@pytest.fixture(scope="session")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return record_toy(tmp_path_factory.mktemp("held_out"), range(10, 16), 120, "held_out")


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return record_toy(tmp_path_factory.mktemp("reference"), range(30, 40), 120, "train")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
