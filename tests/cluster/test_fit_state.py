"""What machines share of a fit, and what the driver makes of their news; without a cluster."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from residua.cluster.attending import Place, Watch
from residua.cluster.conducting import Failed, Lost
from residua.cluster.fitting import everywhere
from residua.cluster.shares import Prints, fingerprint_of, prints_of, read_share
from residua.cluster.state import SharedState, fetched, put
from residua.cluster.training import Begun, Gathered, KeepShared
from residua.errors import (
    CannotResume,
    Discarded,
    OtherRun,
    OutputError,
    TrainingDiverged,
    WorkersLost,
)
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource, FileSource
from residua.training.claim import mark_of
from residua.training.config import EpochRecord
from residua.training.team import ALONE

SPEC = InputSpec(height=16, width=16, channels=1)
OWN = mark_of({"model": "conv", "epochs": 3}, "pictures")


@pytest.fixture(params=["folder", "bucket"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> SharedState:
    if request.param == "folder":
        return SharedState(tmp_path / "state")
    return SharedState(f"{request.getfixturevalue('bucket')}/deep/state")


def test_a_state_is_gone_on_with_by_the_same_fit_only(state: SharedState) -> None:
    with pytest.raises(CannotResume, match="no interrupted fit"):
        state.require_begun()
    state.check_writable()
    state.claim(OWN, resume=False)
    state.require_begun()
    state.claim(OWN, resume=True)
    with pytest.raises(CannotResume, match="epochs was 3 and is 4"):
        state.claim(mark_of({"model": "conv", "epochs": 4}, "pictures"), resume=True)
    with pytest.raises(CannotResume, match="the pictures differ"):
        state.claim(mark_of({"model": "conv", "epochs": 3}, "others"), resume=True)


@pytest.mark.parametrize("resume", [True, False])
def test_who_lost_its_place_to_another_fit_writes_no_more(
    state: SharedState, resume: bool, tmp_path: Path
) -> None:
    state.claim(OWN, resume=False)
    kept = KeepShared(state.checkpoint(0), state, ALONE)
    going_on: Any = SimpleNamespace(
        interrupted=False,
        should_stop=False,
        is_global_zero=True,
        save_checkpoint=lambda path: path.write_bytes(b"of an epoch"),
    )
    kept.on_train_epoch_end(going_on, Any)
    assert fetched(state.checkpoint(0), tmp_path) is not None
    other = SharedState(state.location)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Discarded)
        other.claim(OWN, resume=resume)
    put(made(tmp_path, b"of the other"), state.checkpoint(0))
    with pytest.raises(OtherRun, match=r"was taken by another fit.*--storage"):
        kept.on_train_epoch_end(going_on, Any)
    copy = fetched(state.checkpoint(0), tmp_path)
    assert copy is not None
    assert copy.read_bytes() == b"of the other"
    other.discard()
    with pytest.raises(OtherRun, match="or deleted"):
        kept.on_train_epoch_end(going_on, Any)


def test_a_folder_holds_one_fit_at_a_time(tmp_path: Path) -> None:
    with SharedState(tmp_path / "state").alone():
        with (
            pytest.raises(OutputError, match="another process runs a fit in"),
            SharedState(tmp_path / "state").alone(),
        ):
            raise AssertionError
        SharedState(tmp_path / "state").claim(OWN, resume=False)
    with SharedState(tmp_path / "state").alone():
        SharedState(tmp_path / "state").discard()
    assert not (tmp_path / "state").exists()


def test_a_state_that_nobody_goes_on_with_is_discarded(state: SharedState, tmp_path: Path) -> None:
    state.claim(OWN, resume=False)
    put(made(tmp_path, b"of an epoch"), state.checkpoint(0))
    with pytest.warns(Discarded, match="is discarded"):
        state.claim(OWN, resume=False)
    assert fetched(state.checkpoint(0), tmp_path) is None


def test_a_checkpoint_comes_back_as_it_was_put(state: SharedState, tmp_path: Path) -> None:
    assert fetched(state.checkpoint(1), tmp_path) is None
    for content in (b"first", b"and then the second"):
        put(made(tmp_path, content), state.checkpoint(1))
        copy = fetched(state.checkpoint(1), tmp_path)
        assert copy is not None
        assert copy.read_bytes() == content
        copy.unlink()


def test_discarding_leaves_what_is_of_others(tmp_path: Path) -> None:
    state = SharedState(tmp_path / "state")
    state.claim(OWN, resume=False)
    put(made(tmp_path, b"x"), state.checkpoint(0))
    other = tmp_path / "state" / "other.txt"
    other.write_text("mine")
    state.discard()
    assert list((tmp_path / "state").iterdir()) == [other]
    other.unlink()
    state.discard()
    assert not (tmp_path / "state").exists()


def test_a_state_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = made(tmp_path, b"a file")
    with pytest.raises(OutputError, match="cannot be made"):
        SharedState(file / "state").check_writable()
    with pytest.raises(OutputError, match=r"checkpoint .* cannot be written"):
        put(file, str(file / "last.ckpt"))


def test_a_read_only_folder_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(**_: object) -> None:  # root, as whom tests may run, writes everywhere
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("residua.writing.tempfile.TemporaryFile", read_only)
    with pytest.raises(OutputError, match="nothing can be written in"):
        SharedState(tmp_path).check_writable()


def test_relative_paths_are_those_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").mkdir()
    assert everywhere("good") == str(tmp_path / "good")
    assert everywhere(["a.png", Path("b.png")]) == [f"{tmp_path}/a.png", f"{tmp_path}/b.png"]
    assert everywhere("digits") == "digits"
    assert everywhere("s3://bucket/good") == "s3://bucket/good"
    assert SharedState("state").location == f"{tmp_path}/state"


def test_a_share_holds_what_is_readable_and_names_the_rest(
    tmp_path: Path, blobs: NDArray[np.uint8]
) -> None:
    for number, picture in enumerate(blobs[:6]):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    source = FileSource.from_folder(tmp_path)
    share = read_share(source, np.array([5, 3, 1]), SPEC)
    assert share.indices.tolist() == [5, 1]
    assert np.array_equal(share.pixels[..., 0], blobs[[5, 1]])
    assert [failure.index for failure in share.failures] == [3]
    assert "3.png" in share.failures[0].what
    nothing = read_share(source, np.array([3]), SPEC)
    assert len(nothing.pixels) == 0
    assert [failure.index for failure in nothing.failures] == [3]
    assert read_share(source, np.array([], np.int64), SPEC).failures == []


def test_the_fingerprint_does_not_depend_on_who_has_read_what(blobs: NDArray[np.uint8]) -> None:
    def prints(*indices: int) -> Prints:
        return prints_of(read_share(ArraySource(blobs), np.array(indices, np.int64), SPEC))

    whole = fingerprint_of([prints(*range(8))], SPEC)
    assert len(whole) == 64
    assert fingerprint_of([prints(1, 3, 5, 7), prints(), prints(0, 2, 3, 4, 6)], SPEC) == whole
    assert fingerprint_of([prints(*range(1, 8))], SPEC) != whole
    changed = ArraySource(np.concatenate([blobs[:7], blobs[20:21]]))
    assert fingerprint_of([prints_of(read_share(changed, np.arange(8), SPEC))], SPEC) != whole


def test_the_driver_does_not_wait_for_workers_for_ever(tmp_path: Path) -> None:
    watch = watching(tmp_path, wait=0.0)
    with pytest.raises(WorkersLost, match=r"no worker has begun within 0 s: .* no epoch was done"):
        watch.require_patience()
    watch.hear(Gathered(2))
    watch.require_patience()
    watch.hear(record(1))
    watch.hear(Lost("worker 1: killed"))
    with pytest.raises(
        WorkersLost, match=r"after a loss \(worker 1: killed\).*after epoch 1 is in"
    ):
        watch.require_patience()
    watch.hear(Gathered(1))
    watch.require_patience()
    assert watch.heard == 4


def test_workers_that_were_lost_too_often_leave_a_way_on(tmp_path: Path) -> None:
    watch = watching(tmp_path, restarts=1)
    for news in (Begun(2, 0), record(1), record(2), Lost("killed"), Lost("killed again")):
        watch.hear(news)
    with pytest.raises(WorkersLost, match=r"lost 2 times, and 1 times are allowed.*--resume"):
        watch.result(Failed("killed again", None))
    with pytest.raises(TrainingDiverged, match="the loss became nan"):
        watch.result(Failed("…", TrainingDiverged("the loss became nan")))


def made(folder: Path, content: bytes) -> Path:
    path = folder / "made"
    path.write_bytes(content)
    return path


def watching(folder: Path, **of_place: Any) -> Watch:
    return Watch(5, Place(**of_place), SharedState(folder), None)


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch=epoch, train_loss=1, val_loss=1, images_per_second=1, best=True)
