"""Scoring on a cluster while workers, the driver and a node are lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reliability.check import Check, Finding

KILLS = 5
PICTURES, SIDE, PART = 6_000, 64, 64
# A driver that was killed is found out, and its workers ended, in so many seconds at most.
_PATIENCE = 120

Rows = list[dict[str, Any]]


def checks() -> Iterator[Check]:
    """Yield the checks of scoring on a cluster."""
    yield Check(
        "cluster-worker-killed",
        f"A worker killed at {KILLS} random moments of scoring on a cluster costs time and no row.",
        lambda: _tried(_kill_workers),
    )
    yield Check(
        "cluster-driver-killed",
        f"Scoring on a cluster whose driver is killed at {KILLS} random moments is gone on with.",
        lambda: _tried(_kill_drivers),
    )
    yield Check(
        "cluster-node-lost",
        "A node lost in the middle of scoring on a cluster costs time and no row.",
        lambda: _tried(_lose_node),
    )


class Trial:
    """Pictures, a model, what one machine says of them, and a cluster of two nodes."""

    def __init__(self, work: Path, cluster: Any, second: Any) -> None:
        self.work, self.cluster, self.second = work, cluster, second
        self.data, self.bundle = work / "pictures", work / "model.residua"
        _draw(self.data)
        _fit(self.data, self.bundle)
        self.expected = self._locally()
        self.out = work / "scores.parquet"

    def _locally(self) -> Rows:
        from residua.results import as_row
        from residua.runtime import BundleScorer

        scorer = BundleScorer(self.bundle, threads=2, engine="onnxruntime")
        return [as_row(verdict) for verdict in scorer.verdicts(self.data)]

    def finding(self, events: str) -> Finding:
        """Compare the folder with one machine's rows."""
        import pyarrow.parquet as pq

        rows: Rows = pq.read_table(self.out).to_pylist()
        ids = {row["id"] for row in rows}
        lost = sum(row["id"] not in ids for row in self.expected)
        doubled = len(rows) - len(ids)
        return Finding(
            rows == self.expected,
            f"{events}; {len(rows):,} rows for {len(self.expected):,} pictures, {lost} lost, "
            f"{doubled} doubled, {sum(a != b for a, b in zip(rows, self.expected, strict=False))} "
            f"other than one machine's",
        )


def _kill_workers(trial: Trial) -> Finding:
    from residua.cluster.scoring import Progress, score_on_cluster
    from residua.cluster.session import connected

    parts = -(-len(trial.expected) // PART)
    moments = set(random.Random(0).sample(range(2, parts - 4), KILLS))
    killed: list[int] = []
    seen = 0

    def watch(progress: Progress) -> None:
        nonlocal seen
        seen += len(progress.answers)
        if seen in moments and progress.answers:
            killed.append(seen)
            os.kill(progress.answers[0].pid, signal.SIGKILL)

    with connected(str(trial.cluster.address)):
        done = score_on_cluster(trial.bundle, trial.data, trial.out, part_size=PART, watch=watch)
    at = ", ".join(map(str, killed))
    found = trial.finding(f"killed after parts {at} of {parts}, {done.seconds:.0f} s")
    return Finding(found.kept and len(killed) == KILLS, found.figures)


def _kill_drivers(trial: Trial) -> Finding:
    parts = -(-len(trial.expected) // PART)
    draw = random.Random(1)
    stopped: list[int] = []
    start = time.monotonic()
    for number in range(KILLS):
        with _driver(trial) as driver:
            lowest = parts * number // (KILLS + 1)
            highest = parts * (number + 1) // (KILLS + 1)
            wanted = draw.randint(lowest + 1, highest)
            until = time.monotonic() + _PATIENCE
            while _parts(trial) < wanted and driver.poll() is None and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(draw.uniform(0, 0.1))
            driver.send_signal(signal.SIGKILL)
        stopped.append(_parts(trial))
    with _driver(trial) as driver:
        code = driver.wait(_PATIENCE)
    took = time.monotonic() - start
    at = ", ".join(map(str, stopped))
    found = trial.finding(f"killed with {at} of {parts} parts there, {took:.0f} s in all")
    return Finding(found.kept and code == 1 and stopped[-1] < parts, found.figures)


def _lose_node(trial: Trial) -> Finding:
    from residua.cluster.scoring import Progress, score_on_cluster
    from residua.cluster.session import connected

    parts = -(-len(trial.expected) // PART)
    lost: list[int] = []
    seen = 0

    def watch(progress: Progress) -> None:
        nonlocal seen
        seen += len(progress.answers)
        if seen == parts // 3 and not lost:
            lost.append(seen)
            trial.cluster.remove_node(trial.second, allow_graceful=False)

    with connected(str(trial.cluster.address)):
        done = score_on_cluster(trial.bundle, trial.data, trial.out, part_size=PART, watch=watch)
    found = trial.finding(f"one of two nodes lost after part {parts // 3}, {done.seconds:.0f} s")
    return Finding(found.kept and bool(lost), found.figures)


@contextmanager
def _driver(trial: Trial) -> Iterator[subprocess.Popen[bytes]]:
    program = (
        "import sys; from residua.cluster.scoring import score_on_cluster; "
        "done = score_on_cluster(*sys.argv[1:4], address=sys.argv[4], part_size=int(sys.argv[5])); "
        "sys.exit(done.counts.failed > 0)"
    )
    places = (trial.bundle, trial.data, trial.out, trial.cluster.address, PART)
    command = [sys.executable, "-c", program, *map(str, places)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
        yield driver


def _parts(trial: Trial) -> int:
    return len(list(trial.out.glob("part-*")))


def _tried(trial_of: Callable[[Trial], Finding]) -> Finding:
    from ray.cluster_utils import Cluster

    work = Path(tempfile.mkdtemp(prefix="residua-reliability-"))
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    try:
        return trial_of(Trial(work, cluster, cluster.add_node(num_cpus=1)))
    finally:
        cluster.shutdown()
        shutil.rmtree(work, ignore_errors=True)


def _draw(folder: Path) -> None:
    """Write soft noise, and a file that is no picture in every thousand."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(PICTURES):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{number:05}.png")
    for number in range(0, PICTURES, 1000):
        (folder / f"{number:05}x.png").write_bytes(b"no picture")


def _fit(data: Path, bundle: Path) -> None:
    from residua import AutoencoderDetector
    from residua.errors import ResiduaWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        detector = AutoencoderDetector(epochs=1, on_failed_fit="warn", random_state=0)
        detector.fit([data / f"{number:05}.png" for number in range(300)]).save(bundle)
