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
from residua.refinement.objective import Judged, SelectionSet, judge, measure
from residua.refinement.result import Record
from residua.refinement.space import Choice, Pair
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
        self,
        number: int,
        settings: FitSettings,
        pairs: Sequence[Pair],
        scores: Sequence[str],
        watch: Watch,
    ) -> tuple[Record, FitOutcome]:
        """Fit, take the best pair by its raw error, and the best of some scores of that pair.

        Parameters
        ----------
        number : int
            The trial's number.
        settings : FitSettings
        pairs : sequence of (str, str)
            Error maps with their reductions, tried on the one trained network.
        scores : sequence of str
            Names from `residua.scoring.names.SCORES`, tried likewise.
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
        found = measure(outcome.graph.model, self.selection, pairs)
        best = max(found.evaluations, key=lambda evaluation: evaluation.auroc)
        outcome, settings, judged = self._best_score(
            outcome,
            settings.model_copy(update={"error_map": best.error_map, "reduction": best.reduction}),
            scores,
        )
        record = Record(
            number=number,
            settings=settings,
            choice=Choice.of(settings, self.shape),
            auroc=judged.auroc,
            per_kind=judged.per_kind,
            normal_mse=found.normal_mse,
            found=judged.anomalous,
            false_positive_rate=judged.normal,
            fit_seconds=seconds,
        )
        return record, outcome

    def _best_score(
        self, outcome: FitOutcome, settings: FitSettings, scores: Sequence[str]
    ) -> tuple[FitOutcome, FitSettings, Judged]:
        """Return the fit under the score that is judged best, the first of equals."""
        tried = [settings.model_copy(update={"score": name}) for name in scores]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResiduaWarning)
            fitted = [with_score(outcome, under, self.pixels) for under in tried]
        found = judge(
            outcome.graph.model,
            self.selection,
            [(under.graph.score, under.threshold) for under in fitted],
        )
        best = max(range(len(found)), key=lambda row: found[row].auroc)
        return fitted[best], tried[best], found[best]

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
