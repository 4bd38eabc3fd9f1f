"""Fitting on a cluster: the quality of several workers, and fits of which workers are killed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliability.check import Check, Finding

SEEDS = (0, 1, 2)
KILLS = 3
EPOCHS, PICTURES, SIDE = 30, 512, 64
# A difference of AUROC that another order of the same sums can make.
_NO_DIFFERENCE = 0.01


class Fit(NamedTuple):
    """What came of one fit."""

    auroc: float
    val_loss: float
    seconds: float
    epochs: list[int]


def checks() -> Iterator[Check]:
    """Yield the checks of fitting on a cluster."""
    yield Check(
        "cluster-fit-quality",
        "Two workers of a cluster fit what one fits, from the same number of pictures and steps.",
        lambda: _tried(_compare_workers),
    )
    yield Check(
        "cluster-fit-killed",
        f"A worker killed at {KILLS} random moments of a cluster's fit costs time and no quality.",
        lambda: _tried(_kill_workers),
    )


class Trial:
    """Surfaces to learn from and to judge by, and a cluster of two nodes of one processor."""

    def __init__(self, work: Path, address: str) -> None:
        from residua import load_dataset

        self.work, self.address = work, address
        self.trusted = load_dataset("surfaces", "train", n=PICTURES, size=(SIDE, SIDE), channels=1)
        self.test = load_dataset("surfaces", "test", size=(SIDE, SIDE), channels=1)
        self.state = work / "state"

    def fit(self, workers: int, seed: int) -> Fit:
        """Fit anew and judge the model on the test part."""
        from sklearn.metrics import roc_auc_score

        from residua import AutoencoderDetector
        from residua.cluster.attending import Place
        from residua.cluster.fitting import discard_state, fit_on_cluster

        detector = AutoencoderDetector(epochs=EPOCHS, precision="float32", random_state=seed)
        place = Place(self.address, workers)
        start = time.monotonic()
        fit_on_cluster(detector, self.trusted, storage=self.state, place=place)
        seconds = time.monotonic() - start
        discard_state(self.state)
        anomalous = np.array([label != "good" for label in self.test.labels or ()])
        return Fit(
            float(roc_auc_score(anomalous, detector.anomaly_scores(self.test))),
            min(record.val_loss for record in detector.history_),
            seconds,
            [record.epoch for record in detector.history_],
        )


def _compare_workers(trial: Trial) -> Finding:
    # In turns: what else the machine does falls on both alike.
    every = [(trial.fit(1, seed), trial.fit(2, seed)) for seed in SEEDS]
    one, two = ([pair[i] for pair in every] for i in (0, 1))
    spread = np.ptp([fit.auroc for fit in one])
    apart = abs(_mean_auroc(one) - _mean_auroc(two))
    ratio = sum(fit.seconds for fit in one) / sum(fit.seconds for fit in two)
    return Finding(
        bool(apart <= max(spread, _NO_DIFFERENCE)),
        f"AUROC {_range(one)} with one worker, {_range(two)} with two, over {len(SEEDS)} seeds; "
        f"least validation loss {_losses(one)} and {_losses(two)}; two take 1/{ratio:.2f} of the "
        f"time of one, their start included ({np.mean([fit.seconds for fit in two]):.0f} s)",
    )


def _kill_workers(trial: Trial) -> Finding:
    undisturbed = [trial.fit(2, seed) for seed in SEEDS]
    moments = random.Random(0).sample(range(2, EPOCHS - 3), KILLS)
    killed, fits = [], []
    for moment in moments:
        with _killing(trial, moment) as at:
            fits.append(trial.fit(2, SEEDS[0]))
        killed += at
    least = min(fit.auroc for fit in undisturbed)
    spread = np.ptp([fit.auroc for fit in undisturbed])
    whole = all(fit.epochs == list(range(1, EPOCHS + 1)) for fit in fits)
    lost = min(fit.auroc for fit in fits) < least - max(spread, _NO_DIFFERENCE)
    return Finding(
        whole and not lost and len(killed) == KILLS,
        f"killed after epochs {', '.join(map(str, killed))} of {EPOCHS}; each epoch once: "
        f"{'yes' if whole else 'NO'}; AUROC {_range(fits)}, undisturbed {_range(undisturbed)}; "
        f"{np.mean([fit.seconds for fit in fits]):.0f} s instead of "
        f"{np.mean([fit.seconds for fit in undisturbed]):.0f} s",
    )


@contextmanager
def _killing(trial: Trial, epoch: int) -> Iterator[list[int]]:
    """Kill a worker once the state of so many epochs was written; yields when that was."""
    killed: list[int] = []
    over = threading.Event()

    def wait_and_kill() -> None:
        seen: set[int] = set()
        while not over.wait(0.005):
            with contextlib.suppress(OSError):
                seen.add((trial.state / "attempt-0" / "last.ckpt").stat().st_mtime_ns)
            if len(seen) >= epoch:
                os.kill(_process_of_a_worker(), signal.SIGKILL)
                killed.append(len(seen))
                return

    killer = threading.Thread(target=wait_and_kill)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()


def _process_of_a_worker() -> int:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and b"RayTrainWorker" in (entry / "cmdline").read_bytes():
                return int(entry.name)
    raise LookupError("no worker trains")


def _tried(attempt: Callable[[Trial], Finding]) -> Finding:
    from ray.cluster_utils import Cluster

    from residua.cluster.session import connected

    work = Path(tempfile.mkdtemp(prefix="residua-cluster-fit-"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node: dict[str, Any] = {"num_cpus": 1}
            head = {**node, "include_dashboard": False}
            cluster = Cluster(initialize_head=True, head_node_args=head)
            cluster.add_node(**node)
            try:
                with connected(cluster.address):
                    return attempt(Trial(work, cluster.address))
            finally:
                cluster.shutdown()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _mean_auroc(fits: list[Fit]) -> float:
    return float(np.mean([fit.auroc for fit in fits]))


def _range(fits: list[Fit]) -> str:
    found = [fit.auroc for fit in fits]
    return f"{np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})"


def _losses(fits: list[Fit]) -> str:
    return f"{np.mean([fit.val_loss for fit in fits]):.5f}"
