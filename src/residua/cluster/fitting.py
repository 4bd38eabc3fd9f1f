"""A fit shared out among the workers of a Ray cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from residua.cluster.attending import Place, say, train_there
from residua.cluster.session import Session, connected
from residua.cluster.shares import Share, fingerprint_of, prints_of, read_share
from residua.cluster.state import SharedState
from residua.cluster.training import Job, Pictures, Trained
from residua.detector import AutoencoderDetector
from residua.errors import (
    ConfigurationError,
    NoReadableImage,
    TooFewImages,
)
from residua.fitting import (
    FitOutcome,
    Prepared,
    conclude,
    prepare,
    require_differing,
    training_config,
    warn_skipped,
)
from residua.images.resolve import resolve_source
from residua.images.source import ImageSource
from residua.images.splits import HeldOut, holdout
from residua.manifest import DataRecord
from residua.normality import MOST_FOR_SCORE
from residua.settings import FEATURES, FitSettings
from residua.storage import Location, is_url
from residua.training.claim import mark_of
from residua.training.fit import Learned, accelerator_of, train
from residua.training.sharding import FEWEST


def fit_on_cluster(
    detector: AutoencoderDetector,
    X: Any,
    *,
    storage: Location,
    place: Place = Place(),  # noqa: B008  immutable
) -> AutoencoderDetector:
    """Fit a detector on trusted pictures with the workers of a Ray cluster.

    Workers average their gradients at each step: a step takes the batch of one machine, shared out
    among them, and there are as many steps. Each reads its own share of the pictures and no other.
    This machine reads the pictures for calibration and, of those for training and for validation,
    up to 4,000 each, which say what scores are usual. With one worker the network is that of a fit
    without a cluster.

    Parameters
    ----------
    detector : AutoencoderDetector
        With its parameters; ``resume=True`` goes on with a fit that was killed. Its
        ``checkpoint_dir`` has no part in this.
    X : as in `AutoencoderDetector.fit`
        No table. Files must lie where every machine sees them under the same path, or in an object
        store.
    storage : path or str
        Folder or URL, which every machine sees, for the state after each epoch. It is left there;
        `discard_state` deletes it.
    place : Place

    Returns
    -------
    detector : AutoencoderDetector
        The same, fitted.

    Raises
    ------
    InputError, ConfigurationError, TrainingError
        As in `AutoencoderDetector.fit`; features of a backbone are not fitted on clusters.
    ClusterUnavailable
        No cluster answers.
    WorkersLost
        No worker begins in time, or workers were lost more often than is allowed; the state lies
        in ``storage``.
    OtherRun
        Another fit has begun in ``storage`` meanwhile.
    """
    source = resolve_source(everywhere(X), prefer="train")
    settings = detector.settings_for(source)
    console = Console(stderr=True) if detector.verbose else None
    state = SharedState(storage)
    _refuse_unsupported(settings, place)
    if detector.resume:
        state.require_begun()
    with state.alone():
        outcome = _fit(source, settings, state, place, detector.resume, console)
    detector.adopt(outcome, settings)
    return detector


def discard_state(storage: Location) -> None:
    """Delete the state that a fit on a cluster has left in a folder or below a URL."""
    SharedState(storage).discard()


def everywhere(X: Any) -> Any:
    """Return paths as they are called on every machine: relative ones become absolute.

    What is no file or folder here, such as a data set's name, stays as it is.
    """
    if isinstance(X, str | os.PathLike) and not is_url(X):
        path = Path(X)
        return str(path.absolute()) if path.exists() else X
    if isinstance(X, list | tuple) and X and isinstance(X[0], str | os.PathLike):
        return [path if is_url(path) else str(Path(path).absolute()) for path in X]
    return X


def _fit(
    source: ImageSource,
    settings: FitSettings,
    state: SharedState,
    place: Place,
    resume: bool,
    console: Console | None,
) -> FitOutcome:
    state.check_writable()
    prepared = prepare(source, settings)
    every = holdout(
        len(source),
        (settings.validation_fraction, settings.calibration_fraction),
        settings.seed,
    )
    prepared.rule.require(len(every.calibration))
    config = training_config(settings, prepared.material, len(every.train))
    most = max(1, min(config.batch_size, len(every.train)) // FEWEST)
    _require_shares(config.batch_size, place, most)
    with connected(place.cluster, processors=place.workers) as session:
        place = _require_processors(session, place, most)
        say(console, f"reading what scores are fitted on, of {len(source):,} pictures")
        share, parts = _seen_here(source, prepared, settings, every)
        state.claim(
            mark_of(settings.model_dump(mode="json"), _name_of(source, share, prepared)),
            resume=resume,
        )
        say(
            console,
            f"training {settings.model!r} on {len(every.train):,} pictures for {config.epochs} "
            f"epochs with {place.workers} workers on {session.nodes} machines; "
            f"{len(every.validation):,} validate, {len(every.calibration):,} calibrate",
        )
        brought: list[Trained] = []
        pictures = _shared(Pictures(source, every.train, every.validation))

        def elsewhere(attempt: int, seed: int) -> Learned:
            job = Job(
                pictures=pictures,
                spec=prepared.spec,
                settings=settings,
                # A worker has the card that Ray gives it, and none that lies beside.
                config=config.model_copy(update={"device": _device(settings)}),
                seed=seed,
                state=state,
                checkpoint=state.checkpoint(attempt),
                conductor=None,
            )
            trained = train_there(job, state, place, console)
            brought.append(trained)
            model = prepared.material.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            weights = trained.weights
            model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
            return Learned(
                model.eval(),
                trained.history,
                trained.interrupted,
                trained.threads,
                trained.workers,
            )

        result = train(
            prepared.material.build,
            share.pixels,
            parts.train,
            parts.validation,
            config,
            tolerate_failure=settings.on_failed_fit == "warn",
            elsewhere=elsewhere,
        )
    trained = brought[-1]
    skipped = {failure.index: failure.what for failure in (*share.failures, *trained.failures)}
    if skipped:
        warn_skipped(list(skipped.values()), depth=4)
    data = DataRecord(
        training=trained.training,
        validation=trained.validation,
        calibration=len(parts.calibration),
        skipped=len(skipped),
        fingerprint=fingerprint_of([prints_of(share), *trained.prints], prepared.spec),
    )
    return conclude(prepared, result, config, share.pixels, share.pixels, parts, data)


def _refuse_unsupported(settings: FitSettings, place: Place) -> None:
    if settings.model == FEATURES:
        raise ConfigurationError(
            "the model 'features' is fitted on one machine: its backbone takes the time, once; "
            "leave the cluster out, or choose a model that rebuilds pixels"
        )
    if settings.device == "mps":
        raise ConfigurationError("device is 'mps'; workers of a cluster take 'cpu' or 'cuda'")
    accelerator_of(settings.device)  # here too: the detector is to score there in the end
    if place.workers is not None and place.workers < 1:
        raise ConfigurationError(f"workers is {place.workers}; wanted at least 1")
    if place.restarts < 0:
        raise ConfigurationError(f"restarts is {place.restarts}; wanted at least 0")


def _device(settings: FitSettings) -> str:
    """Return where workers train: on the processor, unless cards are asked for."""
    return "cuda" if settings.device == "cuda" else "cpu"


def _require_shares(batch_size: int, place: Place, most: int) -> None:
    """Refuse more workers than a batch has pictures for."""
    if place.workers is not None and place.workers > most:
        raise ConfigurationError(
            f"workers is {place.workers}; batches of {batch_size} pictures, {FEWEST} a worker at "
            f"least, are for {most} at most: take fewer workers or a larger batch size"
        )


def _require_processors(session: Session, place: Place, most: int) -> Place:
    """Return the place with the number of its workers, or refuse more than there is room for."""
    there = session.processors
    if there < (place.workers or 1):
        raise ConfigurationError(
            f"workers is {place.workers or 1}, and the cluster at {session.address} has {there} "
            f"processors; take fewer workers, or add machines to it"
        )
    return place._replace(workers=place.workers or min(there, most))


def _seen_here(
    source: ImageSource, prepared: Prepared, settings: FitSettings, every: HeldOut
) -> tuple[Share, HeldOut]:
    """Read what the score and its threshold are fitted on; returns it and the rows of its parts."""
    rng = np.random.default_rng(settings.seed)
    # Drawn as `fitted_score` draws, which then takes all of them.
    train, validation = (
        rng.permutation(part)[:MOST_FOR_SCORE] for part in (every.train, every.validation)
    )
    wanted = np.sort(np.concatenate([train, validation, every.calibration]))
    share = read_share(source, wanted, prepared.spec)
    if not len(share.pixels):
        raise NoReadableImage(
            f"none of {len(wanted)} pictures can be read. {share.failures[0].what}"
        )
    parts = HeldOut(
        train=np.flatnonzero(np.isin(share.indices, train)),
        validation=np.flatnonzero(np.isin(share.indices, validation)),
        calibration=np.flatnonzero(np.isin(share.indices, every.calibration)),
    )
    for name, rows in zip(("training", "validation", "calibration"), parts, strict=True):
        if len(rows) < FEWEST:
            raise TooFewImages(
                f"{len(rows)} readable pictures are left for {name}; wanted at least {FEWEST}: "
                f"give more pictures ({len(share.failures)} of {len(wanted)} cannot be read)"
            )
    prepared.rule.require(len(parts.calibration))
    require_differing(share.pixels)
    return share, parts


def _name_of(source: ImageSource, share: Share, prepared: Prepared) -> str:
    """Name the pictures of a fit, so that it is not resumed with others."""
    return f"{len(source)} pictures, of these {fingerprint_of([prints_of(share)], prepared.spec)}"


def _shared(pictures: Pictures) -> Any:
    """Lay pictures into the cluster's memory, from which each worker takes it."""
    import ray

    try:
        return ray.put(pictures)
    except TypeError as error:
        raise ConfigurationError(
            f"{type(pictures.source).__name__} cannot be sent to other machines ({error}); give a "
            f"folder, files or an array"
        ) from error
