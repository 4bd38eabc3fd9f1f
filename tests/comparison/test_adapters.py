from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from residua import AutoencoderDetector
from residua.comparison.adapters import (
    anomaly_scores,
    as_input,
    check_detector,
    is_pyod,
    pyod_detector,
    seeded,
    takes_pictures,
)
from residua.errors import ConfigurationError, MissingExtra, UnknownName


class BaseDetector:
    """Stands for PyOD's base class: told by its module and its name."""

    __module__ = "pyod.models.base"


class FromPyod(BaseDetector):
    """Higher is more abnormal, as in PyOD."""

    def fit(self, X: NDArray[Any], y: Any = None) -> FromPyod:
        self.middle_ = X.mean(0)
        return self

    def decision_function(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.linalg.norm(X - self.middle_, axis=1)


def separates(detector: Any, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]) -> bool:
    detector.fit(as_input(detector, blobs[:100, ..., None]))
    sound, odd = (anomaly_scores(detector, p[..., None]) for p in (blobs[100:], stripes))
    return bool(odd.min() > sound.max())


@pytest.mark.parametrize(
    "detector",
    [
        OneClassSVM(),
        LocalOutlierFactor(novelty=True),
        make_pipeline(StandardScaler(with_std=False), OneClassSVM()),
        FromPyod(),
    ],
    ids=["ocsvm", "lof", "pipeline", "pyod"],
)
def test_the_anomalous_score_higher_whatever_the_librarys_sign(
    detector: Any, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    assert separates(detector, blobs, stripes)


def test_pyod_is_told_by_its_class_hierarchy_without_importing_it() -> None:
    assert is_pyod(FromPyod())
    assert not is_pyod(IsolationForest())


def test_networks_take_pictures_and_others_rows_between_0_and_1(
    blobs: NDArray[np.uint8],
) -> None:
    pictures = blobs[:5, ..., None]
    assert takes_pictures(AutoencoderDetector())
    assert as_input(AutoencoderDetector(), pictures) is pictures
    rows = as_input(IsolationForest(), pictures)
    assert rows.shape == (5, 256)
    assert rows.dtype == np.float32
    assert rows.max() == pictures.max() / np.float32(255)


def test_scoring_in_blocks_gives_what_scoring_at_once_gives(
    blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = IsolationForest(random_state=0).fit(as_input(IsolationForest(), blobs[..., None]))
    whole = anomaly_scores(fitted, blobs[..., None])
    monkeypatch.setattr("residua.comparison.adapters._BLOCK", 7)
    np.testing.assert_array_equal(anomaly_scores(fitted, blobs[..., None]), whole)


def test_a_seed_goes_where_none_is_set_and_the_original_stays() -> None:
    own = make_pipeline(PCA(2, random_state=3), IsolationForest())
    fresh = seeded(own, 7)
    assert fresh["isolationforest"].random_state == 7
    assert fresh["pca"].random_state == 3
    assert own["isolationforest"].random_state is None


@pytest.mark.parametrize("wrong", [StandardScaler(), LocalOutlierFactor(), object()])
def test_what_is_no_outlier_detector_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"novelty|score_samples"):
        check_detector(wrong, "mine")


def test_a_detector_of_pyod_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyod", None)
    monkeypatch.setitem(sys.modules, "pyod.models", None)
    with pytest.raises(MissingExtra, match="pip install pyod"):
        pyod_detector("pyod:ECOD")


def test_a_detector_of_pyod_is_found_by_its_class_name(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("pyod.models.from_pyod")
    module.FromPyod = FromPyod  # type: ignore[attr-defined]
    models = types.ModuleType("pyod.models")
    models.__path__ = []
    monkeypatch.setitem(sys.modules, "pyod.models", models)
    monkeypatch.setitem(sys.modules, "pyod.models.from_pyod", module)
    monkeypatch.setattr(
        "residua.comparison.adapters.pkgutil.iter_modules",
        lambda _: [types.SimpleNamespace(name="from_pyod"), types.SimpleNamespace(name="_x")],
    )
    assert isinstance(pyod_detector("pyod:frompyod"), FromPyod)
    with pytest.raises(UnknownName, match="FROM_PYOD"):
        pyod_detector("pyod:FromPyodd")


def test_a_real_detector_of_pyod_separates(
    blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    pytest.importorskip("pyod", reason="PyOD is not installed")
    detector = pyod_detector("pyod:KNN")
    assert is_pyod(detector)
    assert separates(detector, blobs, stripes)
