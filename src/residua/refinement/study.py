"""The search itself: an Optuna study that can be stopped at any moment and goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna

from residua.errors import (
    CannotResume,
    ConfigurationError,
    OutputError,
    TooFewImages,
    TrainingError,
)
from residua.fitting import check_store, fit_network, manifest_of
from residua.images.source import ArraySource, ImageSource
from residua.refinement.database import cause, shown, study_errors
from residua.refinement.judge import Judge
from residua.refinement.objective import SelectionSet, judge
from residua.refinement.result import Record, Refinement, Step, changed
from residua.refinement.space import (
    Choice,
    NetworkSpace,
    Pair,
    SearchSpace,
    nearest_parameters,
    networks,
    suggest,
)
from residua.saving import save_model
from residua.settings import FitSettings
from residua.storage import Location
from residua.training.feeding import PixelStore, decode_all
from residua.training.fit import choose_batch_size, choose_epochs
from residua.workspace import alone_in, workspace
from residua.writing import write_text

if TYPE_CHECKING:
    from rich.console import Console

SELECTION_FRACTION = 0.1
"""Share of the trusted pictures that judge the trials, and as large a share that confirms."""
LEAST_SELECTION = 8
"""Pictures that either part has at least."""
RESULT = "refinement.json"
INITIAL = "initial"

_STUDY = "refinement"
_DATABASE = "study.db"
_DECODED = "decoded"
_RECORD, _WHY, _BASE, _IDENTITY = "record", "why", "base", "identity"
# Trials that are always let finish, so that there is something to be behind of.
_STARTUP = 4


def refine(
    source: ImageSource,
    settings: FitSettings,
    *,
    output: Location,
    folder: Path,
    trials: int = 20,
    timeout: float | None = None,
    storage: str | None = None,
    space: SearchSpace | None = None,
    prune: bool = True,
    console: Console | None = None,
) -> Refinement:
    """Search for settings that separate normal pictures from synthetic anomalies, and fit them.

    Parameters
    ----------
    source : ImageSource
        Trusted pictures. A tenth of them judges the trials, another tenth confirms the winner,
        and neither has a part in the fits; the final fit has all of them.
    settings : FitSettings
        What the search begins with, its first trial.
    output : path-like or URL
        The bundle of the winner, fitted on all pictures.
    folder : Path
        For the study, the models of each step and ``refinement.json``.
    trials : int, default=20
        Trials in all, those of earlier calls counted in; killed ones are not counted.
    timeout : float or None, default=None
        Seconds after which no further trial begins.
    storage : str or None, default=None
        SQLAlchemy URL of the study; None: an SQLite file in the folder.
    space : SearchSpace or None, default=None
        What may be changed; None: everything.
    prune : bool, default=True
        Whether a trial that is behind the median of the others at the same epoch ends early.
    console : Console or None, default=None
        Where progress is shown.

    Raises
    ------
    TooFewImages
        Too few pictures to hold some out for the search.
    CannotResume
        The study in the folder is of other pictures or settings.
    OutputError
        The folder or the study cannot be written.
    TrainingError
        Not even the initial settings could be fitted.

    References
    ----------
    Akiba et al., "Optuna: a next-generation hyperparameter optimization framework", KDD 2019.
    Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011 (the sampler).
    """
    if trials < 1:
        raise ConfigurationError(f"trials is {trials}; wanted at least 1")
    with _decoded(source, settings, folder) as (store, base, shape):
        search = _Search.over(store, base, shape, folder, space or SearchSpace(), console)
        where = storage or f"sqlite:///{folder / _DATABASE}"
        with study_errors(where):
            study = search.open(where, prune)
            search.run(study, trials, timeout)
            refinement = search.conclude(study)
        write_text(folder / RESULT, refinement.model_dump_json(indent=2) + "\n")
        if console is not None:
            console.print(f"fitting {refinement.winner.name!r} on all pictures", highlight=False)
        final = refinement.winner.record.settings
        outcome = fit_network(ArraySource(store.pixels), final, console=console)
        save_model(
            output, manifest_of(outcome, final, None), outcome.graph, outcome.calibration_scores
        )
    return refinement


@dataclass(frozen=True)
class _Search:
    """What every trial has in common."""

    judge: Judge
    confirmation: SelectionSet
    base: FitSettings
    shape: tuple[int, int, int]
    space: SearchSpace
    available: Mapping[str, NetworkSpace]
    pairs: list[Pair]
    folder: Path
    identity: str
    console: Console | None

    @classmethod
    def over(
        cls,
        store: PixelStore,
        base: FitSettings,
        shape: tuple[int, int, int],
        folder: Path,
        space: SearchSpace,
        console: Console | None,
    ) -> _Search:
        """Hold the pictures that judge out of the fits."""
        n = len(store.pixels)
        held = max(LEAST_SELECTION, round(SELECTION_FRACTION * n))
        if n - 2 * held < 2 * LEAST_SELECTION:
            raise TooFewImages(
                f"{n} pictures are too few to refine on: {2 * held} of them would judge; give at "
                f"least {4 * LEAST_SELECTION}"
            )
        order = np.random.default_rng(base.seed).permutation(n)
        select, confirm, fit = np.split(order, [held, 2 * held])
        facts = {
            "pictures": store.fingerprint,
            "settings": base.model_dump(mode="json"),
            "space": space.model_dump(mode="json"),
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return cls(
            judge=Judge(
                store.pixels[np.sort(fit)],
                SelectionSet.of(store.pixels[np.sort(select)], base.seed),
                shape,
            ),
            confirmation=SelectionSet.of(store.pixels[np.sort(confirm)], base.seed + 1),
            base=base,
            shape=shape,
            space=space,
            available=networks(space, shape),
            pairs=space.pairs(),
            folder=folder,
            identity=digest,
            console=console,
        )

    def open(self, storage: str, prune: bool) -> optuna.Study:
        """Open the study, or begin it with the initial settings as its first trial."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if prune:
            pruner = optuna.pruners.MedianPruner(
                n_startup_trials=_STARTUP, n_warmup_steps=self._epochs() // 3
            )
        try:
            study = optuna.create_study(
                storage=storage,
                study_name=self._name(),
                direction="maximize",
                pruner=pruner,
                load_if_exists=True,
            )
        except Exception as error:  # the driver's own, of whatever database
            raise OutputError(f"{shown(storage)} cannot be opened: {cause(error)}") from error
        found = study.user_attrs.get(_IDENTITY)
        if found is None:
            study.set_user_attr(_IDENTITY, self.identity)
            first = nearest_parameters(self.space, self._base_choice(), self.available)
            study.enqueue_trial(first, user_attrs={_BASE: True})
        elif found != self.identity:
            raise CannotResume(
                f"the study {storage} is of other pictures, settings or another space; give the "
                "same again, or choose another folder or storage"
            )
        self._redo_killed(study)
        # Another stream for each call, or a call that goes on would repeat what was drawn.
        study.sampler = optuna.samplers.TPESampler(seed=self.base.seed + len(study.trials))
        return study

    def run(self, study: optuna.Study, trials: int, timeout: float | None) -> None:
        """Run trials until there are as many as wanted."""
        wanted = trials - len(_counted(study))
        if wanted <= 0:
            self._say(f"{trials} trials are done already")
            return
        try:
            study.optimize(
                self._objective,
                n_trials=wanted,
                timeout=timeout,
                catch=(ConfigurationError, TrainingError),
            )
        except KeyboardInterrupt:
            self._say("stopped by Ctrl-C; what is done so far counts")

    def conclude(self, study: optuna.Study) -> Refinement:
        """Return what the trials found."""
        records = self._records(study)
        base = next(
            (t for t in study.trials if t.user_attrs.get(_BASE) and _WHY in t.user_attrs), None
        )
        if not records or (base is not None and not _is_base(study, records[0])):
            why = base.user_attrs[_WHY] if base is not None else "no trial was completed"
            raise TrainingError(f"the initial settings could not be fitted: {why}")
        steps: list[Step] = []
        for record in records:
            if steps and record.auroc <= steps[-1].record.auroc:
                continue
            before = steps[-1].record.choice if steps else record.choice
            name = INITIAL if not steps else f"improvement {len(steps)}"
            steps.append(
                Step(
                    name=name,
                    record=record,
                    changed=changed(before, record.choice),
                    bundle=_bundle_name(record.number),
                )
            )
        self._tidy({step.bundle for step in steps})
        states = Counter(trial.state for trial in _counted(study))
        return Refinement(
            steps=steps,
            confirmed={
                "initial": self._confirmed(steps[0]),
                "winner": self._confirmed(steps[-1]),
            },
            n_selection=len(self.judge.selection.normal),
            completed=states[optuna.trial.TrialState.COMPLETE],
            pruned=states[optuna.trial.TrialState.PRUNED],
            failed=dict(Counter(t.user_attrs[_WHY] for t in study.trials if _WHY in t.user_attrs)),
            seed=self.base.seed,
        )

    def _objective(self, trial: optuna.Trial) -> float:
        is_base = bool(trial.user_attrs.get(_BASE))
        try:
            settings = suggest(trial, self.space, self.base, self.available, self.shape)
            # The initial settings stand as they are; every other network takes the score that
            # suits it.
            own = (self.base.error_map, self.base.reduction)
            scores = list(dict.fromkeys((self.base.score, *self.space.scores)))
            found = self.judge.judged(
                trial.number,
                self.base if is_base else settings,
                [own] if is_base else self.pairs,
                scores[:1] if is_base else scores,
                partial(self._watch, trial),
            )
        except (ConfigurationError, TrainingError) as error:
            trial.set_user_attr(_WHY, " ".join(str(error).split()))
            self._say(f"trial {trial.number}: failed: {error}")
            raise
        record, outcome = found
        if record.auroc > max((r.auroc for r in self._records(trial.study)), default=-1.0):
            manifest = manifest_of(outcome, record.settings, None)
            path = self.folder / _bundle_name(trial.number)
            save_model(path, manifest, outcome.graph, outcome.calibration_scores)
        trial.set_user_attr(_RECORD, record.model_dump_json())
        self._say(
            f"trial {trial.number}: AUROC {record.auroc:.4f} on synthetic anomalies, error "
            f"{record.normal_mse:.5f}, {record.fit_seconds:.0f} s: {_in_words(record.choice)}"
        )
        return record.auroc

    def _watch(self, trial: optuna.Trial, epoch: int, auroc: float) -> None:
        trial.report(auroc, epoch)
        if trial.number and trial.should_prune():
            self._say(f"trial {trial.number}: ended after epoch {epoch}, being behind")
            raise optuna.TrialPruned

    def _confirmed(self, step: Step) -> float:
        from residua.bundle import open_bundle
        from residua.saving import load_graph

        bundle = open_bundle(self.folder / step.bundle)
        graph = load_graph(bundle)
        fitted = [(graph.score, bundle.manifest.threshold)]
        return judge(graph.model, self.confirmation, fitted)[0].auroc

    def _records(self, study: optuna.Study) -> list[Record]:
        """Return the completed trials in their order, the initial one first."""
        # One that was killed between its record and its end is done again, and counts then.
        complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        done = [trial for trial in complete if _RECORD in trial.user_attrs]
        done.sort(key=lambda trial: (not trial.user_attrs.get(_BASE), trial.number))
        return [Record.model_validate_json(trial.user_attrs[_RECORD]) for trial in done]

    def _name(self) -> str:
        # In the folder's own file the one study there is; elsewhere many may share a database.
        return f"{_STUDY}-{self.folder.resolve().name}"

    def _epochs(self) -> int:
        n = len(self.judge.pixels)
        return self.base.epochs or choose_epochs(n, self.base.batch_size or choose_batch_size(n))

    def _base_choice(self) -> Choice:
        return Choice.of(self.base, self.shape)

    def _redo_killed(self, study: optuna.Study) -> None:
        """End the trials of a call that was killed, and queue their settings again."""
        for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            attributes = {_BASE: True} if trial.user_attrs.get(_BASE) else None
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params, user_attrs=attributes)

    def _tidy(self, kept: set[str]) -> None:
        """Delete the models that were best for a while in a call that was killed."""
        for path in self.folder.glob(_bundle_name("*")):
            if path.name not in kept:
                shutil.rmtree(path)

    def _say(self, text: str) -> None:
        if self.console is not None:
            self.console.print(text, highlight=False, markup=False)


@contextlib.contextmanager
def _decoded(
    source: ImageSource, settings: FitSettings, folder: Path
) -> Iterator[tuple[PixelStore, FitSettings, tuple[int, int, int]]]:
    """Decode the pictures once, for all trials; the settings get the size that they have then."""
    spec = source.suggest_spec(
        size=settings.image_size,
        channels=settings.channels,
        resize=settings.resize,
        value_range=None if settings.value_range == "data" else settings.value_range,
        background=settings.background,
    )
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone_in(folder, "search"))
            room = stack.enter_context(workspace(_DECODED, folder))
        except OSError as error:
            raise OutputError(f"the folder {folder} cannot be written: {error.strerror}") from error
        store = decode_all(source, spec, cache=room)
        check_store(store)
        base = settings.model_copy(
            update={
                "image_size": (spec.height, spec.width),
                "channels": spec.channels,
                "value_range": spec.value_range,
            }
        )
        yield store, base, spec.shape


def _counted(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that were ended by themselves, and not by a kill."""
    ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return [trial for trial in study.trials if trial.state in ended or _WHY in trial.user_attrs]


def _is_base(study: optuna.Study, record: Record) -> bool:
    return bool(study.trials[record.number].user_attrs.get(_BASE))


def _bundle_name(number: int | str) -> str:
    return f"trial-{number}.residua"


def _in_words(choice: Choice) -> str:
    values: dict[str, Any] = choice.model_dump(exclude_none=True)
    return ", ".join(f"{name} {value}" for name, value in values.items())
