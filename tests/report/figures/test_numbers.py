"""The numbers behind each figure, and the sets that give little to draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from residua import AutoencoderDetector
from residua.errors import InputError
from residua.report import figures
from residua.report.figures.lettering import shortened

RNG = np.random.default_rng(0)
TRUTH = RNG.random(200) < 0.3
SCORES = RNG.gamma(3, 0.002, 200) + 0.003 * TRUTH


def test_the_roc_is_scikit_learns() -> None:
    data = figures.ROCDisplay.from_predictions(TRUTH, SCORES).data()
    fpr, tpr, cutoffs = roc_curve(TRUTH, SCORES, drop_intermediate=False)
    assert set(zip(data["fpr"], data["tpr"], strict=True)) <= set(zip(fpr, tpr, strict=True))
    np.testing.assert_allclose(np.trapezoid(data["tpr"], data["fpr"]), np.trapezoid(tpr, fpr))
    assert max(s for s in data["score"] if s is not None and np.isfinite(s)) == cutoffs[1]


def test_precision_and_recall_are_scikit_learns() -> None:
    data = figures.PrecisionRecallDisplay.from_predictions(TRUTH, SCORES).data()
    precision, recall, _ = precision_recall_curve(TRUTH, SCORES)
    np.testing.assert_allclose(data["precision"], precision)
    np.testing.assert_allclose(data["recall"], recall)


def test_the_confusion_is_scikit_learns() -> None:
    flagged = SCORES > 0.008
    data = figures.ConfusionDisplay.from_predictions(TRUTH, flagged).data()
    assert data["count"] == confusion_matrix(TRUTH, flagged).ravel().tolist()
    assert data["share"][0] + data["share"][1] == pytest.approx(1)


def test_the_histogram_counts_every_picture_and_its_curve_expects_as_many() -> None:
    normal = SCORES[~TRUTH]
    data = figures.ErrorHistogramDisplay.from_predictions(
        normal, anomalous_scores=SCORES[TRUTH], limits=[("upper", 0.02)]
    ).data()
    assert sum(data["normal"]) == len(normal)
    assert sum(data["anomalous"]) == TRUTH.sum()
    curve = norm(normal.mean(), normal.std(ddof=1))
    for low, high, expected in zip(data["low"], data["high"], data["expected"], strict=True):
        assert expected == pytest.approx(len(normal) * (curve.cdf(high) - curve.cdf(low)))


def test_each_density_has_an_area_of_one() -> None:
    data = figures.ErrorDensityDisplay.from_predictions(SCORES, TRUTH, thresholds={}).data()
    for name in ("all", "normal", "anomalous"):
        assert np.trapezoid(data[name], data["score"]) == pytest.approx(1, abs=0.02)


def test_sorted_errors_rise_and_keep_their_pictures() -> None:
    data = figures.SortedErrorsDisplay.from_predictions(
        SCORES, threshold=0.008, anomalous=TRUTH
    ).data()
    assert data["score"] == sorted(SCORES.tolist())
    assert [SCORES[i] for i in data["picture"]] == data["score"]
    assert data["anomalous"] == TRUTH[data["picture"]].tolist()
    assert data["flagged"] == [score > 0.008 for score in data["score"]]


def test_scores_below_a_lower_limit_are_flagged_too() -> None:
    display = figures.SortedErrorsDisplay.from_predictions(SCORES, threshold=0.008, lower=0.002)
    data = display.plot().data()
    assert data["flagged"] == [not 0.002 <= score <= 0.008 for score in data["score"]]
    assert "outside the limits" in display.title


def test_pictures_of_unknown_truth_are_not_called_anomalous() -> None:
    display = figures.ErrorHistogramDisplay.from_predictions(
        SCORES[:50], anomalous_scores=SCORES[50:], other="scored"
    )
    assert "150 scored" in display.title
    assert "anomalous" not in display.data()
    assert "anomalous" not in display.plot().svg()


def test_the_projections_plane_is_that_of_the_normal_codes() -> None:
    codes = RNG.normal(size=(200, 5)) * [5, 3, 1, 1, 1] + 9.0 * TRUTH[:, None]
    data = figures.ProjectionDisplay.from_predictions(codes, TRUTH, title="Codes").data()
    own = PCA(2).fit(codes[~TRUTH]).transform(codes)
    np.testing.assert_allclose(np.abs(data["component_1"]), np.abs(own[:, 0]), rtol=1e-4, atol=1e-4)


def test_differences_come_by_falling_error() -> None:
    images = RNG.integers(0, 256, (9, 8, 8, 1), dtype=np.uint8)
    display = figures.DifferencesDisplay.from_predictions(
        images, images / np.float32(255), SCORES[:9], n=4
    )
    assert display.data()["score"] == sorted(SCORES[:9].tolist(), reverse=True)[:4]


def test_a_fitted_detector_is_enough(detector: AutoencoderDetector, blobs: Any) -> None:
    curves = figures.LearningCurvesDisplay.from_estimator(detector).plot()
    assert curves.data()["epoch"] == [record.epoch for record in detector.history_]
    figures.ReconstructionsDisplay.from_estimator(detector, blobs[:5], n=3).plot()


ONE = np.zeros((1, 8, 8, 1), np.uint8)
REBUILT = ONE.astype(np.float32)
NONE_ANOMALOUS = np.zeros(200, bool)


@pytest.mark.parametrize(
    "make",
    [
        lambda: figures.ErrorDensityDisplay.from_predictions(
            np.full(5, 0.1), NONE_ANOMALOUS[:5], thresholds={"t": 0.1}
        ),
        lambda: figures.ErrorDensityDisplay.from_predictions(
            SCORES[:1], NONE_ANOMALOUS[:1], thresholds={}
        ),
        lambda: figures.ErrorHistogramDisplay.from_predictions(np.zeros(4), limits=[("t", 0.0)]),
        lambda: figures.ErrorHistogramDisplay.from_predictions(SCORES[:1], limits=[]),
        lambda: figures.SortedErrorsDisplay.from_predictions(np.zeros(3), threshold=1.0),
        lambda: figures.ConfusionDisplay.from_predictions(NONE_ANOMALOUS, NONE_ANOMALOUS),
        lambda: figures.ProjectionDisplay.from_predictions(
            np.ones((1, 1)), NONE_ANOMALOUS[:1], title="Codes"
        ),
        lambda: figures.ProjectionDisplay.from_predictions(np.ones((4, 3)), title="Codes"),
        lambda: figures.DifferencesDisplay.from_predictions(ONE, REBUILT, SCORES[:1]),
        lambda: figures.ReconstructionsDisplay.from_predictions(ONE, REBUILT),
        lambda: figures.ClassOverviewDisplay.from_predictions(ONE, ["only"]),
        lambda: figures.HeatmapOverlayDisplay.from_predictions(
            ONE, np.zeros((1, 8, 8)), ceiling=1e-9
        ),
        lambda: figures.LeaderboardDisplay.from_results([("only", 0.5, 0.5, 0.5)]),
        lambda: figures.ModelComparisonDisplay.from_results(["only"], [0.0], [1.0]),
    ],
)
def test_little_to_draw_is_drawn_without_a_warning(make: Any) -> None:
    assert make().plot().svg().startswith("<svg")


@pytest.mark.parametrize(
    "make",
    [
        lambda: figures.ROCDisplay.from_predictions(NONE_ANOMALOUS, SCORES),
        lambda: figures.PrecisionRecallDisplay.from_predictions(NONE_ANOMALOUS, SCORES),
        lambda: figures.PrecisionRecallDisplay.from_predictions(~NONE_ANOMALOUS, SCORES),
    ],
)
def test_a_curve_of_one_kind_alone_is_refused(make: Any) -> None:
    with pytest.raises(InputError, match=r"normal|anomalous"):
        make()


def test_a_path_is_shortened_to_its_last_name_and_a_word_to_its_beginning() -> None:
    assert shortened("incoming/monday/0001.png", 0.8) == "…/0001.png"
    assert shortened("a_rather_long_class_name", 0.8).startswith("a_rath")
    assert shortened("short", 0.8) == "short"


FIGURES_OF_SCORES = [
    lambda **score: figures.ErrorDensityDisplay.from_predictions(SCORES, **score),
    lambda **score: figures.ErrorHistogramDisplay.from_predictions(SCORES, limits=[], **score),
    lambda **score: figures.SortedErrorsDisplay.from_predictions(SCORES, threshold=0.01, **score),
]


@pytest.mark.parametrize("make", FIGURES_OF_SCORES)
def test_the_axis_says_which_score_it_is(make: Any) -> None:
    assert "standard deviations of surprise" in make(score="surprise").plot().svg()
    assert "reconstruction error" in make(score="error").plot().svg()
    unknown = make().plot().svg()
    assert "anomaly score" in unknown
    assert "anomaly score (" not in unknown


def test_a_score_that_is_a_logarithm_already_has_no_logarithmic_axis() -> None:
    wide = np.geomspace(1e-3, 10, 50)
    assert figures.ErrorDensityDisplay.from_predictions(wide, score="error").log
    assert not figures.ErrorDensityDisplay.from_predictions(wide, score="surprise").log
    assert figures.ErrorHistogramDisplay.from_predictions(wide, limits=[], score="error").log
    assert not figures.ErrorHistogramDisplay.from_predictions(wide, limits=[], score="surprise").log


@pytest.mark.parametrize("score", ["surprise", None])
def test_negative_scores_and_limits_are_drawn(score: str | None) -> None:
    values = RNG.normal(size=80)
    for display in (
        figures.ErrorDensityDisplay.from_predictions(
            values, values > 1, thresholds={"t": -0.5}, score=score
        ),
        figures.ErrorHistogramDisplay.from_predictions(values, limits=[("t", -0.5)], score=score),
        figures.SortedErrorsDisplay.from_predictions(values, threshold=-0.5, score=score),
    ):
        assert "−0.5" in display.plot().svg()
