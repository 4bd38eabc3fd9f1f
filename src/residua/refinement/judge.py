"""One trial: settings fitted and judged by pictures that had no part in the fit."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.errors import ResiduaWarning
from residua.fitting import FitOutcome, fit_network, with_score
from residua.images.source import ArraySource
from residua.models import Autoencoder
from residua.refinement.objective import SelectionSet, flagged, measure
from residua.refinement.result import Record
from residua.refinement.space import Choice, Score
from residua.settings import FitSettings
from residua.training.config import EpochRecord

LOOKED_AT = 64
"""Normal pictures, and about as many anomalies, that are looked at after each epoch."""

Watch = Callable[[int, float], None]
"""Is told of each epoch and the AUROC then; what it raises ends the fit."""


@dataclass(frozen=True)
class Judge:
    """Fits settings and judges them."""

    pixels: NDArray[np.uint8]
    """The pictures to fit on (N, H, W, C)."""
    selection: SelectionSet
    """The pictures to judge by."""
    shape: tuple[int, int, int]
    """Height, width and channels."""

    def judged(
        self, number: int, settings: FitSettings, scores: Sequence[Score], watch: Watch
    ) -> tuple[Record, FitOutcome]:
        """Fit, and take the best of some scores.

        Parameters
        ----------
        number : int
            The trial's number.
        settings : FitSettings
        scores : sequence of (str, str)
            Error maps with their reductions, tried on the one trained network.
        watch : callable
            Is told of each epoch.

        Raises
        ------
        TrainingError, ConfigurationError
            The settings cannot be fitted.
        KeyboardInterrupt
            Ctrl-C ended training: what came of it is not what the settings are worth.
        """
        started = time.perf_counter()
        outcome = self._fit(settings, watch)
        seconds = time.perf_counter() - started
        if outcome.training.interrupted:
            raise KeyboardInterrupt
        found = measure(outcome.graph.model, self.selection, scores)
        best = max(found.evaluations, key=lambda evaluation: evaluation.auroc)
        error_map, reduction = best.score
        settings = settings.model_copy(update={"error_map": error_map, "reduction": reduction})
        outcome = with_score(outcome, settings, self.pixels)
        shares = flagged(outcome.graph.model, self.selection, best.score, outcome.threshold)
        record = Record(
            number=number,
            settings=settings,
            choice=Choice.of(settings, self.shape),
            auroc=best.auroc,
            per_kind=best.per_kind,
            normal_mse=found.normal_mse,
            found=shares.anomalous,
            false_positive_rate=shares.normal,
            fit_seconds=seconds,
        )
        return record, outcome

    def _fit(self, settings: FitSettings, watch: Watch) -> FitOutcome:
        few = self.selection.part(LOOKED_AT)
        looked = [(settings.error_map, settings.reduction)]
        # A network that learns nothing has a bad score, which is all that the search need know.
        tolerant = settings.model_copy(update={"on_failed_fit": "warn"})
        latest = 0

        def look(epoch: EpochRecord, model: Autoencoder) -> None:
            nonlocal latest
            if epoch.epoch <= latest:  # of a second training, from another seed
                return
            latest = epoch.epoch
            watch(latest, measure(model, few, looked).evaluations[0].auroc)

        with warnings.catch_warnings():
            # Of each trial: few pictures, worse than PCA. The final fit says what still holds.
            warnings.simplefilter("ignore", ResiduaWarning)
            return fit_network(ArraySource(self.pixels), tolerant, on_epoch=look)
