"""One fit, from a source of pictures to a trained network with its threshold."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from residua.errors import (
    CannotResume,
    IdenticalImages,
    OutputError,
    SkippedImages,
    TooFewForThreshold,
    TooFewImages,
)
from residua.features.record import BackboneRecord
from residua.graph import ScoringGraph
from residua.images.preprocess import InputSpec
from residua.images.source import ImageSource
from residua.images.splits import HeldOut, holdout
from residua.manifest import DataRecord, Manifest, ModelRecord, quantiles_of
from residua.material import Material, material_of
from residua.models import package_of
from residua.normality import calibrate, fitted_score, warn_if_confounded
from residua.scoring.thresholds import Threshold, ThresholdRule, build_rule
from residua.settings import FitSettings
from residua.training.claim import FIT_MARK, mark_of, require_same_fit, warn_discarded, written_mark
from residua.training.config import TrainingConfig
from residua.training.feeding import PixelStore, decode_all, room_for_pixels
from residua.training.fit import TrainingResult, choose_batch_size, train
from residua.training.module import EpochWatcher
from residua.writing import whole_file

MIN_IMAGES = 6
"""Fewer cannot be held apart for training, validation and calibration."""


@dataclass(frozen=True)
class FitOutcome:
    """Everything that a fit leaves behind."""

    input_spec: InputSpec
    graph: ScoringGraph
    """The trained network with its score, on the CPU, in evaluation mode."""
    training: TrainingResult
    config: TrainingConfig
    threshold: Threshold
    calibration_scores: NDArray[np.float64]
    map_ceiling: float
    data: DataRecord
    backbone: BackboneRecord | None = None
    """The frozen network whose features are rebuilt. None: pixels are."""


class Prepared(NamedTuple):
    """What is settled before the first picture is decoded."""

    rule: ThresholdRule
    material: Material
    spec: InputSpec


def fit_network(
    source: ImageSource,
    settings: FitSettings,
    *,
    checkpoint_folder: Path | None = None,
    resume: bool = False,
    console: Console | None = None,
    on_epoch: EpochWatcher | None = None,
) -> FitOutcome:
    """Fit a network on trusted pictures and a threshold on some that were held out.

    Parameters
    ----------
    source : ImageSource
        Trusted pictures. Unreadable ones are left out with a warning.
    settings : FitSettings
    checkpoint_folder : Path or None
        Folder for the state after each epoch.
    resume : bool
        Go on from that state.
    console : Console or None
        Where progress is shown.
    on_epoch : callable or None
        Is told of each epoch, with the network as it stands; what it raises ends the fit.

    Raises
    ------
    InputError
        Too few pictures, none readable, or all equal.
    TrainingError
        Training failed or cannot be resumed.
    """
    # Everything that can be refused is refused before the first picture is decoded.
    if resume and not (checkpoint_folder and (checkpoint_folder / FIT_MARK).is_file()):
        raise CannotResume(
            f"there is no interrupted fit in {checkpoint_folder}; fit without resuming"
        )
    prepared = prepare(source, settings)
    material, spec = prepared.material, prepared.spec
    with room_for_pixels(checkpoint_folder) as folder:
        if console is not None and not source.in_memory:
            passed = getattr(source, "ignored", 0)
            others = f"; {passed:,} files of other kinds are passed over" if passed else ""
            console.print(
                f"decoding {len(source):,} pictures to {spec.height} × {spec.width} "
                f"{spec.colour}{others}",
                highlight=False,
            )
        store = decode_all(source, spec, cache=folder)
        check_store(store)
        parts = holdout(
            len(store.pixels),
            (settings.validation_fraction, settings.calibration_fraction),
            settings.seed,
        )
        prepared.rule.require(len(parts.calibration))
        config = training_config(settings, material, len(parts.train))
        if checkpoint_folder is not None:
            _claim(checkpoint_folder, settings, store, resume)
        if console is not None:
            console.print(
                f"training {settings.model!r} on {len(parts.train):,} pictures for "
                f"{config.epochs} epochs; {len(parts.validation):,} validate, "
                f"{len(parts.calibration):,} calibrate",
                highlight=False,
            )
        inputs = material.inputs(store.pixels, parts.train, folder)
        result = train(
            material.build,
            inputs,
            parts.train,
            parts.validation,
            config,
            checkpoint_folder=checkpoint_folder,
            resume=resume,
            # Features of parts that all lie alike are told well by their mean alone, and the
            # network, which starts as a linear one, has not failed where it is no better.
            tolerate_failure=settings.on_failed_fit == "warn" or material.backbone is not None,
            console=console,
            on_epoch=on_epoch,
        )
        data = DataRecord(
            training=len(parts.train),
            validation=len(parts.validation),
            calibration=len(parts.calibration),
            skipped=len(store.failures),
            fingerprint=store.fingerprint,
        )
        return conclude(prepared, result, config, store.pixels, inputs, parts, data)


def prepare(source: ImageSource, settings: FitSettings) -> Prepared:
    """Look at a sample of the pictures, and refuse what can be refused before one is decoded.

    Raises
    ------
    InputError
        Too few pictures, or none readable.
    ConfigurationError
        A setting that does not fit them.
    """
    rule = build_rule(settings.threshold)
    material = material_of(settings)
    _require_enough(len(source), "")
    spec = source.suggest_spec(
        size=material.image_size,
        channels=settings.channels,
        resize=settings.resize,
        value_range=None if settings.value_range == "data" else settings.value_range,
        background=settings.background,
    )

    material.meet(spec)
    material.check()
    with torch.device("meta"):  # no weights are drawn
        trial = material.build()
    material.score(trial)  # refused here, if at all, and fitted at the end
    return Prepared(rule, material, spec)


def conclude(
    prepared: Prepared,
    training: TrainingResult,
    config: TrainingConfig,
    pixels: NDArray[np.uint8],
    inputs: NDArray[Any],
    parts: HeldOut,
    data: DataRecord,
) -> FitOutcome:
    """Fit the score of a trained network and its threshold.

    Parameters
    ----------
    prepared : Prepared
    training : TrainingResult
    config : TrainingConfig
        How it was trained.
    pixels : ndarray of shape (N, H, W, C), uint8
    inputs : ndarray of shape (N, …)
        What the network takes of them.
    parts : HeldOut
        Rows of both: those trained on, those that chose the epoch, those that calibrate.
    data : DataRecord
        What the bundle says of the pictures.
    """
    rule, material, spec = prepared
    score = fitted_score(material, training.model, inputs, parts)
    graph = material.graph(training.model, score, pixels, inputs, parts.train)
    scores, ceiling = calibrate(graph, pixels, parts.calibration, spec)
    warn_if_confounded(graph, material, pixels, inputs, parts)
    _warn_of_few(rule, len(scores))
    return FitOutcome(
        input_spec=spec,
        graph=graph,
        training=training,
        config=config,
        threshold=rule.fit(scores),
        calibration_scores=scores,
        map_ceiling=ceiling,
        data=data,
        backbone=material.backbone,
    )


def with_score(outcome: FitOutcome, settings: FitSettings, pixels: NDArray[np.uint8]) -> FitOutcome:
    """Return a fit under another score or threshold rule; the network is the same.

    For networks that rebuild pixels.

    Parameters
    ----------
    outcome : FitOutcome
        Of settings that differ in ``error_map``, ``reduction``, ``score`` and ``threshold`` at
        most.
    settings : FitSettings
    pixels : ndarray of shape (N, H, W, C), uint8
        The pictures of the fit, at the size of its input. Score and threshold are fitted anew on
        those of them that they were fitted on before.
    """
    fractions = (settings.validation_fraction, settings.calibration_fraction)
    held = holdout(len(pixels), fractions, settings.seed)
    material = material_of(settings)
    model = outcome.graph.model
    graph = ScoringGraph(model, fitted_score(material, model, pixels, held)).eval()
    scores, ceiling = calibrate(graph, pixels, held.calibration, outcome.input_spec)
    return replace(
        outcome,
        graph=graph,
        threshold=build_rule(settings.threshold).fit(scores),
        calibration_scores=scores,
        map_ceiling=ceiling,
    )


def manifest_of(outcome: FitOutcome, settings: FitSettings, n_features: int | None) -> Manifest:
    """Return what a bundle of this fit says of itself.

    Parameters
    ----------
    outcome : FitOutcome
    settings : FitSettings
    n_features : int or None
        Columns of the table that was fitted; None: pictures.
    """
    model = outcome.training.model
    packages = ("residua", "torch", "lightning", "numpy", "pillow")
    return Manifest(
        created=datetime.now(UTC),
        versions={name: version(name) for name in packages},
        input=outcome.input_spec,
        model=ModelRecord(
            name=settings.model,
            package=package_of(settings.model),
            latent_dim=model.latent_dim,
            loss=model.loss,
            parameters=sum(p.numel() for p in model.parameters()),
            backbone=outcome.backbone,
        ),
        settings=settings,
        training=outcome.config,
        seed=outcome.training.seed,
        interrupted=outcome.training.interrupted,
        workers=outcome.training.workers,
        threads=outcome.training.threads,
        threshold=outcome.threshold,
        calibration_quantiles=quantiles_of(outcome.calibration_scores),
        map_ceiling=outcome.map_ceiling,
        data=outcome.data,
        n_features=n_features,
        history=outcome.training.history,
        checks=outcome.training.checks,
    )


def training_config(settings: FitSettings, material: Material, n_train: int) -> TrainingConfig:
    """Return how a fit of these settings trains on ``n_train`` pictures."""
    batch_size = settings.batch_size or choose_batch_size(n_train)
    return TrainingConfig(
        epochs=settings.epochs or material.epochs(n_train, batch_size),
        batch_size=batch_size,
        learning_rate=settings.learning_rate,
        schedule=settings.schedule,
        patience=settings.patience,
        precision=settings.precision,
        device=settings.device,
        seed=settings.seed,
    )


def _require_enough(count: int, note: str) -> None:
    if count < MIN_IMAGES:
        raise TooFewImages(
            f"a fit needs at least {MIN_IMAGES} pictures to hold some out, found n_samples={count}"
            f"{note}; give more trusted pictures"
        )


def check_store(store: PixelStore) -> None:
    """Refuse pictures that nothing can be learned from; warn of those that cannot be read.

    Raises
    ------
    TooFewImages
        Fewer readable ones than `MIN_IMAGES`.
    IdenticalImages
        All are equal.
    """
    if store.failures:
        warn_skipped([f"{failure.id}: {failure.error}" for failure in store.failures], depth=5)
    _require_enough(len(store.pixels), f" readable ({len(store.failures)} are not)")
    require_differing(store.pixels)


def warn_skipped(failures: list[str], *, depth: int) -> None:
    """Say which pictures are left out, and why; ``depth`` is how far up the caller's caller is."""
    more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
    warnings.warn(
        f"{len(failures)} unreadable pictures are left out. {'; '.join(failures[:3])}{more}",
        SkippedImages,
        stacklevel=depth,
    )


def require_differing(pixels: NDArray[np.uint8]) -> None:
    """Refuse pictures (N, H, W, C) that nothing can be learned from.

    Raises
    ------
    IdenticalImages
        All are equal.
    """
    if all(np.array_equal(pixels[0], picture) for picture in pixels[1:]):
        raise IdenticalImages(
            f"all {len(pixels)} pictures are equal; there is nothing to learn from them"
        )


def _warn_of_few(rule: ThresholdRule, n: int) -> None:
    """Warn where ``n`` scores are too few for the share that the rule is meant to flag."""
    shortage = rule.shortage(n)
    if shortage is not None:
        warnings.warn(
            f"{shortage}. Fit on more pictures, or hold out a larger calibration fraction",
            TooFewForThreshold,
            stacklevel=4,
        )


def _claim(folder: Path, settings: FitSettings, store: PixelStore, resume: bool) -> None:
    """Mark the checkpoint folder as this fit's, or refuse that of another."""
    mark = folder / FIT_MARK
    own = mark_of(settings.model_dump(mode="json"), store.fingerprint)
    if resume:
        text = mark.read_text(encoding="utf-8", errors="replace")
        require_same_fit(text, own, folder=folder, mark=mark)
        return
    interrupted = sorted(folder.glob("attempt-*"))
    if interrupted:
        warn_discarded(folder)
    for old in interrupted:
        shutil.rmtree(old)
    try:
        with whole_file(mark) as beside:
            beside.write_text(written_mark(own), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{mark} cannot be written: {error.strerror}") from error
