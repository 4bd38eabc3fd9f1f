from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.bundle import CHECKSUMS
from residua.errors import BundleError, BundleNotFound, UnknownModel
from residua.recalibration import recalibrate
from residua.runtime import BundleScorer
from residua.service.models import Reload, ServedModels
from residua.service.served import ServedModel
from residua.service.trap import families_that_fool

NOW = 1000.0  # looks at the disk only when asked to


@pytest.fixture
def own(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "part.residua"))


@pytest.fixture
def serve() -> Iterator[Callable[..., ServedModels]]:
    opened: list[ServedModels] = []

    def begin(**options: object) -> ServedModels:
        options = {"every": NOW, **options}
        opened.append(ServedModels(**options))  # type: ignore[arg-type]
        return opened[-1]

    yield begin
    for models in opened:
        models.close()


def test_a_served_model_gives_the_scores_of_its_bundle(
    own: Path, serve: Callable[..., ServedModels], blobs: NDArray[np.uint8]
) -> None:
    model = serve(bundles={"part": own})["part"]
    images = blobs[:8, ..., None]
    for at_once in (1, model.threads):
        found = model.compute(images, at_once=at_once).scores
        assert found == pytest.approx(BundleScorer(own).anomaly_scores(images), rel=1e-5)


def test_an_unknown_name_offers_the_nearest(own: Path, serve: Callable[..., ServedModels]) -> None:
    with pytest.raises(UnknownModel, match="did you mean 'part'"):
        serve(bundles={"part": own})["parts"]


def test_a_bundle_that_is_not_there_or_broken_is_refused_at_the_start(
    own: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleNotFound, match="residua fit"):
        ServedModels({"none": tmp_path / "none"})
    (own / "model.onnx").write_bytes(b"")
    with pytest.raises(BundleError):
        ServedModels({"part": own})


def test_a_replaced_bundle_is_taken_up_and_who_holds_the_old_one_goes_on(
    own: Path, serve: Callable[..., ServedModels], blobs: NDArray[np.uint8]
) -> None:
    told: list[Reload] = []
    models = serve(bundles={"part": own}, reloaded=told.append)
    before = models["part"]
    scores = before.compute(blobs[:4, ..., None], at_once=1).scores
    recalibrate(own, blobs[:40], threshold="percentile(50)")
    assert models.refresh("part") is not None
    after = models["part"]
    assert after is not before
    assert after.revision != before.revision
    assert after.manifest.threshold.rule == "percentile(50)"
    assert before.compute(blobs[:4, ..., None], at_once=2).scores == pytest.approx(scores)
    assert [one.model for one in told] == [after]
    assert models.refresh("part") is None


def test_a_broken_replacement_is_reported_once_and_the_old_one_goes_on(
    own: Path, serve: Callable[..., ServedModels], bundle: Path
) -> None:
    told: list[Reload] = []
    models = serve(bundles={"part": own}, reloaded=told.append)
    before = models["part"]
    sums = own / "SHA256SUMS"
    sums.write_text(sums.read_text().replace("0", "1", 1))
    for _ in range(3):
        models.refresh("part")
    assert models["part"] is before
    assert len(told) == 1
    assert "altered or cut short" in (models.failure("part") or "")
    shutil.copyfile(bundle / "SHA256SUMS", sums)
    models.refresh("part")
    assert models.failure("part") is None


@pytest.mark.parametrize("name", ["model.onnx", "residua.json", "calibration.npz"])
def test_a_file_that_is_damaged_or_gone_is_reported_though_the_checksums_stand(
    own: Path, serve: Callable[..., ServedModels], bundle: Path, name: str
) -> None:
    models = serve(bundles={"part": own})
    models.refresh("part")
    assert models.failure("part") is None
    (own / name).write_bytes((own / name).read_bytes()[:100])
    assert models.refresh("part") is not None
    assert name in (models.failure("part") or "")
    assert models.refresh("part") is None, "it is said once"
    (own / name).unlink()
    models.refresh("part")
    assert f"lacks {name}" in (models.failure("part") or "")
    shutil.copyfile(bundle / name, own / name)
    models.refresh("part")
    assert models.failure("part") is None


def test_a_vanished_bundle_is_reported_and_the_old_one_goes_on(
    own: Path, serve: Callable[..., ServedModels]
) -> None:
    models = serve(bundles={"part": own})
    away = own.rename(own.with_name("away"))
    for _ in range(4):
        models.refresh("part")
    assert models.failure("part") is None, "a replacement is two renames"
    models.refresh("part")
    assert "cannot be read" in (models.failure("part") or "")
    assert models["part"].manifest is not None
    away.rename(own)
    models.refresh("part")
    assert models.failure("part") is None


def test_the_disk_is_looked_at_by_itself(own: Path, serve: Callable[..., ServedModels]) -> None:
    done = threading.Event()
    models = serve(bundles={"part": own}, every=0.02, reloaded=lambda _: done.set())
    models.start()
    before = models["part"].revision
    manifest = own / "residua.json"
    manifest.write_text(manifest.read_text())  # nothing that counts
    time.sleep(0.1)
    assert models["part"].revision == before
    recalibrate(
        own,
        np.random.default_rng(0).integers(0, 255, (30, 16, 16), np.uint8),
        threshold="percentile(90)",
    )
    assert done.wait(10)
    assert models["part"].revision != before


def test_nothing_is_read_from_disk_once_a_model_is_served(
    own: Path, serve: Callable[..., ServedModels], blobs: NDArray[np.uint8]
) -> None:
    model = serve(bundles={"part": own})["part"]
    shutil.rmtree(own)
    for at_once in (1, model.threads):
        assert model.compute(blobs[:4, ..., None], at_once=at_once).scores.shape == (4,)
    assert model.calibration_scores.size


def test_the_watch_for_drift_goes_on_after_a_restart(
    own: Path, serve: Callable[..., ServedModels]
) -> None:
    model = serve(bundles={"part": own})["part"]
    high = [float(model.calibration_scores[-1]) * 10] * 60
    assert model.observe(high[:49]) is None
    assert model.observe(high[49:50]) is not None
    again = serve(bundles={"part": own})["part"]
    again.resume_drift(model.drift_record())
    assert again.drift == model.drift
    assert again.drift.looks == 1
    again.reset_drift()
    assert again.drift.looks == 0


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def sign(folder: Path) -> None:
    """Write checksums that fit what is there."""
    names = [path.name for path in folder.iterdir() if path.name != CHECKSUMS]
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / CHECKSUMS).write_text("".join(f"{sums[name]}  {name}\n" for name in names))


def test_a_damaged_bundle_with_fitting_checksums_is_reported_and_the_next_is_taken_up(
    own: Path, serve: Callable[..., ServedModels], blobs: NDArray[np.uint8]
) -> None:
    models = serve(bundles={"part": own}, every=0.02)
    models.start()
    scores = (own / "calibration.npz").read_bytes()
    (own / "calibration.npz").write_bytes(b"")
    sign(own)
    until(lambda: "calibration.npz" in (models.failure("part") or ""))
    (own / "calibration.npz").write_bytes(scores)
    sign(own)
    recalibrate(own, blobs[:40], threshold="percentile(50)")
    until(lambda: models["part"].manifest.threshold.rule == "percentile(50)")
    assert models.failure("part") is None


def test_an_error_that_nobody_foresaw_does_not_end_the_looking(
    own: Path,
    serve: Callable[..., ServedModels],
    blobs: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Reload] = []

    def tell(reload: Reload) -> None:
        told.append(reload)
        raise RuntimeError("whoever is told fails")

    models = serve(bundles={"part": own}, every=0.02, reloaded=tell)
    models.start()
    with monkeypatch.context() as patched:
        patched.setattr(ServedModel, "_warm_up", lambda _: 1 / 0)
        recalibrate(own, blobs[:40], threshold="percentile(50)")
        until(lambda: bool(told))
        assert models.failure("part") == "ZeroDivisionError: division by zero"
    recalibrate(own, blobs[:40], threshold="percentile(60)")
    until(lambda: len(told) == 2)
    assert models["part"].manifest.threshold.rule == "percentile(60)"


def test_a_model_is_prepared_before_it_is_served(
    own: Path, serve: Callable[..., ServedModels], blobs: NDArray[np.uint8]
) -> None:
    seen: list[tuple[str, str]] = []

    def note(model: ServedModel) -> None:
        seen.append((model.revision, models["part"].revision))

    models = serve(bundles={"part": own}, prepare=note)
    first = models["part"].revision
    models.start()
    assert seen == [(first, first)]
    recalibrate(own, blobs[:40], threshold="percentile(50)")
    models.refresh("part")
    assert models["part"].revision != first
    assert seen[1:] == [(models["part"].revision, first)]


def test_models_that_were_never_started_run_no_thread_and_close(own: Path) -> None:
    before = set(threading.enumerate())
    models = ServedModels({"part": own})
    assert set(threading.enumerate()) == before
    models.close()


def test_the_trap_is_sprung_beside_the_start(
    own: Path,
    serve: Callable[..., ServedModels],
    blobs: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on = threading.Event()

    def slow(model: ServedModel, **_: object) -> tuple[str, ...]:
        assert go_on.wait(10)
        return (model.manifest.threshold.rule,)

    monkeypatch.setattr("residua.service.models.families_that_fool", slow)
    models = serve(bundles={"part": own})
    first = models["part"]
    models.start()
    recalibrate(own, blobs[:40], threshold="percentile(50)")
    models.refresh("part")
    assert first.fooled_by is models["part"].fooled_by is None
    go_on.set()
    until(lambda: models["part"].fooled_by == ("percentile(50)",))
    assert first.fooled_by == (first.manifest.threshold.rule,)


def test_closing_does_not_wait_for_the_whole_trap(
    own: Path, serve: Callable[..., ServedModels], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = serve(bundles={"part": own})["part"]
    batches: list[int] = []
    compute = model.compute

    def counted(images: NDArray[np.uint8], *, at_once: int) -> object:
        batches.append(len(images))
        return compute(images, at_once=at_once)

    monkeypatch.setattr(model, "calibration_scores", np.linspace(1e6, 2e6, 30))
    monkeypatch.setattr(model, "compute", counted)
    assert families_that_fool(model, ended=lambda: len(batches) == 2) is None
    assert len(batches) == 2
    assert families_that_fool(model) == (
        "constant",
        "gradient",
        "light line on black",
        "dark line on white",
    )


def test_few_calibration_scores_tell_nothing_of_the_trap(
    own: Path, serve: Callable[..., ServedModels], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = serve(bundles={"part": own})["part"]
    monkeypatch.setattr(model, "calibration_scores", np.linspace(1e6, 2e6, 19))
    assert families_that_fool(model) == ()
