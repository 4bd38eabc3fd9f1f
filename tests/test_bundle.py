from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector, BundleScorer, load
from residua.bundle import CHECKSUMS, MANIFEST, open_bundle
from residua.errors import (
    BundleAltered,
    BundleError,
    BundleIncomplete,
    BundleNotFound,
    BundleTooNew,
    NotABundle,
    OutputError,
)

FILES = ["residua.json", "weights.safetensors", "model.onnx", "calibration.npz", "SHA256SUMS"]


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy.residua"))


def sign(folder: Path) -> None:
    """Write checksums that fit, as someone who alters a bundle on purpose would."""
    names = [name for name in FILES if name != CHECKSUMS]
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (folder / CHECKSUMS).write_text("".join(lines))


def edit(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest.update(changes)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    sign(folder)


def test_a_bundle_holds_the_files_that_it_should_and_no_other(bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == sorted(FILES)


def test_the_checksums_are_those_of_sha256sum(bundle: Path) -> None:
    for line in (bundle / CHECKSUMS).read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest


def test_no_file_of_a_bundle_is_a_pickle(bundle: Path) -> None:
    for path in bundle.iterdir():
        assert not path.read_bytes().startswith(b"\x80")
    with np.load(bundle / "calibration.npz", allow_pickle=False) as arrays:
        assert arrays["scores"].dtype == np.float64


def test_the_manifest_says_how_the_model_came_about(
    bundle: Path, detector: AutoencoderDetector
) -> None:
    manifest = open_bundle(bundle).manifest
    assert manifest.schema_version == 2
    assert manifest.settings.epochs == 12
    assert manifest.data.training == 128
    assert manifest.versions["torch"]
    assert manifest.checks == detector.checks_
    assert manifest.history == detector.history_
    assert manifest.calibration_quantiles["0.5"] == np.median(detector.calibration_scores_)


def test_a_loaded_model_is_the_saved_one(
    bundle: Path, detector: AutoencoderDetector, blobs: NDArray[np.uint8]
) -> None:
    loaded = load(bundle)
    assert np.array_equal(loaded.anomaly_scores(blobs), detector.anomaly_scores(blobs))
    assert loaded.threshold_ == detector.threshold_
    assert np.array_equal(loaded.calibration_scores_, detector.calibration_scores_)
    assert loaded.input_spec_ == detector.input_spec_
    kept = {k: v for k, v in detector.get_params().items() if k != "checkpoint_dir"}
    kept["reduction"] = "mean"  # what was left to the model is decided when it is saved
    assert {k: loaded.get_params()[k] for k in kept} == kept


def test_a_loaded_model_can_be_saved_again(bundle: Path, tmp_path: Path) -> None:
    again = load(bundle).save(tmp_path / "again.residua")
    for name in ("residua.json", "weights.safetensors", "calibration.npz"):
        assert (again / name).read_bytes() == (bundle / name).read_bytes(), name


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound, match=r"no\.residua"):
        load(tmp_path / "no.residua")


def test_another_folder_or_file_is_not_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(NotABundle):
            load(path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleIncomplete, match=name.replace(".", r"\.")):
        load(copy)


@pytest.mark.parametrize("name", FILES[:-1])
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "lengthened"])
def test_an_altered_file_is_named(copy: Path, name: str, damage: str) -> None:
    path = copy / name
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    changed = {"cut": content[: len(content) // 2], "emptied": b"", "lengthened": content + b" "}
    path.write_bytes(bytes(changed.get(damage, content)))
    with pytest.raises(BundleError, match=name.replace(".", r"\.")) as caught:
        load(copy)
    assert isinstance(caught.value, BundleAltered)


def test_a_bundle_of_a_later_schema_is_refused_with_the_way_out(copy: Path) -> None:
    edit(copy, schema_version=3, a_field_of_the_future=1)
    with pytest.raises(BundleTooNew, match=r"schema version 3.*pip install"):
        load(copy)


@pytest.mark.parametrize("version", [0, -1, "1", None, 1.5, True])
def test_a_schema_version_that_is_none_is_refused(copy: Path, version: object) -> None:
    edit(copy, schema_version=version)
    with pytest.raises(NotABundle, match="schema version"):
        load(copy)


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": "onnx"}', "null"])
def test_a_manifest_of_another_kind_is_refused(copy: Path, content: str) -> None:
    (copy / MANIFEST).write_text(content)
    sign(copy)
    with pytest.raises(NotABundle):
        load(copy)


def test_a_wrong_field_is_named_with_its_place(copy: Path) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    edit(copy, input={**manifest["input"], "height": -3})
    with pytest.raises(NotABundle, match=r"input\.height"):
        load(copy)


def test_weights_of_another_network_are_refused(copy: Path, tmp_path: Path) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    edit(copy, model={**manifest["model"], "latent_dim": 3})
    with pytest.raises(BundleAltered, match="does not fit 'conv'"):
        load(copy)


def test_a_signed_file_that_is_no_onnx_is_refused(copy: Path) -> None:
    (copy / "model.onnx").write_bytes(b"not a graph")
    sign(copy)
    scorer = BundleScorer(copy)
    with pytest.raises(BundleError, match="ONNX Runtime cannot use"):
        scorer.anomaly_scores(np.zeros((2, 16, 16), np.uint8))


def test_signed_calibration_scores_that_are_a_pickle_are_refused(copy: Path) -> None:
    np.savez(copy / "calibration.npz", scores=np.array([{"a": 1}], dtype=object))
    sign(copy)
    with pytest.raises(BundleError, match=r"calibration\.npz"):
        load(copy)


def test_saving_replaces_a_bundle_of_that_name(detector: AutoencoderDetector, copy: Path) -> None:
    (copy / "model.onnx").write_bytes(b"old")
    detector.save(copy)
    assert open_bundle(copy)
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_saving_does_not_replace_what_is_no_bundle(
    detector: AutoencoderDetector, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "data").write_text("x")
    with pytest.raises(OutputError, match="not a Residua bundle"):
        detector.save(tmp_path / "precious")
    assert (tmp_path / "precious" / "data").read_text() == "x"


def test_saving_to_a_missing_folder_says_so(detector: AutoencoderDetector, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="mkdir"):
        detector.save(tmp_path / "no" / "x.residua")


def test_a_read_only_folder_is_an_error_of_its_own(
    detector: AutoencoderDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("residua.writing.tempfile.TemporaryFile", read_only)
    with pytest.raises(OutputError, match="Read-only file system"):
        detector.save(tmp_path / "x.residua")


@pytest.mark.parametrize("existing", [False, True])
def test_a_disk_that_fills_up_leaves_nothing_half_written(
    detector: AutoencoderDetector,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    existing: bool,
) -> None:
    target = copy if existing else copy.with_name("new.residua")
    before = {path: path.read_bytes() for path in copy.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OutputError, match="No space left"):
        detector.save(target)
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    assert {path: path.read_bytes() for path in copy.iterdir()} == before


def test_a_link_in_the_bundles_place_is_not_followed(
    detector: AutoencoderDetector, tmp_path: Path
) -> None:
    (tmp_path / "link.residua").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError):
        detector.save(tmp_path / "link.residua")


def test_a_bundle_is_readable_for_others_as_the_mask_allows(
    detector: AutoencoderDetector, tmp_path: Path
) -> None:
    before = os.umask(0o022)
    try:
        made = detector.save(tmp_path / "m.residua")
    finally:
        os.umask(before)
    assert made.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in made.iterdir()} == {0o644}


def test_a_bundle_that_may_not_be_read_is_an_error_of_its_own(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(BundleError, match=r"Permission denied.*readable for this user"):
        load(copy)


def test_a_name_too_long_for_the_file_system_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        load(tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    "scores",
    [
        np.array(["high", "low"]),
        np.arange(30),
        np.zeros((30, 1)),
        np.empty(0),
        np.array([0.5, np.nan]),
        np.array([0.5, np.inf]),
    ],
    ids=["text", "whole numbers", "a table", "none", "NaN", "infinite"],
)
def test_what_are_no_calibration_scores_is_refused(copy: Path, scores: NDArray[Any]) -> None:
    np.savez(copy / "calibration.npz", scores=scores)
    sign(copy)
    with pytest.raises(BundleAltered, match=r"calibration\.npz holds"):
        open_bundle(copy).calibration_scores()


def _without_archive(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.arange(3.0))


def _damaged_stream(path: Path) -> None:
    np.savez_compressed(path, scores=np.random.default_rng(0).random(2_000))
    content = bytearray(path.read_bytes())
    content[1_000:1_400] = bytes(400)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.write_bytes(b""), _without_archive, _damaged_stream],
    ids=["empty", "no archive", "damaged stream"],
)
def test_a_damaged_file_of_calibration_scores_is_refused(
    copy: Path, damage: Callable[[Path], object]
) -> None:
    damage(copy / "calibration.npz")
    sign(copy)
    with pytest.raises(BundleAltered, match="holds no calibration scores"):
        open_bundle(copy).calibration_scores()
