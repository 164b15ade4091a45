"""Chromium without a window, spoken to over a pipe (DevTools protocol): one start for many pages."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from support.patience import PATIENCE_S

PROGRAM = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
"""Where it is; None where it is not installed."""
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")
QUIET = (
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)


class Browser:
    """One tab; `close` it."""

    def __init__(self, folder: Path) -> None:
        """Start the program; what it writes goes into `folder`."""
        assert PROGRAM is not None
        to, back = folder / "to", folder / "back"
        os.mkfifo(to)
        os.mkfifo(back)
        options = [*OPTIONS, *QUIET, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        # It reads orders from descriptor 3, and answers on 4.
        command = ["sh", "-c", f'exec "$0" "$@" 3<"{to}" 4>"{back}"', PROGRAM, *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._to, self._back = to.open("wb", buffering=0), back.open("rb", buffering=0)
        self._received = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self._tab: dict[str, str] = {}
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._tab = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, page: Path) -> None:
        """Load a page, to its end."""
        self._events.clear()
        self._call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._receive())

    def show_as(self, width: int, media: str = "screen") -> None:
        """Lay the page out for a width, px, on a screen or for print."""
        self._call("Emulation.setEmulatedMedia", media=media)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def problems(self) -> list[str]:
        """What the console said since the page was opened: errors, warnings, exceptions."""
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [json.dumps(event["params"]) for event in self._events if event["method"] in kinds]

    def picture(self) -> bytes:
        """The whole page as it is laid out now, PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def pdf(self) -> bytes:
        """The page as it is printed on A4."""
        answer = self._call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)
        return base64.b64decode(answer["data"])

    def close(self) -> None:
        """End the program."""
        self._tab = {}
        self._call("Browser.close")
        self._process.wait(PATIENCE_S)
        self._to.close()
        self._back.close()

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._tab}
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self._events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            more = self._back.read(1 << 20)
            assert more, "the browser is gone"
            self._received += more
        message, _, self._received = self._received.partition(b"\0")
        return dict(json.loads(message))
