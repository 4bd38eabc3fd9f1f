"""The figures: one Display class each, in scikit-learn's manner.

Each is made by ``from_predictions``, ``from_results`` or, from a fitted detector,
``from_estimator``; ``plot`` draws it, ``svg`` and ``save_svg`` write it, ``data`` returns the
numbers behind it. matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

from residua.report.figures.anomalous_samples import AnomalousSamplesDisplay
from residua.report.figures.base import Display
from residua.report.figures.class_overview import ClassOverviewDisplay
from residua.report.figures.confusion import ConfusionDisplay
from residua.report.figures.differences import DifferencesDisplay
from residua.report.figures.error_density import ErrorDensityDisplay
from residua.report.figures.error_histogram import ErrorHistogramDisplay
from residua.report.figures.heatmap_overlay import HeatmapOverlayDisplay
from residua.report.figures.leaderboard import LeaderboardDisplay
from residua.report.figures.learning_curves import LearningCurvesDisplay
from residua.report.figures.model_comparison import ModelComparisonDisplay
from residua.report.figures.model_reconstructions import ModelReconstructionsDisplay
from residua.report.figures.precision_recall import PrecisionRecallDisplay
from residua.report.figures.projection import ProjectionDisplay
from residua.report.figures.reconstructions import ReconstructionsDisplay
from residua.report.figures.roc import ROCDisplay
from residua.report.figures.sorted_errors import SortedErrorsDisplay

__all__ = [
    "AnomalousSamplesDisplay",
    "ClassOverviewDisplay",
    "ConfusionDisplay",
    "DifferencesDisplay",
    "Display",
    "ErrorDensityDisplay",
    "ErrorHistogramDisplay",
    "HeatmapOverlayDisplay",
    "LeaderboardDisplay",
    "LearningCurvesDisplay",
    "ModelComparisonDisplay",
    "ModelReconstructionsDisplay",
    "PrecisionRecallDisplay",
    "ProjectionDisplay",
    "ROCDisplay",
    "ReconstructionsDisplay",
    "SortedErrorsDisplay",
]
