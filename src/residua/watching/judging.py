"""From pictures that were read to what the ledger records of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.errors import ImageError, OutputError
from residua.heatmaps import overlay, save_overlay
from residua.results import as_row
from residua.scoring.verdicts import Verdict
from residua.watching.ledger import Call, Entry, Outcome
from residua.watching.model import LiveModel
from residua.watching.notices import Notices
from residua.watching.source import Candidate

_DIGITS = 12


class Reading(NamedTuple):
    """What came of reading a picture: the picture, an error, or neither."""

    candidate: Candidate
    sha256: bytes = b""
    """Of the content; empty: it could not be had."""
    image: NDArray[np.uint8] | None = None
    """(H, W, C), brought to the model's spec."""
    error: ImageError | None = None
    known: bool = False
    """Whether it is recorded already."""


class Judge:
    """Makes ledger entries of pictures.

    Parameters
    ----------
    model : LiveModel
    notices : Notices
    channels : sequence of str
        Who is told of anomalous pictures.
    on_error : bool
        Whether they are told of pictures that cannot be read as well.
    heatmaps : Path or None
        Where the heat maps of anomalous pictures go.
    """

    def __init__(
        self,
        model: LiveModel,
        notices: Notices,
        *,
        channels: Sequence[str] = (),
        on_error: bool = False,
        heatmaps: Path | None = None,
    ) -> None:
        self._model, self._notices = model, notices
        self._channels, self._on_error, self._heatmaps = channels, on_error, heatmaps

    def scored(self, readings: Sequence[Reading]) -> list[Entry]:
        """Return entries of pictures that were read, in their order.

        Raises
        ------
        EngineFailed
            Nothing could be computed.
        """
        if not readings:
            return []
        images = np.stack([reading.image for reading in readings if reading.image is not None])
        found = self._model.score(images)
        finite = np.isfinite(found.scores)
        flagged, p = self._model.judged(np.where(finite, found.scores, 0.0))
        entries = []
        for at, reading in enumerate(readings):
            if not finite[at]:
                entries.append(self.unreadable(reading, "the model gives no number for it"))
                continue
            verdict = self._verdict(
                reading.candidate, score=float(found.scores[at]), anomalous=flagged[at], p=p[at]
            )
            heatmap = self._heatmap(verdict, reading.sha256, images[at], found.error_maps[at])
            entries.append(self._entry(reading, verdict, heatmap))
        return entries

    def unreadable(self, reading: Reading, why: str | None = None) -> Entry:
        """Return the entry of a picture without a score."""
        text = " ".join((why or str(reading.error)).split())
        return self._entry(reading, self._verdict(reading.candidate, error=text), None)

    def _verdict(self, candidate: Candidate, **found: Any) -> Verdict:
        given = {"score": None, "anomalous": None, **found}
        return Verdict(
            index=0,
            id=candidate.id,
            label=candidate.label,
            threshold=self._model.threshold,
            **given,
        )

    def _entry(self, reading: Reading, verdict: Verdict, heatmap: Path | None) -> Entry:
        candidate = reading.candidate
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        row = {**as_row(verdict), "time": moment, "sha256": reading.sha256.hex() or None}
        outcome = (
            Outcome.ERROR
            if verdict.error is not None
            else Outcome.ANOMALOUS
            if verdict.anomalous
            else Outcome.NORMAL
        )
        return Entry(
            candidate.key,
            reading.sha256,
            candidate.signature,
            outcome,
            verdict.score,
            json.dumps(row, ensure_ascii=False),
            self._calls(candidate, row, outcome, heatmap),
        )

    def _calls(
        self, candidate: Candidate, row: dict[str, Any], outcome: Outcome, heatmap: Path | None
    ) -> list[Call]:
        wanted = outcome is Outcome.ANOMALOUS or (outcome is Outcome.ERROR and self._on_error)
        if not wanted:
            return []
        told = {
            "event": "anomaly" if outcome is Outcome.ANOMALOUS else "error",
            **row,
            "model": self._model.name,
            "revision": self._model.revision,
            "heatmap": None if heatmap is None else str(heatmap.absolute()),
        }
        body = json.dumps(told, ensure_ascii=False)
        return [Call(channel, uuid.uuid4().hex, body, candidate.path) for channel in self._channels]

    def _heatmap(
        self,
        verdict: Verdict,
        sha256: bytes,
        image: NDArray[np.uint8],
        error_map: NDArray[np.float32],
    ) -> Path | None:
        if self._heatmaps is None or not verdict.anomalous:
            return None
        try:
            picture = overlay(image, error_map, self._model.map_ceiling)
            # Of each content of a file that is written to again and again.
            name = f"{verdict.id}-{sha256.hex()[:_DIGITS]}"
            saved = save_overlay(self._heatmaps, name, picture)
        except OutputError as error:
            self._notices.trouble("heat maps", f"{error.__cause__ or error}; heat maps are missing")
            return None
        self._notices.over("heat maps", "heat maps are written again")
        return saved
