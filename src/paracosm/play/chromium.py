"""A real browser without a window, driven from Python: opens the page, presses keys, reads figures.

Talks the DevTools protocol over the WebSocket client that the player has anyway, so nothing more is installed
than Chromium itself. Used by the benchmark and by the tests. This file does NOT know worlds or the server.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import connect

from paracosm.core.errors import MissingPackageError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--mute-audio",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
START_S = 30.0


def find_chromium() -> str:
    """Return the path of a Chromium or Chrome.

    Raises:
        MissingPackageError: when there is none; names what to install.
    """
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    raise MissingPackageError("no Chromium was found; install one, on Debian: apt-get install chromium")


class Chromium:
    """One browser with one page.

    Attributes:
        console: what the page wrote to its console as warnings and errors, and what it threw.
    """

    def __init__(self, *, width: int = 1360, height: int = 820) -> None:
        """Start the browser.

        Args:
            width: of the page in CSS pixels.
            height: of the page in CSS pixels.

        Raises:
            MissingPackageError: when no Chromium is installed.
        """
        program = find_chromium()
        self._folder = tempfile.mkdtemp(prefix="paracosm-chromium-")
        command = [
            program,
            *FLAGS,
            f"--user-data-dir={self._folder}",
            f"--window-size={width},{height}",
            "about:blank",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._ids = itertools.count(1)
        self._mouse = (0.0, 0.0)
        self.console: list[str] = []
        try:
            self._socket = connect(self._find_endpoint(), compression=None, max_size=None).__enter__()
            target = self._call("Target.createTarget", {"url": "about:blank"}, session=None)["targetId"]
            attached = self._call(
                "Target.attachToTarget", {"targetId": target, "flatten": True}, session=None
            )
        except BaseException:
            self.close()
            raise
        self._session: str = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")
        self.set_screen(width, height)

    def __enter__(self) -> Chromium:
        """Return the browser."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        with contextlib.suppress(Exception):
            self._socket.close()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol on the page.

        Raises:
            RuntimeError: when the browser refuses.
        """
        return self._call(method, parameters, session=self._session)

    def open(self, url: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page; promises are waited for.

        Raises:
            RuntimeError: when it throws.
        """
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def wait(self, script: str, *, timeout_s: float = 15.0) -> Any:
        """Wait until an expression in the page is true and return its value.

        Raises:
            TimeoutError: when it stays false; names the expression.
        """
        end, value = time.monotonic() + timeout_s, None
        while time.monotonic() < end:
            value = self.evaluate(script)
            if value:
                return value
            time.sleep(0.03)
        raise TimeoutError(f"{script} stayed {value!r} for {timeout_s:g} s")

    def key_down(self, code: str, key: str = "") -> None:
        """Press a key and hold it."""
        self.call("Input.dispatchKeyEvent", type="rawKeyDown", code=code, key=key or code)

    def key_up(self, code: str, key: str = "") -> None:
        """Let a key go."""
        self.call("Input.dispatchKeyEvent", type="keyUp", code=code, key=key or code)

    def tap(self, code: str, key: str = "") -> None:
        """Press a key and let it go at once."""
        self.key_down(code, key)
        self.key_up(code, key)

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        x, y = self.middle(selector)
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, button="left", clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send one mouse event at a place of the page."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def middle(self, selector: str) -> tuple[float, float]:
        """Return the middle of an element in CSS pixels."""
        script = (
            f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
        )
        x, y = self.evaluate(script + "return [b.x + b.width / 2, b.y + b.height / 2] })()")
        return x, y

    def touch(self, kind: str, points: Sequence[tuple[float, float]]) -> None:
        """Send a touch event: touchStart, touchMove or touchEnd."""
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])

    def set_screen(self, width: int, height: int, *, density: float = 1.0, phone: bool = False) -> None:
        """Show the page on a screen of this size; ``phone`` adds fingers and takes the mouse away."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=density,
            mobile=phone,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone, maxTouchPoints=5 if phone else 1)

    def choose_files(self, selector: str, paths: Sequence[Path]) -> None:
        """Give files to a file input, as a player does through the browser's dialog."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def screenshot(self, path: Path) -> None:
        """Write what the page looks like as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _find_endpoint(self) -> str:
        file = Path(self._folder) / "DevToolsActivePort"
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._process.poll() is None:
            lines = file.read_text().split() if file.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.05)
        raise RuntimeError(f"Chromium did not start within {START_S:g} s (exit code {self._process.poll()})")

    def _call(self, method: str, parameters: dict[str, Any], *, session: str | None) -> dict[str, Any]:
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(START_S))
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.console.append(f"thrown: {details.get('exception', {}).get('description', details['text'])}")
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.console.append(f"console: {parameters['args']}")
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            entry = parameters["entry"]
            self.console.append(f"log: {entry['text']} {entry.get('url', '')}")
