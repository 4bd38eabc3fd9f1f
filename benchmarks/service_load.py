"""The service under load: 32 clients at once, beside the runtime on the same pictures.

    scripts/bench service_load [--clients 32] [--seconds 20] [--repeats 3]

The runtime's sides are `BundleScorer` on the same JPEG files, and on the decoded pictures in
memory, which is the network and nothing else. The goal is judged on the files, since both are then
asked for the same; the other is beside it. The service's side is `residua serve` in a process of
its own, and clients that send JPEG files and wait for the answer, each its next as soon as it has
one. HTTP, JSON and the clients themselves run on the same cores. The sides take turns. Models are
fitted for one epoch on generated pictures: what they find is of no matter here.

Beside it: how long a service takes from its command to its first answer, and its greatest memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image

from _page import Goal, Table, parser, publish
from _table import alternate, median_of, paired_ratio
from scoring_memory import fitted_model, write_pictures

NAME = "service_load"
COMMAND = Path(sys.executable).with_name("residua")
WANTED, START_WANTED = 0.8, 2.0
PICTURES = 64


@dataclass(frozen=True)
class Case:
    """How the service is used."""

    what: str
    side: int
    channels: int
    a_request: int = 1
    query: str = ""
    options: tuple[str, ...] = ("--keep", "off")
    judged: bool = False


CASES = (
    Case("256 × 256, colour, one a request", 256, 3, judged=True),
    Case("256 × 256, colour, with heat map and reconstruction", 256, 3,
         query="?include=heatmap&include=reconstruction"),
    Case("256 × 256, colour, all kept for review", 256, 3, options=("--keep", "all")),
    Case("28 × 28, grey, one a request", 28, 1),
    Case("28 × 28, grey, 16 a request", 28, 1, a_request=16,
         options=("--keep", "off", "--queue", "1024")),
)  # fmt: skip


@dataclass
class Load:
    """What clients met with."""

    seconds: list[float] = field(default_factory=list)
    """Time of each answer."""
    refused: int = 0


class Service:
    """`residua serve` in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        self.begun = time.perf_counter()
        self._process = subprocess.Popen(
            [COMMAND, "serve", *map(str, arguments), "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            found = re.search(r"http://[\d.]+:(\d+)", line)
            if found:
                self.port = int(found[1])
                break
        # Its log is read, so that it never waits for room.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    @property
    def greatest_memory(self) -> float:
        """Greatest resident memory in MB; NaN where the system does not tell."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except OSError:
            return float("nan")
        (kib,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
        return int(kib) * 1024 / 1e6

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--clients", type=int, default=32)
    made.add_argument("--seconds", type=float, default=20.0)
    made.add_argument("--repeats", type=int, default=3)
    options = made.parse_args()
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundles = {
            (side, channels): fitted_model(folder / f"{side}.residua", side, channels=channels)
            for side, channels in {(case.side, case.channels) for case in CASES}
        }
        for number, case in enumerate(CASES):
            bundle = bundles[case.side, case.channels]
            files = write_pictures(
                folder / f"case-{number}", PICTURES, case.side, channels=case.channels
            )
            row, ratio, bare = measured(case, bundle, files, folder / f"data-{number}", options)
            rows.append(row)
            print(" | ".join(row), flush=True)
            if case.judged:
                goals.append(
                    Goal(
                        f"service, {options.clients} clients, default model at {case.side} × "
                        f"{case.side}, against the runtime's batches of the same JPEG files",
                        f"≥ {WANTED} × its speed",
                        f"{median_of(ratio, '.2f')}; of decoded pictures {median_of(bare, '.2f')}",
                        statistics.median(ratio) >= WANTED,
                    )
                )
        bundle = bundles[256, 3]
        picture = (folder / "case-0" / "0000.jpg").read_bytes()
        first_answer(bundle, picture)  # into the page cache
        starts = [first_answer(bundle, picture) for _ in range(5)]
    goals.append(
        Goal(
            "service, from the command to the first answer, 256 × 256, colour",
            f"≤ {START_WANTED} s",
            f"{median_of(starts, '.2f')} s",
            statistics.median(starts) <= START_WANTED,
        )
    )
    header = ["", "service, images/s", "runtime, files", "ratio", "decoded", "ratio",
              "p50, ms", "p95, ms", "p99, ms", "refused", "memory, MB"]  # fmt: skip
    title = (
        f"{options.clients} clients, {options.seconds:g} s, median of {options.repeats} "
        f"alternating runs; latency of all runs together"
    )
    publish(NAME, [Table(title, header, rows)], goals, page=options.page)


def measured(
    case: Case, bundle: Path, files: list[Path], data: Path, options: object
) -> tuple[list[str], list[float], list[float]]:
    """Return a row of the table, and the ratios of runs to the runtime's of files and arrays."""
    from residua import BundleScorer

    clients, seconds = options.clients, options.seconds  # type: ignore[attr-defined]
    scorer = BundleScorer(bundle)
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    times = 4 if case.side > 100 else 100
    images = np.concatenate([images] * times)
    paths = [str(file) for file in files] * times
    contents = [file.read_bytes() for file in files]
    requests = [
        request_of(case, [contents[(at + n) % PICTURES] for n in range(case.a_request)])
        for at in range(PICTURES)
    ]
    service = Service(f"model={bundle}", "--data", data, *case.options)
    load = Load()

    def serve() -> float:
        count, took = asyncio.run(under_load(service.port, requests, clients, seconds, load))
        return count * case.a_request / took

    def compute(data: object) -> float:
        begun, done = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            done += len(scorer.anomaly_scores(data))
        return done / (time.perf_counter() - begun)

    asyncio.run(under_load(service.port, requests, clients, 2.0, Load()))
    scorer.anomaly_scores(images)
    sides: dict[str, Callable[[], float]] = {
        "service": serve,
        "files": lambda: compute(paths),
        "decoded": lambda: compute(images),
    }
    speeds = alternate(sides, options.repeats)  # type: ignore[attr-defined]
    memory = service.greatest_memory
    service.stop()
    ratio, bare = (paired_ratio(speeds["service"], speeds[side]) for side in ("files", "decoded"))
    latency = np.percentile(load.seconds, [50, 95, 99]) * 1000
    row = [
        case.what,
        median_of(speeds["service"]),
        median_of(speeds["files"]),
        median_of(ratio, ".2f"),
        median_of(speeds["decoded"]),
        median_of(bare, ".2f"),
        *(f"{value:,.0f}" for value in latency),
        f"{load.refused:,}",
        f"{memory:,.0f}",
    ]
    return row, ratio, bare


def request_of(case: Case, contents: list[bytes]) -> bytes:
    """Return a request as it goes over the wire: the picture as the body, or a form of many."""
    if len(contents) == 1:
        kind, body = "image/jpeg", contents[0]
    else:
        kind = "multipart/form-data; boundary=part"
        parts = [
            b'--part\r\nContent-Disposition: form-data; name="images"; filename="%d.jpg"\r\n\r\n'
            % number
            + content
            + b"\r\n"
            for number, content in enumerate(contents)
        ]
        body = b"".join(parts) + b"--part--\r\n"
    head = (
        f"POST /v1/models/model/score{case.query} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def under_load(
    port: int, requests: list[bytes], clients: int, seconds: float, load: Load
) -> tuple[int, float]:
    """Send requests from so many clients for so long; return answers and the time they took."""
    begun = time.perf_counter()
    answered = await asyncio.gather(
        *(client(port, requests, n, begun + seconds, load) for n in range(clients))
    )
    return sum(answered), time.perf_counter() - begun


async def client(port: int, requests: list[bytes], first: int, until: float, load: Load) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    answered, at = 0, first * 7
    while time.perf_counter() < until:
        sent = time.perf_counter()
        writer.write(requests[at % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.findall(rb"content-length: (\d+)", head.lower())[0])
        await reader.readexactly(length)
        at += 1
        if head.startswith(b"HTTP/1.1 200"):
            answered += 1
            load.seconds.append(time.perf_counter() - sent)
        else:
            load.refused += 1
            await asyncio.sleep(0.1)
    writer.close()
    return answered


def first_answer(bundle: Path, picture: bytes) -> float:
    """Start a service and return the seconds until it has scored a picture."""
    service = Service(f"model={bundle}", "--keep", "off")
    request = Request(
        f"http://127.0.0.1:{service.port}/v1/models/model/score",
        data=picture,
        headers={"Content-Type": "image/jpeg"},
    )
    with urlopen(request, timeout=30) as answer:
        assert json.load(answer)["results"][0]["score"] is not None
    seconds = time.perf_counter() - service.begun
    service.stop()
    return seconds


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main()
