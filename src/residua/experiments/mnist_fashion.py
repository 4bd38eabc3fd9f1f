"""MNIST as normal, Fashion-MNIST as anomalous: the first source report's experiment.

Protocol: an autoencoder is fitted on the 60,000 training digits, less a validation part that
chooses the best epoch and a calibration part that fits the threshold. It is measured on the
10,000 test digits (false-positive rate) and on the 10,000 test pictures of Fashion-MNIST
(flagged share, the report's "accuracy").
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from residua.experiments.experiment import Experiment, Judged, Study
from residua.experiments.record import Claim, Contradiction, ExperimentReport
from residua.images import datasets
from residua.images.joined import JoinedSource
from residua.images.source import ImageSource

if TYPE_CHECKING:
    from residua.evaluation.scored import ScoredSet
    from residua.report.figures import ErrorHistogramDisplay
    from residua.report.sections import Section

NAMES = ("mnist", "fashion-mnist")
QUICK_TRAINING, QUICK_TEST = 6_000, 1_000

MEAN, STANDARD_DEVIATION = 0.1297, 0.0470
UPPER, LOWER = 0.2237, 0.0357
ACCURACY = 0.981


class MnistFashion(Experiment):
    """The first report's protocol, with its own network and with Residua's default."""

    name = "mnist-fashion"
    title = "MNIST normal, Fashion-MNIST anomalous"
    claims = (
        Claim(measure="mean", title="mean error of held-out normal pictures", value=MEAN),
        Claim(measure="std", title="their standard deviation", value=STANDARD_DEVIATION),
        Claim(measure="upper", title="upper limit", value=UPPER),
        Claim(measure="lower", title="lower limit", value=LOWER, required=False),
        Claim(measure="mean_anomalous", title="mean error of Fashion-MNIST", value=None),
        Claim(
            measure="flagged",
            title="Fashion-MNIST flagged (accuracy)",
            value=ACCURACY,
            form=".2%",
        ),
        Claim(
            measure="false_positive_rate",
            title="MNIST test flagged (false)",
            value=None,
            form=".2%",
        ),
        Claim(measure="auroc", title="AUROC", value=None, form=".5f"),
        Claim(measure="epochs", title="epochs", value=25, form=".0f"),
        Claim(measure="fit_seconds", title="time to fit, s", value=None, form=".0f"),
    )
    recipes = MappingProxyType(
        {
            "seed-mnist": MappingProxyType(
                {
                    "model": "seed-mnist",
                    "loss": "bce",
                    "error_map": "bce",
                    "scoring": "error",
                    "threshold": "zscore(3, two_sided=True)",
                    "learning_rate": 1e-3,
                    "schedule": "constant",
                    "epochs": 25,
                    "batch_size": 128,
                }
            ),
            "conv": MappingProxyType(
                {
                    "model": "conv",
                    "latent_dim": 32,
                    "error_map": "squared",
                    "scoring": "error",
                    # 0.8 %, since 6,000 calibration pictures set it with a standard error of
                    # 0.12 percentage points, and at most 1 % is wanted.
                    "threshold": "percentile(99.2)",
                    "epochs": 25,
                    "batch_size": 128,
                }
            ),
        }
    )
    quick_settings = MappingProxyType({"epochs": 4})
    featured = "seed-mnist"
    descriptions = MappingProxyType(
        {
            "seed-mnist": "the report's network, cross-entropy, mean ± 3 sd",
            "conv": "the default network with a code of 32, squared error, 99.2nd percentile",
        }
    )

    def trusted(self, seed: int, *, quick: bool) -> ImageSource:
        """Return the 60,000 training digits; 6,000 of them in a quick run."""
        digits = datasets.load_dataset("mnist", "train")
        return digits.take(np.arange(QUICK_TRAINING)) if quick else digits

    def test(self, seed: int, *, quick: bool) -> Judged:
        """Return the 10,000 test pictures of each set; 1,000 in a quick run."""
        parts = [datasets.load_dataset(name, "test") for name in NAMES]
        if quick:
            parts = [part.take(np.arange(QUICK_TEST)) for part in parts]
        truth = np.repeat([False, True], [len(part) for part in parts])
        return Judged(JoinedSource(parts, names=NAMES), truth)

    def measure(self, scored: ScoredSet) -> dict[str, float]:
        """Return each claim's figure."""
        from sklearn.metrics import roc_auc_score

        limits, truth = scored.threshold, scored.anomalous
        assert truth is not None
        measured = {
            "mean": limits.normal_mean,
            "std": limits.normal_std,
            "upper": limits.upper,
            "flagged": float(scored.flagged[truth].mean()),
            "false_positive_rate": float(scored.flagged[~truth].mean()),
            "auroc": float(roc_auc_score(truth, scored.scores)),
            "mean_anomalous": float(scored.scores[truth].mean()),
        }
        if limits.lower is not None:
            measured["lower"] = limits.lower
        return measured

    def contradictions(self) -> list[Contradiction]:
        """Return what the report's own figures say against each other."""
        high, low = MEAN + 3 * STANDARD_DEVIATION, MEAN - 3 * STANDARD_DEVIATION
        reach = (UPPER - MEAN) / STANDARD_DEVIATION
        return [
            Contradiction(
                title=f"limits of {UPPER} and {LOWER} are called mean ± 3 standard deviations",
                arithmetic=(
                    f"{MEAN} ± 3 × {STANDARD_DEVIATION:.4f} is {high:.4f} and {low:.4f}; the "
                    f"limits printed lie {reach:.1f} standard deviations from the mean"
                ),
            ),
            Contradiction(
                title="a lower limit on an error that cannot be negative",
                arithmetic=f"mean - 3 standard deviations is {low:.4f}: it can flag nothing",
            ),
            Contradiction(
                title="the formula given for the standard deviation",
                arithmetic=(
                    "it sums the squared deviations and does not divide by n; with 10,000 "
                    "pictures it would give 100 times the figure printed"
                ),
            ),
        ]

    def sections(self, studies: Mapping[str, Study], report: ExperimentReport) -> list[Section]:
        """Return the report's figure of all errors under a normal curve, for each recipe."""
        from residua.report.sections import Section, figure_or_reason

        blocks = [
            figure_or_reason(
                f"errors-{recipe}",
                f"Reconstruction errors, {recipe}",
                _how_to_read(study.scored),
                partial(_normal_curve, study.scored),
            )
            for recipe, study in studies.items()
        ]
        return [
            Section(
                anchor="errors-of-each",
                title="The normal curve and its limits",
                intro="The report fits a normal curve to the errors and flags what lies outside "
                "its limits: beyond three standard deviations to both sides lie 0.27 % of a normal "
                "distribution. Errors are none; each figure says how many pictures lie outside.",
                blocks=blocks,
            )
        ]


def _normal_curve(scored: ScoredSet) -> ErrorHistogramDisplay:
    from residua.report.figures import ErrorHistogramDisplay

    limits = [("upper limit", scored.threshold.upper)]
    if scored.threshold.lower is not None:
        limits.append(("lower limit", scored.threshold.lower))
    truth = scored.anomalous
    assert truth is not None
    return ErrorHistogramDisplay.from_predictions(
        scored.scores[~truth],
        anomalous_scores=scored.scores[truth],
        limits=limits,
        score=scored.manifest.settings.score,
    ).plot()


def _how_to_read(scored: ScoredSet) -> str:
    assert scored.anomalous is not None
    beyond = float(scored.flagged[~scored.anomalous].mean())
    return (
        f"Bars are pictures, the line is the normal curve of the normal ones' mean and standard "
        f"deviation. Beyond the limits lie {beyond:.2%} of the normal pictures and "
        f"{float(scored.flagged[scored.anomalous].mean()):.2%} of the anomalous ones."
    )


EXPERIMENT = MnistFashion()
