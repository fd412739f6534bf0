"""Commands that look and change nothing but installed games: info and doctor."""

import importlib.metadata
import importlib.util
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from paracosm.cli.arguments import File, command_line, full_name, parse, show, stderr_progress
from paracosm.core.controls import ControlSpace
from paracosm.core.errors import DataError, MissingPackageError, WorldError
from paracosm.core.figures import Figure, hardware, make_report, not_computed, write_report
from paracosm.core.files import read_json

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "firefox")
"""Programs that show the page; the tests drive the first two."""

EXTRA_MODULES: dict[str, tuple[str, ...]] = {
    "play": (
        "numpy",
        "onnxruntime",
        "safetensors",
        "simplejpeg",
        "starlette",
        "tyro",
        "uvicorn",
        "websockets",
    ),
    "train": ("torch", "einops", "jaxtyping", "pyarrow", "av"),
    "games": ("vizdoom", "gymnasium", "ale_py"),
    "video": ("av", "pyarrow"),
    "weights": ("torch", "einops", "jaxtyping", "diffusers", "transformers"),
    "curate": ("cv2", "scenedetect"),
}
"""What each part of the package needs, by import name; "play" is the package without any extra."""


@dataclass(frozen=True, kw_only=True)
class DoctorCommand:
    """Check this machine: Python, packages, games, browser, cores, memory, disk, fonts; or install a game."""

    install: Annotated[Literal["coinrun"] | None, tyro.conf.arg(metavar="{coinrun}")] = None
    """Fetch this game into the user's cache (42 MB, once) instead of checking."""
    json: File = None
    """Also write the figures to this file."""


@dataclass(frozen=True, kw_only=True)
class InfoCommand:
    """Describe a world by name, or a dataset, world or model folder by path."""

    name: tyro.conf.Positional[str]
    """What to describe, e.g. "game:doom", "model:coinrun", "recordings/doom"."""
    replay: int = 0
    """Of a dataset: draw so many episodes again from their recipes and compare frames and controls."""
    json: File = None
    """Also write the figures to this file."""


def doctor(arguments: list[str]) -> None:
    """Run ``paracosm doctor``."""
    command = parse(DoctorCommand, arguments, "paracosm doctor")
    if command.install is not None:
        from paracosm.collect.games.procgen_install import install_game

        print(f"coinrun is ready in {install_game()}")
        return
    for name, check in CHECKS.items():
        print(f"{name.ljust(10)}{check()}")
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    figures = {
        "doctor.cores": Figure(value=int(hardware()["cores"])),
        "doctor.memory_gb": Figure(value=float(hardware()["memory_gb"]), unit="GB"),
        "doctor.disk_free_gb": Figure(value=round(free_gb, 1), unit="GB"),
    }
    print()
    asked = command_line("doctor", arguments)
    show(make_report(asked, figures), None)  # what was said above is not said again as a long table
    if command.json is not None:
        write_report(make_report(asked, {**figures, **_streamed_figures()}), command.json)
        print(f"written to {command.json}")


def _check_python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _check_packages() -> str:
    parts = []
    for extra, modules in EXTRA_MODULES.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        command = "pip install -e ." if extra == "play" else f'pip install -e ".[{extra}]"'
        state = f"without {', '.join(missing)}; run: {command}" if missing else "complete"
        parts.append(f"{extra}: {state}")
    return "\n          ".join(parts)


def _check_games() -> str:
    from paracosm.collect.games.procgen_install import INSTALL_COMMAND, find_game

    has_doom = importlib.util.find_spec("vizdoom") is not None
    doom = (
        f"doom: vizdoom {importlib.metadata.version('vizdoom')}"
        if has_doom
        else 'doom: not installed; run: pip install -e ".[games]"'
    )
    try:
        folder = find_game()
    except MissingPackageError as error:
        return f"{doom}\n          coinrun: {error}"
    coinrun = f"coinrun: {folder}" if folder else f"coinrun: not installed; run: {INSTALL_COMMAND}"
    return f"{doom}\n          {coinrun}"


def _check_browser() -> str:
    found = [browser for browser in BROWSERS if shutil.which(browser)]
    if not found:
        return "none found here; the page also opens from another machine's browser through an SSH tunnel"
    driver = (
        "with chromedriver for the tests"
        if shutil.which("chromedriver")
        else "no chromedriver: browser tests skip"
    )
    return f"{found[0]}, {driver}"


def _check_fonts() -> str:
    if shutil.which("fc-list") is None:
        return "fontconfig is not installed; a browser on this machine may show boxes for letters"
    done = subprocess.run(["fc-list", ":", "family"], capture_output=True, text=True, timeout=30, check=False)
    families = {line.strip() for line in done.stdout.splitlines() if line.strip()}
    return (
        f"{len(families)} families"
        if families
        else "none; install one, e.g. apt-get install fonts-dejavu-core"
    )


def _check_streamed() -> str:
    if missing := _without_torch():
        return f"not judged: {missing}"
    from paracosm.cli.plan_video import describe_machine, find_machine, judgements

    return "\n          ".join(describe_machine(find_machine(), judgements()))


def _streamed_figures() -> dict[str, Figure]:
    if missing := _without_torch():
        return {"doctor.streamed": not_computed("skipped", missing)}
    from paracosm.cli.plan_video import find_machine, judgements, machine_figures

    return machine_figures(find_machine(), judgements())


def _without_torch() -> str:
    """What is to be done before streamed worlds can be judged; "" where nothing is."""
    absent = any(importlib.util.find_spec(module) is None for module in EXTRA_MODULES["train"])
    return 'torch is not installed; run: pip install -e ".[weights]"' if absent else ""


CHECKS: dict[str, Callable[[], str]] = {
    "python": _check_python,
    "packages": _check_packages,
    "games": _check_games,
    "browser": _check_browser,
    "fonts": _check_fonts,
    "streamed": _check_streamed,
}
"""What doctor looks at, in the order in which it tells."""


def info(arguments: list[str]) -> None:
    """Run ``paracosm info``."""
    command = parse(InfoCommand, arguments, "paracosm info")
    folder = Path(command.name)
    if (folder / "dataset.json").is_file():
        figures = _replay(folder, command.replay) if command.replay else _describe_dataset(folder)
    elif command.replay:
        raise DataError(f"--replay draws episodes of a dataset again; {folder} holds no dataset.json")
    elif folder.is_dir() and not (folder / "world.json").is_file():
        figures = _describe_model(folder)
    else:
        figures = _describe_world(full_name(command.name))
    if figures:
        print()
        show(make_report(command_line("info", arguments), figures), command.json)


def _replay(folder: Path, count: int) -> dict[str, Figure]:
    """Draw episodes again and print what came out."""
    from paracosm.collect.replay_check import check_replay, replay_figures
    from paracosm.data.reader import Dataset
    from paracosm.worlds import open_world

    checks = check_replay(Dataset(folder), count, open_world, progress=stderr_progress())
    for check in checks:
        where = (
            ""
            if check.first_difference is None
            else f", the first difference at row {check.first_difference}"
        )
        print(f"{check.name}: {check.equal} of {check.steps} steps lead to the same bytes{where}")
    return replay_figures(checks)


def _describe_dataset(folder: Path) -> dict[str, Figure]:
    from paracosm.collect.report import describe_dataset, show_description

    found = describe_dataset(folder)
    print(show_description(found))
    alignment = _describe_alignment(folder)
    return {
        "dataset.episodes": Figure(value=found["episodes"], n=found["episodes"]),
        "dataset.frames": Figure(value=found["frames"], n=found["episodes"]),
        **_coverage_figures(found),
        "dataset.levels": Figure(value=found["levels"], n=found["episodes"]),
        **{
            f"dataset.key_share.{key}": Figure(
                value=share, unit="share of steps", n=found["frames"], higher_is_better=None
            )
            for key, share in (found["keys"] or {}).items()
        },
        **alignment,
    }


def _coverage_figures(found: dict[str, Any]) -> dict[str, Figure]:
    """Places, collisions, looks and balance, as far as they are known."""
    values: dict[str, tuple[float | None, str, bool | None]] = {
        "places": ((found["places"] or {}).get("visited"), "places", True),
        "places_effective": ((found["places"] or {}).get("effective"), "places", True),
        "collisions_per_minute": ((found["collisions"] or {}).get("per_minute"), "1/min", None),
        "blocked_share": ((found["collisions"] or {}).get("blocked_share"), "share of pushed steps", False),
        "distinct_looks_share": (found["looks"]["distinct_share"], "share of pictures", True),
        "keys_balance": ((found["balance"] or {}).get("keys"), "evenness", True),
        "turn_balance": ((found["balance"] or {}).get("yaw"), "ratio", True),
    }
    return {
        f"dataset.{name}": Figure(value=value, unit=unit, n=found["frames"], higher_is_better=better)
        for name, (value, unit, better) in values.items()
        if value is not None
    }


def _describe_alignment(folder: Path) -> dict[str, Figure]:
    """Print whether pictures and controls lie on one clock; {} where it cannot be told."""
    if importlib.util.find_spec("cv2") is None:
        print('  alignment  not measured: OpenCV is missing; run: pip install -e ".[curate]"')
        return {}
    from paracosm.curate.clock import report_alignment

    report = report_alignment(folder)
    print(f"  alignment  {report.show()}")
    if report.lag is None or report.correlation is None:
        return {}
    n = len(report.told)
    return {
        "dataset.align_lag": Figure(value=report.lag, unit="frames", n=n, higher_is_better=None),
        "dataset.align": Figure(value=round(report.correlation, 4), unit="correlation", n=n),
    }


def _describe_model(folder: Path) -> dict[str, Figure]:
    if not (folder / "config.json").is_file() or not (folder / "model.safetensors").is_file():
        raise DataError(
            f"{folder} holds no dataset.json, no world.json and no config.json with model.safetensors; "
            "give the folder of a recording, a world or a model"
        )
    from safetensors import safe_open

    config: dict[str, Any] = read_json(folder / "config.json")
    print(f"{folder}: model of kind {config.get('kind', 'unknown')}")
    for key, value in config.items():
        print(f"  {key}: {value}")
    num_parameters = 0
    with safe_open(folder / "model.safetensors", framework="numpy") as tensors:
        for name in tensors.keys():  # noqa: SIM118 (safe_open has no iterator)
            size = 1
            for side in tensors.get_slice(name).get_shape():
                size *= side
            num_parameters += size
    return {"model.parameters": Figure(value=num_parameters)}


def _describe_world(name: str) -> dict[str, Figure]:
    from paracosm.worlds import open_world

    if name.startswith("model:") and "/" in name and not Path(name.removeprefix("model:")).is_dir():
        raise WorldError(f"{name.removeprefix('model:')} is no folder; give a world's name or its folder")
    world = open_world(name)
    try:
        about = world.info
    finally:
        world.close()
    print(f"{about.name}: {about.description or 'a world'}")
    print(f"  picture: {about.width} x {about.height}, {about.fps:g} frames a second")
    print(f"  starts from: {', '.join(about.starts)}")
    print(f"  engine: {about.engine}")
    _describe_controls(about.controls)
    for key, value in about.details.items():
        print(f"  {key}: {value}")
    return {
        "world.frames_per_second": Figure(value=about.fps, unit="frames/s", higher_is_better=None),
        "world.pixels": Figure(value=about.width * about.height, unit="pixels", higher_is_better=None),
    }


def _describe_controls(space: ControlSpace) -> None:
    by_key = {key: [code for code, bound in space.bindings.items() if bound == key] for key in space.keys}
    keys = ", ".join(f"{key} ({' '.join(codes)})" if codes else key for key, codes in by_key.items())
    print(f"  keys: {keys or 'none'}")
    if any(space.look_limit):
        print(f"  look: up to {space.look_limit[0]:g} degrees yaw and {space.look_limit[1]:g} pitch a step")
    if space.text:
        print("  text: takes instructions")
    if space.num_latents:
        print(f"  latent actions: {space.num_latents}")
