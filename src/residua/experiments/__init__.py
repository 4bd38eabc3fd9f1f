"""The source reports' experiments and the demonstration: protocol, claims and recipe as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from residua.errors import UnknownName
from residua.experiments import caltech, mnist_fashion
from residua.experiments.experiment import Experiment
from residua.experiments.record import ExperimentReport

if TYPE_CHECKING:
    from rich.console import Console

EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {e.name: e for e in (mnist_fashion.EXPERIMENT, caltech.EXPERIMENT)}
)


def run_experiment(
    name: str,
    *,
    seeds: Sequence[int] = (0,),
    recipes: Sequence[str] | None = None,
    epochs: int | None = None,
    quick: bool = False,
    folder: Path,
    backbone: Path | None = None,
    page: bool = True,
    console: Console | None = None,
) -> ExperimentReport:
    """Run an experiment of the source reports, or take its results from ``folder``.

    Parameters
    ----------
    name : str
        A name from `EXPERIMENTS`.
    seeds : sequence of int
        One run for each.
    recipes : sequence of str or None
        The recipes to run. None: all.
    epochs : int or None
        Another number of epochs than the recipe's.
    quick : bool
        Fewer pictures and epochs: a run of a few minutes, and not the protocol.
    folder : Path
        Where each run's results are kept; a run that is there is not repeated.
    backbone : Path or None
        An ONNX file of a pretrained network: methods on its features are measured beside, where
        the experiment has such.
    page : bool
        Whether to write the HTML report, ``report.html`` in the experiment's folder.
    console : Console or None
        Where progress is shown.

    Raises
    ------
    UnknownName
        No such experiment or recipe.
    """
    if name not in EXPERIMENTS:
        raise UnknownName.among("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name].run(
        seeds=seeds,
        recipes=recipes,
        epochs=epochs,
        quick=quick,
        folder=folder / (f"{name}-quick" if quick else name),
        backbone=backbone,
        page=page,
        console=console,
    )
