from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from residua import AutoencoderDetector, BundleScorer, load
from residua.bundle import MANIFEST, open_bundle
from residua.errors import (
    BundleAltered,
    ConfigurationError,
    InputError,
    NoSpread,
    OutputError,
    SkippedImages,
    TooFewForThreshold,
    TooFewImages,
)
from residua.images.source import EncodedSource
from residua.manifest import Manifest
from residua.recalibration import plan_recalibration, recalibrate
from residua.report.recipe import recipe_of
from residua.summary import facts

COPIED = ("weights.safetensors", "model.onnx")


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy.residua"))


@pytest.fixture(scope="module")
def dimmer(blobs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same spots under less light: normal pictures that the old threshold does not know."""
    return (np.concatenate([blobs, blobs[:, ::-1]]) * 0.8).astype(np.uint8)


def test_threshold_and_calibration_rest_on_the_new_pictures_alone(
    copy: Path, dimmer: NDArray[np.uint8]
) -> None:
    before = open_bundle(copy).manifest
    scores = np.array([verdict.score for verdict in BundleScorer(copy).verdicts(dimmer)])
    found = recalibrate(copy, dimmer)
    after = BundleScorer(copy)
    assert sorted(after.calibration_scores) == sorted(scores)
    assert after.manifest.threshold == found.threshold
    assert found.threshold.rule == "conformal(0.01)"
    assert found.threshold.n_normal == 320
    assert found.threshold.upper == np.sort(scores)[318 - 1]
    assert after.manifest.calibration_quantiles["0.5"] == np.median(scores)
    assert after.manifest.map_ceiling != before.map_ceiling
    assert found.previous == before.threshold
    assert found.previously_flagged == (scores > before.threshold.upper).sum()
    assert (found.previous_promised_rate, found.promised_rate) == (0.0589, 0.01)
    # The limit itself is the third highest.
    assert found.flagged == 2


def test_the_network_is_the_same_byte_for_byte(
    bundle: Path, copy: Path, dimmer: NDArray[np.uint8]
) -> None:
    recalibrate(copy, dimmer)
    for name in COPIED:
        assert (copy / name).read_bytes() == (bundle / name).read_bytes()


def test_the_heat_maps_scale_is_that_of_the_new_maps(copy: Path, dimmer: NDArray[np.uint8]) -> None:
    maps = BundleScorer(copy).score_batch(dimmer[:256, ..., None]).error_maps
    recalibrate(copy, dimmer)
    ceiling = open_bundle(copy).manifest.map_ceiling
    assert ceiling == pytest.approx(np.quantile(maps, 0.999), rel=1e-5)


def test_the_manifest_says_what_was_done(copy: Path, dimmer: NDArray[np.uint8]) -> None:
    before = open_bundle(copy).manifest.threshold
    recalibrate(copy, dimmer)
    manifest = open_bundle(copy).manifest
    record = manifest.recalibrated
    assert record is not None
    assert record.previous_threshold == before
    assert (record.pictures, record.anomalous, record.skipped) == (320, None, 0)
    assert len(record.fingerprint) == 64
    assert f"on 320 pictures ({record.source})" in facts(manifest)["recalibrated"]
    commands = recipe_of(manifest, bundle=copy).command
    again = "residua recalibrate copy.residua NORMAL_PICTURES --threshold 'conformal(0.01)'"
    assert commands.index("residua fit") < commands.index(again) < commands.index("residua report")


def test_a_recalibrated_model_is_loaded_and_saved_again(
    copy: Path, dimmer: NDArray[np.uint8], tmp_path: Path
) -> None:
    recalibrate(copy, dimmer)
    loaded = load(copy)
    assert loaded.threshold_ == open_bundle(copy).manifest.threshold
    assert len(loaded.calibration_scores_) == 320
    assert open_bundle(loaded.save(tmp_path / "again.residua")).manifest.recalibrated is not None


def test_the_old_model_stays_where_another_is_named(
    copy: Path, bundle: Path, dimmer: NDArray[np.uint8], tmp_path: Path
) -> None:
    found = recalibrate(copy, dimmer, output=tmp_path / "new.residua")
    assert found.path == str(tmp_path / "new.residua")
    for file in bundle.iterdir():
        assert (copy / file.name).read_bytes() == file.read_bytes()


def test_a_link_to_a_bundle_stays_one(
    copy: Path, dimmer: NDArray[np.uint8], tmp_path: Path
) -> None:
    link = tmp_path / "link.residua"
    link.symlink_to(copy)
    recalibrate(link, dimmer)
    assert link.is_symlink()
    assert open_bundle(copy).manifest.recalibrated is not None


def test_a_disk_that_fills_up_leaves_the_old_bundle(
    copy: Path, bundle: Path, dimmer: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        recalibrate(copy, dimmer)
    assert sorted(path.name for path in copy.parent.iterdir()) == ["copy.residua"]
    assert (copy / MANIFEST).read_bytes() == (bundle / MANIFEST).read_bytes()


@pytest.mark.parametrize("rule", ["best_f1", "youden"])
def test_a_labelled_rule_sets_a_limit_between_the_kinds(
    rule: str, copy: Path, dimmer: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    found = recalibrate(copy, dimmer, threshold=rule, anomalous=stripes)
    scorer = BundleScorer(copy)
    assert (found.threshold.rule, found.threshold.n_anomalous) == (rule, 20)
    assert found.promised_rate is None
    assert all(verdict.anomalous for verdict in scorer.verdicts(stripes))
    assert len(scorer.calibration_scores) == 320
    assert "and 20 labelled anomalies" in facts(scorer.manifest)["threshold"]


@pytest.mark.parametrize(
    ("rule", "anomalous", "said"),
    [("best_f1", False, "--anomalous FOLDER"), ("mad(3)", True, "choose best_f1 or youden")],
)
def test_anomalies_that_are_missing_or_not_wanted_are_refused(
    rule: str, anomalous: bool, said: str, copy: Path, stripes: NDArray[np.uint8]
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        recalibrate(copy, stripes, threshold=rule, anomalous=stripes if anomalous else None)


def test_the_pictures_of_the_fit_are_refused(copy: Path, blobs: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="that the network was fitted on"):
        recalibrate(copy, blobs)


def test_too_few_pictures_are_refused_with_the_number_needed(
    copy: Path, dimmer: NDArray[np.uint8]
) -> None:
    with pytest.raises(TooFewImages, match=r"at least 99 .* has 98"):
        recalibrate(copy, dimmer[:98], threshold="conformal(0.01)")
    with pytest.raises(TooFewImages, match="at least 2"):
        recalibrate(copy, dimmer[:1])


def test_a_weaker_promise_than_that_of_the_default_is_a_warning(
    copy: Path, dimmer: NDArray[np.uint8]
) -> None:
    with pytest.warns(TooFewForThreshold, match=r"99 would give 1%. Recalibrate on more"):
        found = recalibrate(copy, dimmer[:50])
    assert found.promised_rate == 0.0197


def test_identical_pictures_are_a_warning(copy: Path, dimmer: NDArray[np.uint8]) -> None:
    with pytest.warns(NoSpread, match="all 120 calibration scores"):
        recalibrate(copy, np.repeat(dimmer[:1], 120, axis=0))


def test_unreadable_pictures_are_left_out_and_counted(
    copy: Path, dimmer: NDArray[np.uint8], tmp_path: Path
) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    for number, image in enumerate(dimmer[:110]):
        Image.fromarray(image).save(folder / f"{number:03}.png")
    (folder / "050.png").write_bytes(b"")
    with pytest.warns(SkippedImages, match=r"1 unreadable pictures .*050\.png"):
        found = recalibrate(copy, folder)
    assert (found.pictures, found.skipped) == (109, 1)
    record = open_bundle(copy).manifest.recalibrated
    assert record is not None
    assert record.source == str(folder)


def test_the_rule_of_the_fit_is_the_default(
    copy: Path, detector: AutoencoderDetector, dimmer: NDArray[np.uint8], tmp_path: Path
) -> None:
    manifest = detector.manifest_
    settings = manifest.settings.model_copy(update={"threshold": "mad(4)"})
    other = AutoencoderDetector()
    other.__dict__.update(vars(detector))
    other.manifest_ = manifest.model_copy(update={"settings": settings})
    assert recalibrate(other.save(tmp_path / "m.residua"), dimmer).threshold.rule == "mad(4)"


def test_a_manifest_from_before_recalibration_is_read(bundle: Path) -> None:
    old = json.loads((bundle / MANIFEST).read_text())
    del old["recalibrated"], old["threshold"]["n_anomalous"]
    assert Manifest.model_validate(old) == open_bundle(bundle).manifest


def test_a_plan_writes_nothing_and_then_just_what_it_said(
    copy: Path, bundle: Path, dimmer: NDArray[np.uint8], tmp_path: Path
) -> None:
    plan = plan_recalibration(copy, dimmer)
    assert [path.name for path in copy.parent.iterdir()] == ["copy.residua"]
    for file in bundle.iterdir():
        assert (copy / file.name).read_bytes() == file.read_bytes()
    done = recalibrate(copy, dimmer, output=tmp_path / "other.residua")
    assert plan.changes.path is None
    assert plan.changes == done.model_copy(update={"path": None})
    written = plan.write()
    assert written.path == str(copy)
    assert open_bundle(copy).manifest == plan.manifest
    assert np.array_equal(BundleScorer(copy).calibration_scores, plan.calibration_scores)
    one, other = (open_bundle(path).manifest for path in (copy, tmp_path / "other.residua"))
    assert one.threshold == other.threshold
    assert one.map_ceiling == other.map_ceiling


def test_a_plan_warns_of_nothing_and_holds_what_recalibrating_warns_of(
    copy: Path, dimmer: NDArray[np.uint8], tmp_path: Path
) -> None:
    contents = [_png(image) for image in dimmer[:50]]
    contents[7] = b""
    source = EncodedSource(contents.__getitem__, 50, ids=[f"p{number}" for number in range(50)])
    plan = plan_recalibration(copy, source)  # a warning would be an error here
    assert [type(warning) for warning in plan.warned] == [TooFewForThreshold, SkippedImages]
    assert "1 unreadable pictures are left out. p7: " in plan.warnings[1]
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        recalibrate(copy, source, output=tmp_path / "other.residua")
    assert [str(warning.message) for warning in given] == plan.warnings
    assert {warning.filename for warning in given} == {__file__}
    flat = plan_recalibration(copy, np.repeat(dimmer[:1], 120, axis=0))
    assert [type(warning) for warning in flat.warned] == [NoSpread]


def test_pictures_of_a_database_are_planned_with_as_those_of_files(
    copy: Path, dimmer: NDArray[np.uint8]
) -> None:
    contents = [_png(image) for image in dimmer]
    source = EncodedSource(contents.__getitem__, len(contents))
    plan = plan_recalibration(copy, source, called="reviewed pictures")
    record = plan.manifest.recalibrated
    assert record is not None
    assert record.source == "reviewed pictures"
    of_array = plan_recalibration(copy, dimmer)
    assert plan.changes == of_array.changes
    assert np.array_equal(plan.calibration_scores, of_array.calibration_scores)


def test_a_plan_for_a_model_that_was_replaced_since_is_refused(
    copy: Path, dimmer: NDArray[np.uint8]
) -> None:
    plan = plan_recalibration(copy, dimmer)
    recalibrate(copy, dimmer[:200])
    now = open_bundle(copy).manifest
    with pytest.raises(BundleAltered, match=r"replaced since .*plan it again"):
        plan.write()
    assert open_bundle(copy).manifest == now


def test_a_plan_refuses_what_recalibrating_refuses(
    copy: Path, blobs: NDArray[np.uint8], dimmer: NDArray[np.uint8]
) -> None:
    with pytest.raises(InputError, match="trusted ones holds the pictures that the network was"):
        plan_recalibration(copy, blobs, called="trusted ones")
    with pytest.raises(ConfigurationError, match="--anomalous FOLDER"):
        plan_recalibration(copy, dimmer, threshold="youden")
    with pytest.raises(TooFewImages, match=r"at least 99 .* has 98"):
        plan_recalibration(copy, dimmer[:98], threshold="conformal(0.01)")


def _png(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def test_it_takes_no_training_package(copy: Path) -> None:
    program = (
        "import sys, numpy as np\n"
        "from residua.recalibration import recalibrate\n"
        "pictures = np.random.default_rng(0).integers(0, 256, (120, 16, 16), np.uint8)\n"
        f"recalibrate({str(copy)!r}, pictures)\n"
        f"recalibrate({str(copy)!r}, pictures // 2, threshold='youden', anomalous=pictures)\n"
        f"recalibrate({str(copy)!r}, pictures, threshold='tail(1e-4)')\n"
        "heavy = {'torch', 'lightning', 'sklearn', 'scipy', 'safetensors', 'onnx', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_a_plan_is_computed_by_the_engine_that_is_asked_for(
    copy: Path, dimmer: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[BundleScorer] = []

    class Noted(BundleScorer):
        def __init__(self, path: Path, **options: Any) -> None:
            super().__init__(path, **options)
            opened.append(self)

    monkeypatch.setattr("residua.recalibration.BundleScorer", Noted)
    plan_recalibration(copy, dimmer[:40], engine="torch", threads=1)
    (scorer,) = opened
    assert scorer.engine is not None
    assert (scorer.engine.name, scorer.threads) == ("torch", 1)
    with pytest.raises(ConfigurationError, match="bf16"):
        plan_recalibration(copy, dimmer[:40], engine="onnxruntime", precision="bf16")
