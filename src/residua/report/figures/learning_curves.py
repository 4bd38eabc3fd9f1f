"""Training and validation loss over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from residua.errors import InputError
from residua.report.figures import style
from residua.report.figures.chart import (
    Chart,
    count_axis,
    heading,
    legend_beside,
    value_axis,
    value_limits,
    wants_log,
)
from residua.report.figures.lettering import plain_number
from residua.training.config import EpochRecord


class LearningCurvesDisplay(Chart):
    """The two losses, and the epoch whose weights were kept.

    Parameters
    ----------
    history : sequence of EpochRecord
        At least one.
    loss : str, optional
        Name of the loss, for the axis.

    Examples
    --------
    >>> from residua.report.figures import LearningCurvesDisplay
    >>> from residua.training.config import EpochRecord
    >>> rates = {"images_per_second": 900.0, "best": True}
    >>> history = [EpochRecord(epoch=e, train_loss=1 / e, val_loss=2 / e, **rates) for e in (1, 2)]
    >>> LearningCurvesDisplay.from_history(history).data()["val_loss"]
    [2.0, 1.0]
    """

    stem = "learning-curves"

    def __init__(self, history: Sequence[EpochRecord], loss: str | None = None) -> None:
        if not history:
            raise InputError("the history holds no epoch; there is no learning curve to draw")
        self.history = list(history)
        self.loss = loss
        self.title = "Loss over the epochs"
        epochs = self.history
        if len(epochs) == 1:
            self.notes = ("There is one epoch only: two points, no curve.",)
        lost = sum(not np.isfinite([e.train_loss, e.val_loss]).all() for e in epochs)
        if lost:
            self.notes = (*self.notes, f"Losses of {lost} epochs are not finite and not drawn.")

    @classmethod
    def from_estimator(cls, detector: Any) -> Self:
        """Take the history of a fitted detector.

        Raises
        ------
        InputError
            It holds no epoch.
        """
        return cls(detector.history_, getattr(detector.model_, "loss", None))

    @classmethod
    def from_history(cls, history: Sequence[EpochRecord], *, loss: str | None = None) -> Self:
        """Take records of epochs; ``loss`` names the loss.

        Raises
        ------
        InputError
            There is none.
        """
        return cls(history, loss)

    def data(self) -> dict[str, list[Any]]:
        """Return the records as columns."""
        return {
            name: [getattr(record, name) for record in self.history]
            for name in ("epoch", "train_loss", "val_loss", "images_per_second", "best")
        }

    def _draw(self, ax: Any) -> None:
        columns = self.data()
        epochs = np.asarray(columns["epoch"])
        train, val = np.asarray(columns["train_loss"]), np.asarray(columns["val_loss"])
        losses = np.concatenate([train, val])
        losses = losses[np.isfinite(losses)]
        marks = len(epochs) <= 40
        for values, look, name in (
            (train, style.NORMAL, "training"),
            (val, style.SECOND, "validation"),
        ):
            ax.plot(
                epochs,
                np.where(np.isfinite(values), values, np.nan),
                color=look.colour,
                linestyle=look.line,
                marker=look.marker if marks else None,
                markersize=4,
                label=name,
            )
        if losses.size:
            log = wants_log(losses)
            value_axis(ax.yaxis, value_limits(losses, log=log), log=log)
        if np.isfinite(val).any():
            best = int(np.nanargmin(np.where(np.isfinite(val), val, np.nan)))
            ax.plot(
                epochs[best],
                val[best],
                marker="o",
                markersize=11,
                markerfacecolor="none",
                markeredgecolor=style.INK,
                linestyle="none",
                label=f"lowest: {plain_number(val[best])} in epoch {epochs[best]}",
            )
        count_axis(ax.xaxis)
        reach = max(0.03 * (epochs[-1] - epochs[0]), 0.5)
        ax.set_xlim(epochs[0] - reach, epochs[-1] + reach)
        ax.set_xlabel("epoch")
        ax.set_ylabel(f"loss ({_named(self.loss)})")
        legend_beside(ax)
        heading(ax, self.title, self.notes)


def _named(loss: str | None) -> str:
    return {
        None: "mean over pictures",
        "mse": "mean squared error",
        "bce": "binary cross-entropy",
    }.get(loss, str(loss))
