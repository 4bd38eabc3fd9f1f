"""Fits on a cluster of two nodes, each with one processor, and with what goes wrong there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score
from tests.cluster.conftest import TwoNodes
from tests.conftest import make_blobs

from residua import AutoencoderDetector, load
from residua.cli import main
from residua.cluster.attending import Place, Watch
from residua.cluster.fitting import fit_on_cluster
from residua.cluster.training import Gathered
from residua.errors import (
    CannotResume,
    ConfigurationError,
    NoReadableImage,
    OutputError,
    ResiduaWarning,
)
from residua.images.preprocess import InputSpec
from residua.images.source import Batch, FileSource

# So few pictures and epochs make some warnings due, which have tests of their own.
pytestmark = pytest.mark.filterwarnings("ignore::residua.errors.ResiduaWarning")

EPOCHS = 6
BROKEN = (5, 50, 51)


class Noting(FileSource):
    """Files of a folder that note which process has read which."""

    def batches(
        self,
        spec: InputSpec,
        size: int,
        indices: ArrayLike | None = None,
        *,
        workers: int | None = None,
    ) -> Iterator[Batch]:
        wanted = list(range(len(self))) if indices is None else np.asarray(indices).tolist()
        with Path(self._folder, ".read").open("a") as notes:
            notes.write(json.dumps({"process": os.getpid(), "read": wanted}) + "\n")
        return super().batches(spec, size, indices, workers=workers)


class OnlyHere(FileSource):
    """Files of a folder that no other machine has."""

    def __reduce__(self) -> Any:
        return FileSource, ([f"/elsewhere/{number}.png" for number in range(len(self))],)


@pytest.fixture
def folder(tmp_path: Path, blobs: NDArray[np.uint8]) -> Path:
    """Files of 160 blobs, of which three cannot be read."""
    (tmp_path / "good").mkdir()
    for number, picture in enumerate(blobs):
        Image.fromarray(picture).save(tmp_path / "good" / f"{number:03}.png")
    for number in BROKEN:
        (tmp_path / "good" / f"{number:03}.png").write_bytes(b"no picture")
    return tmp_path / "good"


def detector(**changes: Any) -> AutoencoderDetector:
    return AutoencoderDetector(**{"epochs": EPOCHS, "precision": "float32", **changes})


def auroc(fitted: AutoencoderDetector, stripes: NDArray[np.uint8]) -> float:
    normal = make_blobs(40, seed=9)
    truth = [0] * len(normal) + [1] * len(stripes)
    scores = [fitted.anomaly_scores(normal), fitted.anomaly_scores(stripes)]
    return float(roc_auc_score(truth, np.concatenate(scores)))


def test_two_workers_fit_what_one_machine_fits(
    cluster: TwoNodes, folder: Path, tmp_path: Path, stripes: NDArray[np.uint8]
) -> None:
    import ray.cloudpickle

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    alone = detector().fit(folder)
    source = Noting.from_folder(folder)
    together = detector()
    with pytest.warns(ResiduaWarning, match="3 unreadable pictures are left out"):
        fit_on_cluster(
            together, source, storage=tmp_path / "state", place=Place(cluster.address, 2)
        )

    assert [record.epoch for record in together.history_] == list(range(1, EPOCHS + 1))
    assert together.checks_.network_mse == pytest.approx(alone.checks_.network_mse, rel=0.5)
    assert auroc(together, stripes) == pytest.approx(auroc(alone, stripes), abs=0.02)
    data = together.manifest_.data
    assert (data.training + data.validation + data.calibration, data.skipped) == (157, 3)
    assert (alone.manifest_.workers, together.manifest_.workers) == (1, 2)
    assert together.manifest_.threads == 1
    saved = together.save(tmp_path / "part.residua")
    assert np.array_equal(load(saved).predict(stripes), together.predict(stripes))

    notes = [json.loads(line) for line in (folder / ".read").read_text().splitlines()]
    of_driver = [note for note in notes if note["process"] == os.getpid()]
    of_workers = [note for note in notes if note["process"] != os.getpid()]
    assert len(of_driver) == 1
    assert len({note["process"] for note in of_workers}) == 2
    held_back = data.calibration + sum(broken in calibration(folder) for broken in BROKEN)
    read = [index for note in of_workers for index in note["read"]]
    assert len(read) == len(set(read)) == 160 - held_back


def calibration(folder: Path) -> list[int]:
    from residua.images.splits import holdout

    return [int(index) for index in holdout(160, (0.1, 0.1), 0).calibration]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute as a worker does, which has one processor: sums are added in its order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.long
@pytest.mark.usefixtures("one_thread")
def test_one_worker_fits_the_network_of_a_fit_without_a_cluster(
    cluster: TwoNodes, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8], tmp_path: Path
) -> None:
    alone = detector().fit(blobs)
    by_worker = detector()
    fit_on_cluster(by_worker, blobs, storage=tmp_path / "state", place=Place(cluster.address, 1))
    assert losses(by_worker) == losses(alone)
    assert np.array_equal(by_worker.anomaly_scores(stripes), alone.anomaly_scores(stripes))
    assert by_worker.threshold_ == alone.threshold_


def test_a_fit_goes_on_when_a_worker_is_killed(
    cluster: TwoNodes, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    killed: list[int] = []

    def kill_one() -> None:
        while not (state / "attempt-0" / "last.ckpt").exists():
            time.sleep(0.02)
        killed.append(process_of_a_worker())
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    fitted = detector(epochs=30)
    fit_on_cluster(fitted, blobs, storage=state, place=Place(cluster.address, 2))
    killer.join()
    assert killed
    assert [record.epoch for record in fitted.history_] == list(range(1, 31))
    assert auroc(fitted, stripes) > 0.95


@pytest.mark.long
def test_ctrl_c_ends_a_fit_with_the_best_weights_so_far(
    cluster: TwoNodes, blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    state = tmp_path / "state"

    def press() -> None:
        while not (state / "attempt-0" / "last.ckpt").exists():
            time.sleep(0.02)
        signal.raise_signal(signal.SIGINT)

    finger = threading.Thread(target=press, daemon=True)
    before = signal.getsignal(signal.SIGINT)
    finger.start()
    fitted = detector(epochs=2_000)
    fit_on_cluster(fitted, blobs, storage=state, place=Place(cluster.address, 1))
    assert fitted.interrupted_
    assert fitted.manifest_.interrupted
    assert 1 <= len(fitted.history_) < 2_000
    assert signal.getsignal(signal.SIGINT) is before
    assert len(fitted.predict(blobs)) == len(blobs)


@pytest.mark.long
def test_a_fit_in_an_object_store_goes_on_when_its_driver_was_killed(
    cluster: TwoNodes,
    bucket: str,
    blobs: NDArray[np.uint8],
    stripes: NDArray[np.uint8],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from residua.storage import exists, write_bytes

    for number, picture in enumerate(blobs):
        file = tmp_path / "one.png"
        Image.fromarray(picture).save(file)
        write_bytes(f"{bucket}/good/{number:03}.png", file.read_bytes())
    arguments = [
        *("fit", f"{bucket}/good", "-o", str(tmp_path / "part.residua"), "--epochs", "30"),
        *("--precision", "float32", "--cluster", cluster.address, "--workers", "2"),
        *("--storage", f"{bucket}/state"),
    ]
    command = [sys.executable, "-W", "ignore", "-c", "from residua.cli import main; main()"]
    driver = subprocess.Popen([*command, *arguments], stderr=subprocess.DEVNULL)
    while not exists(f"{bucket}/state/attempt-0/last.ckpt"):
        assert driver.poll() is None
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    assert not (tmp_path / "part.residua").exists()

    monkeypatch.setattr(sys, "argv", ["residua", *arguments, "--resume"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    fitted = load(tmp_path / "part.residua")
    assert [record.epoch for record in fitted.history_] == list(range(1, 31))
    assert auroc(fitted, stripes) > 0.95
    assert not exists(f"{bucket}/state")


def test_what_cannot_be_fitted_on_a_cluster_is_refused_before_any_work(
    blobs: NDArray[np.uint8], backbone: Path, tmp_path: Path
) -> None:
    def refused(fitted: AutoencoderDetector, storage: Path = tmp_path / "state", **of: Any) -> None:
        fit_on_cluster(fitted, blobs, storage=storage, place=Place(**{"cluster": "x:1", **of}))

    features = AutoencoderDetector("features", model_options={"backbone": str(backbone)})
    with pytest.raises(ConfigurationError, match="'features' is fitted on one machine"):
        refused(features)
    with pytest.raises(ConfigurationError, match="'mps'; workers of a cluster take 'cpu'"):
        refused(detector(device="mps"))
    with pytest.raises(ConfigurationError, match="workers is 0; wanted at least 1"):
        refused(detector(), workers=0)
    with pytest.raises(ConfigurationError, match=r"workers is 9; batches of 8 .* for 4 at most"):
        refused(detector(), workers=9)
    with pytest.raises(CannotResume, match="no interrupted fit"):
        refused(detector(resume=True), workers=2)
    (tmp_path / "file").write_text("a file")
    with pytest.raises(OutputError, match="cannot be made"):
        refused(detector(), storage=tmp_path / "file" / "state", workers=2)


@pytest.mark.long
def test_a_checkpoint_that_cannot_be_read_is_named_once_and_where_it_lies(
    cluster: TwoNodes, blobs: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, state = Place(cluster.address, 1), tmp_path / "state"
    fit_on_cluster(detector(), blobs, storage=state, place=place)
    (state / "attempt-0" / "last.ckpt").write_bytes(b"no checkpoint")
    news: list[Any] = []
    hear = Watch.hear
    monkeypatch.setattr(Watch, "hear", lambda watch, one: (news.append(one), hear(watch, one)))
    with pytest.raises(
        CannotResume, match=r"(?s)state/attempt-0/last.ckpt cannot be read.*delete it"
    ):
        fit_on_cluster(detector(resume=True), blobs, storage=state, place=place)
    assert news == [Gathered(1)]  # nobody was lost and began anew


def test_more_workers_than_processors_are_refused(
    cluster: TwoNodes, blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigurationError, match=r"workers is 3, and the cluster at .* has 2 processors"
    ):
        fit_on_cluster(detector(), blobs, storage=tmp_path, place=Place(cluster.address, 3))


@pytest.mark.long
def test_a_fit_whose_pictures_no_worker_sees_says_so(
    cluster: TwoNodes, blobs: NDArray[np.uint8], folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        NoReadableImage, match=r"can read none of its pictures \(.*each machine must"
    ):
        fit_on_cluster(
            detector(),
            OnlyHere.from_folder(folder),
            storage=tmp_path / "state",
            place=Place(cluster.address, 1),
        )


def process_of_a_worker() -> int:
    """Return a process that trains on a node that was started here."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            trains = b"RayTrainWorker" in (entry / "cmdline").read_bytes()
            if trains and parent(parent(int(entry.name))) == os.getpid():
                return int(entry.name)
    raise AssertionError("no worker trains")


def parent(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("PPid:")[2].split()[0])


def losses(fitted: AutoencoderDetector) -> list[tuple[float, float]]:
    return [(record.train_loss, record.val_loss) for record in fitted.history_]
