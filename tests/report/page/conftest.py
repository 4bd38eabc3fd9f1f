"""Reports to test, and a headless Chromium driven through its debugging pipe, without a package."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.evaluation.evaluate import evaluate
from residua.evaluation.scored import ScoredSet, score_source
from residua.images.source import ArraySource
from residua.report.page.write import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
_MOST_SECONDS = 60
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)


class Browser:
    """One page in one Chromium, with an empty profile in ``profile``."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        reads, self._to = os.pipe()
        self._from, writes = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4.
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                'r=$1 w=$2; shift 2; exec "$@" 3<&"$r" 4>&"$w"',
                "bash",
                str(reads),
                str(writes),
                CHROMIUM,
                *_FLAGS,
                f"--user-data-dir={profile}",
            ],
            pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self._number = 0
        self._left = b""
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and wait for its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def open(self, path: Path, *, hash: str = "", width: int = 1280, dark: bool = False) -> None:
        """Load a file, and wait until its script has run."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        # Another hash alone would not load the file anew.
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=f"{path.absolute().as_uri()}{hash}")
        ends = time.monotonic() + _MOST_SECONDS
        while not self.run("document.documentElement?.dataset.ready === 'true'"):
            assert time.monotonic() < ends, "the page's script has not run to its end"
            time.sleep(0.05)

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        codes = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39}
        codes |= {"ArrowDown": 40, "Tab": 9}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes[key],
                **(text if kind == "keyDown" else {}),
            )

    def picture(self, path: Path, *, whole: bool = False) -> Path:
        """Save what is seen, or the whole page, as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            part = os.read(self._from, 1 << 20)
            assert part, "Chromium has ended"
            self._left += part
        text, _, self._left = self._left.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._to)
        os.close(self._from)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="session")
def scored(bundle: Path, blobs: NDArray, stripes: NDArray) -> ScoredSet:
    """Forty normal pictures and twenty anomalous ones, some scores of either kind flagged."""
    pictures = np.concatenate([blobs[:40], stripes])
    # Called anomalous and like the normal ones: some of these are missed.
    mixed = blobs[40:50]
    labels = ["blob"] * 40 + ["stripe"] * 20 + ["mixed"] * 10
    source = ArraySource(np.concatenate([pictures, mixed]), labels=labels)
    return score_source(bundle, source).with_truth(np.repeat([False, True], [40, 30]))


@pytest.fixture(scope="session")
def page(bundle: Path, scored: ScoredSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(tmp_path_factory.mktemp("report") / "report.html", bundle, scored)


@pytest.fixture
def write_page() -> Callable[..., Path]:
    return _written


@pytest.fixture
def two_sided() -> Callable[[ScoredSet], ScoredSet]:
    return _two_sided


def _two_sided(scored: ScoredSet) -> ScoredSet:
    """The same under limits on both sides, of which the lower flags some."""
    low, high = np.quantile(scored.scores, (0.1, 0.6)).tolist()
    limits = scored.threshold.model_copy(update={"lower": low, "upper": high})
    return replace(scored, manifest=scored.manifest.model_copy(update={"threshold": limits}))


def _written(path: Path, bundle: Path, scored: ScoredSet, **options: Any) -> Path:
    found = evaluate(scored, model=bundle, n_resamples=100)
    return write_report(
        path, title="Blobs", model=bundle, scored=scored, evaluation=found, **options
    )
