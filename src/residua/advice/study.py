"""What every check looks at: the model, the scored pictures and the training pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from residua.advice.finding import Finding, Picture
from residua.advice.prints import MOST_PRINTED, Prints, prints_of
from residua.evaluation.scored import ScoredSet, Scorer
from residua.images.source import ImageSource


@dataclass(frozen=True)
class Study:
    """What every check looks at. Positions are those in the arrays of ``scored``."""

    scorer: Scorer
    """The model."""
    scored: ScoredSet
    """What it says of the pictures."""
    training: ImageSource | None = None
    """The pictures that it was fitted on, where they are at hand."""
    seed: int = 0
    """Seed of every sample."""

    @property
    def truth(self) -> NDArray[np.bool_] | None:
        """Which pictures are anomalous (N,); None: not known."""
        return self.scored.anomalous

    @cached_property
    def flagged(self) -> NDArray[np.bool_]:
        """The verdicts (N,)."""
        return self.scored.flagged

    @cached_property
    def normal(self) -> NDArray[np.bool_]:
        """The normal pictures (N,); where the truth is not known, those that are not flagged."""
        return ~self.flagged if self.truth is None else ~self.truth

    @property
    def normal_name(self) -> str:
        """What the pictures of `normal` are called."""
        return "unflagged" if self.truth is None else "normal"

    @cached_property
    def labels(self) -> NDArray[np.str_] | None:
        """Class of each picture (N,); None where there are none."""
        labels = self.scored.labels
        return None if labels is None else np.asarray(labels, dtype=str)

    @cached_property
    def prints(self) -> Prints:
        """Fingerprints of the scored pictures."""
        return self._prints(self.scored.source, self.scored.index)

    @cached_property
    def training_prints(self) -> Prints | None:
        """Fingerprints of the training pictures."""
        if self.training is None:
            return None
        return self._prints(self.training, np.arange(len(self.training)))

    def _prints(self, source: ImageSource, positions: NDArray[np.int64]) -> Prints:
        chosen = self.sample(len(positions), MOST_PRINTED)
        return prints_of(source, positions[chosen], self.scored.manifest.input)

    def sample(self, n: int, at_most: int) -> NDArray[np.int64]:
        """Draw ``at_most`` of ``n`` without replacement, in rising order; all where no more."""
        if n <= at_most:
            return np.arange(n, dtype=np.int64)
        drawn = np.random.default_rng(self.seed).choice(n, at_most, replace=False)
        return np.sort(drawn).astype(np.int64)

    def affordable(self, at_most: int, values: int) -> int:
        """Return how many pictures have ``values`` pixel values together, 32 to ``at_most``."""
        each = int(np.prod(self.scored.manifest.input.shape))
        return int(np.clip(values // each, 32, at_most))

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return pictures (K, H, W, C) as the model takes them; ones that fail now are left out."""
        spec = self.scored.manifest.input
        batches = self.scored.source.batches(spec, 64, self.scored.index[positions])
        parts = [batch.images for batch in batches]
        return np.concatenate(parts) if parts else np.empty((0, *spec.shape), np.uint8)

    def pictures(
        self,
        positions: Sequence[int] | NDArray[np.int64],
        note: str | Callable[[int], str],
        *,
        heat_map: bool = False,
    ) -> list[Picture]:
        """Return scored pictures as evidence; ``note`` may depend on the position."""
        return [
            Picture(
                origin="scored",
                position=int(self.scored.index[position]),
                id=self.scored.ids[position],
                note=note if isinstance(note, str) else note(int(position)),
                heat_map=heat_map,
            )
            for position in positions
        ]

    def picture(self, origin: Literal["scored", "training"], position: int, note: str) -> Picture:
        """Return a picture as evidence by its index in its source."""
        source = self.scored.source if origin == "scored" else self.training
        assert source is not None
        return Picture(origin=origin, position=position, id=source.ids[position], note=note)


Check = Callable[[Study], Finding | list[Finding]]
