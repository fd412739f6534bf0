"""The one shape in which every command reports figures: value, unit, n, interval, anchors, status.

A figure that was not computed says so with a reason; it is never 0. This file does NOT compute any figure.
"""

import functools
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from paracosm.core.config import from_json, to_json
from paracosm.core.files import read_json, write_json
from paracosm.core.stats import Estimate

Status = Literal["ok", "skipped", "failed", "undefined"]
"""ok: measured; skipped: not asked for or not possible here; failed: it broke; undefined: no value exists."""

Anchor = Literal["true_game", "copy_last", "shuffled", "no_control"]
"""What a figure stands beside: the true game (ceiling), last frame copied, controls shuffled, no control."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One reported number.

    Attributes:
        value: the number; None unless status is "ok".
        unit: its unit, e.g. "dB", "frames/s", "share"; "" for a plain count.
        n: independent units that it was measured on, >= 0.
        ci95: 95 % interval of the value, None when it cannot be told.
        higher_is_better: whether more is better; None for a figure that is neither good nor bad.
        anchors: the same figure measured on the anchors; None where an anchor could not be measured.
        status: whether it was computed.
        reason: why not, when it was not; one line.
    """

    value: float | int | None = None
    unit: str = ""
    n: int = 1
    ci95: tuple[float, float] | None = None
    higher_is_better: bool | None = True
    anchors: Mapping[str, float | None] = field(default_factory=dict)
    status: Status = "ok"
    reason: str = ""

    def __post_init__(self) -> None:
        if self.status == "ok" and (self.value is None or not math.isfinite(self.value)):
            raise ValueError(
                f'a figure of value {self.value} is not "ok"; use not_computed() with the reason'
            )
        if self.status != "ok" and (self.value is not None or not self.reason):
            raise ValueError(f'a figure that is "{self.status}" has a reason and no value, not {self.value}')


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one command measured, and where.

    Attributes:
        command: the command line that made it.
        commit: commit of the code, with "+changes" when files differ from it; "" outside a checkout.
        hardware: what :func:`hardware` returned where it ran.
        seeds: seeds that were used.
        figures: name to figure; names are dotted and stable, e.g. "engine.frames_per_second".
    """

    command: str
    commit: str
    hardware: Mapping[str, str | int | float]
    seeds: tuple[int, ...]
    figures: Mapping[str, Figure]


def figure_of(
    measured: Estimate,
    unit: str,
    *,
    higher_is_better: bool | None = True,
    anchors: Mapping[str, float | None] | None = None,
) -> Figure:
    """Make the figure of a mean with its interval."""
    return Figure(
        value=measured.mean,
        unit=unit,
        n=measured.n,
        ci95=measured.ci95,
        higher_is_better=higher_is_better,
        anchors=anchors or {},
    )


def not_computed(status: Literal["skipped", "failed", "undefined"], reason: str, unit: str = "") -> Figure:
    """Make the figure of something that was not computed, with the reason."""
    return Figure(value=None, unit=unit, n=0, status=status, reason=reason)


def make_report(command: str, figures: Mapping[str, Figure], seeds: Sequence[int] = ()) -> Report:
    """Put figures together with the commit and the hardware of this machine."""
    return Report(
        command=command, commit=commit(), hardware=hardware(), seeds=tuple(seeds), figures=dict(figures)
    )


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON, whole or not at all.

    Raises:
        DataError: when it cannot be written.
    """
    write_json(path, to_json(report))


def read_report(path: Path) -> Report:
    """Read a report that :func:`write_report` wrote.

    Raises:
        DataError: when it is missing or is not JSON.
        ConfigError: when it has another shape.
    """
    return from_json(Report, read_json(path))


def show_report(report: Report) -> str:
    """Lay the figures out as a text table: name, value, interval, unit, n, anchors; or the reason."""
    rows = [("figure", "value", "95 %", "unit", "n", "beside it")]
    for name, figure in report.figures.items():
        if figure.value is None:
            rows.append((name, f"not computed ({figure.status})", "", figure.unit, "", figure.reason))
            continue
        interval = f"{figure.ci95[0]:.4g} .. {figure.ci95[1]:.4g}" if figure.ci95 else ""
        beside = ", ".join(f"{key} {_short(value)}" for key, value in figure.anchors.items())
        rows.append((name, _short(figure.value), interval, figure.unit, str(figure.n), beside))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


@functools.cache
def hardware() -> Mapping[str, str | int | float]:
    """Say where figures are measured: processor, cores this process may use, memory, system, Python."""
    return {
        "cpu": _cpu_model(),
        "cores": count_cores(),
        "memory_gb": round(_memory_bytes() / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


NO_CODE = tuple(f":(top,exclude,glob)benchmarks/*.{kind}" for kind in ("json", "md"))
"""Where commands of the repository leave their figures, as git names paths."""


def count_cores() -> int:
    """Cores that this process may use: threads beyond them would wait for each other."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def commit() -> str:
    """Return the commit of the checkout that runs, "+changes" when code differs from it; "" outside one.

    Figures under benchmarks/ may differ: a command that has just written some has changed no code.
    """
    here = Path(__file__).resolve().parent
    head = _git(here, "rev-parse", "--short=12", "HEAD")
    if head is None or _git(here, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return ""
    changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", ":/", *NO_CODE)
    return f"{head}+changes" if changed else head


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def _memory_bytes() -> int:
    """Memory of the machine, or of the container where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def _short(value: float | int | None) -> str:
    return "not computed" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
