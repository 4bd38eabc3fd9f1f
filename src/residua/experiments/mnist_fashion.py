"""MNIST as normal, Fashion-MNIST as anomalous: the first source report's experiment.

Protocol: an autoencoder is fitted on the 60,000 training digits, less a validation part that
chooses the best epoch and a calibration part that fits the threshold. It is measured on the
10,000 test digits (false-positive rate) and on the 10,000 test pictures of Fashion-MNIST
(flagged share, the report's "accuracy").
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from residua.experiments.record import Claim, Contradiction, Experiment

if TYPE_CHECKING:
    from rich.console import Console

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
        Claim(measure="lower", title="lower limit", value=LOWER),
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
                    # 0.8 %, since 6,000 calibration pictures set it with a standard error of
                    # 0.12 percentage points, and at most 1 % is wanted.
                    "threshold": "percentile(99.2)",
                    "epochs": 25,
                    "batch_size": 128,
                }
            ),
        }
    )
    descriptions = MappingProxyType(
        {
            "seed-mnist": "the report's network, cross-entropy, mean ± 3 sd",
            "conv": "the default, code of 32, squared error, 99.2nd percentile",
        }
    )

    def measure(
        self, settings: Mapping[str, Any], *, folder: Path, console: Console | None
    ) -> dict[str, float]:
        """Fit on MNIST, measure on both test sets; the model is saved in ``folder``."""
        import time

        from sklearn.metrics import roc_auc_score

        from residua.detector import AutoencoderDetector
        from residua.images.datasets import load_dataset

        detector = AutoencoderDetector(**settings, verbose=int(console is not None))
        normal, anomalous = (load_dataset(n, "test") for n in ("mnist", "fashion-mnist"))
        started = time.perf_counter()
        detector.fit(load_dataset("mnist", "train"))
        seconds = time.perf_counter() - started
        detector.save(folder / "model.residua")
        scores = [detector.anomaly_scores(source) for source in (normal, anomalous)]
        false, true = (detector.threshold_.is_anomalous(part).mean() for part in scores)
        truth = np.repeat([0, 1], [len(part) for part in scores])
        limits = detector.threshold_
        measured = {
            "mean": limits.normal_mean,
            "std": limits.normal_std,
            "upper": limits.upper,
            "flagged": float(true),
            "false_positive_rate": float(false),
            "auroc": float(roc_auc_score(truth, np.concatenate(scores))),
            "mean_anomalous": float(scores[1].mean()),
            "epochs": float(len(detector.history_)),
            "fit_seconds": seconds,
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


EXPERIMENT = MnistFashion()
