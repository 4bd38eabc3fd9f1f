"""An experiment that can be run: each recipe from each seed, reusing what is done."""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.errors import ConfigurationError, MissingExtra, OutputError, TrainingError, UnknownName
from residua.experiments.record import Claim, Contradiction, ExperimentReport, Run
from residua.images.source import ImageSource
from residua.writing import write_text

if TYPE_CHECKING:
    from rich.console import Console

    from residua.evaluation.scored import ScoredSet
    from residua.report.sections import Section

MODEL = "model.residua"
_FIT = "fit.json"
_RESULT = "result.json"


class Judged(NamedTuple):
    """The pictures that a model is measured on."""

    source: ImageSource
    anomalous: NDArray[np.bool_]
    """The truth of each picture of the source (N,)."""


class Study(NamedTuple):
    """A recipe's model with what it says of the test pictures."""

    bundle: Path
    scored: ScoredSet


@dataclass(frozen=True)
class Attempt:
    """One recipe from one seed, on disk."""

    recipe: str
    seed: int
    settings: Mapping[str, Any]
    quick: bool
    folder: Path

    @property
    def bundle(self) -> Path:
        """The fitted model."""
        return self.folder / MODEL

    @property
    def result(self) -> Path:
        """What it gave."""
        return self.folder / _RESULT

    @property
    def fitted(self) -> bool:
        """Whether the model is there."""
        return (self.folder / _FIT).exists() and self.bundle.exists()


class Experiment(ABC):
    """A protocol with its claims and recipes."""

    name: str
    title: str
    claims: Sequence[Claim]
    recipes: Mapping[str, Mapping[str, Any]]
    """Each recipe's parameters of `AutoencoderDetector`."""
    descriptions: Mapping[str, str]
    """Each recipe in a few words."""
    quick_settings: Mapping[str, Any]
    """Parameters that a quick run puts in the place of each recipe's."""
    featured: str
    """The recipe whose model the report shows in full."""

    @abstractmethod
    def trusted(self, seed: int, *, quick: bool) -> ImageSource:
        """Return the pictures to fit on."""

    @abstractmethod
    def test(self, seed: int, *, quick: bool) -> Judged:
        """Return the pictures to measure on."""

    @abstractmethod
    def measure(self, scored: ScoredSet) -> dict[str, float]:
        """Return each claim's figure, of a model's scores on the test pictures."""

    @abstractmethod
    def contradictions(self) -> list[Contradiction]:
        """Return the claims that cannot all be true."""

    @abstractmethod
    def sections(self, studies: Mapping[str, Study], report: ExperimentReport) -> list[Section]:
        """Return the source report's own figures; there is a study for each recipe."""

    def beside(self, seed: int, *, quick: bool, backbone: Path) -> dict[str, dict[str, float]]:
        """Return each claim's figure for methods on a backbone's features, by method.

        Raises
        ------
        ConfigurationError
            The experiment has no such methods.
        """
        raise ConfigurationError(f"{self.name!r} measures no backbone; leave it out")

    def run(
        self,
        *,
        seeds: Sequence[int],
        recipes: Sequence[str] | None,
        epochs: int | None,
        quick: bool,
        folder: Path,
        backbone: Path | None,
        page: bool,
        console: Console | None,
    ) -> ExperimentReport:
        """Run each recipe from each seed, or read what an earlier call has left."""
        chosen = list(dict.fromkeys(recipes or self.recipes))
        for recipe in chosen:
            if recipe not in self.recipes:
                raise UnknownName.among("recipe", recipe, self.recipes)
        if page:
            _require_page()
        attempts = [
            self._attempt(recipe, seed, epochs, quick, folder)
            for seed in dict.fromkeys(seeds)
            for recipe in chosen
        ]
        runs, clock = [], _Clock(attempts, console)
        for attempt in attempts:
            clock.announce(attempt, self.descriptions[attempt.recipe])
            runs.append(self._run_one(attempt, console))
        described = {recipe: self.descriptions[recipe] for recipe in chosen}
        if backbone is not None:
            for seed in dict.fromkeys(seeds):
                runs += self._run_beside(seed, quick, backbone, folder, console)
            for run in runs:
                described.setdefault(run.recipe, f"on the features of {backbone.name}")
        order = list(described)
        report = ExperimentReport(
            title=self.title,
            claims=list(self.claims),
            contradictions=self.contradictions(),
            recipes=described,
            runs=sorted(runs, key=lambda run: (order.index(run.recipe), run.seed)),
            quick=quick,
        )
        write_text(folder / "measured.json", report.model_dump_json(indent=2) + "\n")
        if page:
            from residua.experiments.page import write_page

            first = [attempt for attempt in attempts if attempt.seed == attempts[0].seed]
            path = write_page(self, first, report, folder / "report.html", console)
            if console is not None:
                console.print(f"report: [bold]{path}[/]", soft_wrap=True)
        return report

    def study(self, attempt: Attempt) -> Study:
        """Score the test pictures of an attempt's seed with its model."""
        from residua.evaluation.scored import score_source

        test = self.test(attempt.seed, quick=attempt.quick)
        scored = score_source(attempt.bundle, test.source, truth=test.anomalous)
        return Study(attempt.bundle, scored)

    def _attempt(
        self, recipe: str, seed: int, epochs: int | None, quick: bool, folder: Path
    ) -> Attempt:
        settings = {**self.recipes[recipe], "random_state": seed}
        if quick:
            settings.update(self.quick_settings)
        if epochs is not None:
            settings["epochs"] = epochs
        # Another version of the code is another experiment.
        identity: dict[str, Any] = {**settings, "residua": version("residua")}
        if quick:
            identity["quick"] = True
        text = json.dumps(identity, sort_keys=True, default=dict)
        key = hashlib.sha256(text.encode()).hexdigest()[:8]
        return Attempt(recipe, seed, settings, quick, folder / f"{recipe}-seed{seed}-{key}")

    def _run_one(self, attempt: Attempt, console: Console | None) -> Run:
        if attempt.fitted and attempt.result.exists():
            kept = Run.model_validate_json(attempt.result.read_text(encoding="utf-8"))
            if {claim.measure for claim in self.claims if claim.required} <= set(kept.measured):
                return kept
        seconds = self._fit(attempt, console)
        scored = self.study(attempt).scored
        measured = {
            **self.measure(scored),
            "epochs": float(len(scored.manifest.history)),
            "fit_seconds": seconds,
        }
        run = Run(recipe=attempt.recipe, seed=attempt.seed, measured=measured)
        write_text(attempt.result, run.model_dump_json(indent=2) + "\n")
        return run

    def _run_beside(
        self, seed: int, quick: bool, backbone: Path, folder: Path, console: Console | None
    ) -> list[Run]:
        if not backbone.is_file():
            raise ConfigurationError(f"there is no backbone {backbone}; wanted an ONNX file")
        identity = [hashlib.sha256(backbone.read_bytes()).hexdigest(), version("residua")]
        key = hashlib.sha256("".join(identity).encode()).hexdigest()[:8]
        kept = folder / f"features-seed{seed}-{key}.json"
        if not kept.exists():
            if console is not None:
                console.print(f"[bold]features of {backbone.name}, seed {seed}[/]")
            found = self.beside(seed, quick=quick, backbone=backbone)
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_text(kept, json.dumps(found, indent=2) + "\n")
        measured = json.loads(kept.read_text(encoding="utf-8"))
        return [Run(recipe=name, seed=seed, measured=own) for name, own in measured.items()]

    def _fit(self, attempt: Attempt, console: Console | None) -> float:
        """Fit and save the model, if it is not there; returns how long the fit took, in s."""
        record = attempt.folder / _FIT
        if attempt.fitted:
            seconds: float = json.loads(record.read_text(encoding="utf-8"))["fit_seconds"]
            return seconds
        from residua.detector import AutoencoderDetector

        try:
            attempt.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the results cannot be written in {attempt.folder}: {error}"
            ) from error
        detector = AutoencoderDetector(**attempt.settings, verbose=int(console is not None))
        pictures = self.trusted(attempt.seed, quick=attempt.quick)
        started = time.perf_counter()
        detector.fit(pictures)
        seconds = time.perf_counter() - started
        if detector.interrupted_:
            raise TrainingError(
                f"the fit of {attempt.recipe!r} was ended by Ctrl-C; it is not the protocol and is "
                "not kept. The same command goes on with what is done"
            )
        detector.save(attempt.bundle)
        write_text(record, json.dumps({"fit_seconds": seconds}) + "\n")
        return seconds


class _Clock:
    """Says which run is on, and how long the others will take."""

    def __init__(self, attempts: Sequence[Attempt], console: Console | None) -> None:
        self._total = len(attempts)
        self._to_fit = sum(not attempt.fitted for attempt in attempts)
        self._console = console
        self._started = time.perf_counter()
        self._begun = self._fitted = 0

    def announce(self, attempt: Attempt, description: str) -> None:
        """Say what runs next."""
        self._begun += 1
        if self._console is None:
            return
        line = f"[bold]{attempt.recipe}, seed {attempt.seed}[/] ({self._begun} of {self._total})"
        if attempt.fitted:
            self._console.print(f"{line}: kept from before in {attempt.folder}", soft_wrap=True)
            return
        if self._fitted:
            minutes = (time.perf_counter() - self._started) / self._fitted / 60
            left = minutes * (self._to_fit - self._fitted)
            line += f", about {left:.0f} min left"
        self._fitted += 1
        self._console.print(f"{line}: {description}", soft_wrap=True)


def _require_page() -> None:
    """Refuse at once what the report would lack at the end of hours."""
    for module in ("matplotlib", "jinja2", "sklearn"):
        try:
            __import__(module)
        except ModuleNotFoundError as error:
            raise MissingExtra.of(module, "all") from error
