"""AutoencoderDetector: pictures in, verdicts out, as a scikit-learn outlier detector."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import isqrt
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from residua.bundle import open_bundle
from residua.card import card
from residua.catalogue import DEFAULT_MODEL
from residua.errors import BadArray
from residua.fitting import FitOutcome, fit_network, manifest_of
from residua.graph import in_full_float32
from residua.images.resolve import resolve_source
from residua.images.source import ArraySource, Batch, ImageSource
from residua.saving import load_graph, save_model
from residua.scoring.calibration import discoveries, p_values, require_fdr
from residua.scoring.thresholds import ThresholdRule
from residua.scoring.verdicts import (
    ScoredBatch,
    Verdict,
    VerdictMaker,
    batch_size_for,
    scored_batches,
    with_numbers,
)
from residua.settings import FitSettings
from residua.storage import local_path
from residua.training.fit import accelerator_of


class AutoencoderDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Finds the pictures that a convolutional autoencoder, fitted on trusted ones, cannot rebuild.

    Parameters
    ----------
    model : str, default="conv"
        Network, a name from `residua.models.MODELS`; or "features", which rebuilds the features
        of a pretrained network, ``model_options={"backbone": "file.onnx"}``.
    latent_dim : int or None, default=None
        Numbers in the code; None leaves the choice to the network.
    loss : {"mse", "bce"} or None, default=None
        Training loss; None leaves the choice to the network.
    model_options : dict or None, default=None
        Further keyword parameters of the network.
    error_map : str, default="absolute"
        Error map, a name from `residua.scoring.errors.ERROR_MAPS`: "absolute", "squared", "bce",
        "bce_excess", "ssim".
    reduction : str, default="mean"
        How the map becomes one number: "mean", "topk(0.05)", "max(2)".
    scoring : str, default="surprise"
        What the score is, a name from `residua.scoring.names.SCORES`: "error" is that number as
        it is; "relative" sets it against the picture's own content, "worst" does so for the
        worst twentieth of the picture, "normalised" sets each pixel's error against what is usual
        there, and "normalised_relative" does both; "mahalanobis" and "knn" measure how far the
        code lies from normal codes; "surprise" joins "relative", "worst", "normalised_relative"
        and "knn", each in standard deviations of normal pictures.
    threshold : str or ThresholdRule, default="auto"
        Rule fitted on held-out normal pictures: "conformal(0.01)", "tail(0.001)",
        "percentile(99)", "zscore(3)", "zscore(3, two_sided=True)", "mad(3.5)". "auto" is
        "conformal(0.01)", or the strictest promise that fewer than 99 calibration pictures allow.
    epochs : int or None, default=None
        Passes over the training pictures, at most. None: as many as make about 4,000 steps,
        from 15 to 200; of features 300 steps, from 5 to 30.
    batch_size : int or None, default=None
        Pictures in one step. None: from 8 to 128 by the number of pictures.
    learning_rate : float, default=5e-3
        Step size of Adam: the greatest of the cycle, or the constant one.
    schedule : {"one-cycle", "constant"}, default="one-cycle"
        Course of the learning rate: a short rise and a long fall, or none.
    patience : int or None, default=None
        Epochs without a better validation loss after which training stops. None: never.
    validation_fraction : float, default=0.1
        Share of the pictures, in (0, 1), on which the best epoch is chosen, and which set the scale
        of the score's parts.
    calibration_fraction : float, default=0.1
        Share of the pictures, in (0, 1), on which threshold and p-values rest, and the full scale
        of heat maps; the score has seen none of them.
    image_size : int, (int, int) or None, default=None
        Side, or height and width, in pixels, from 8 to 1024, to which pictures are brought.
        None: the pictures' own where they agree, at most 256; of features 224.
    channels : int or None, default=None
        1 for grey, 3 for RGB. None: decided from the pictures.
    resize : {"stretch", "pad", "crop"}, default="stretch"
        How another size is brought to the model's.
    value_range : (float, float), "data" or None, default=None
        Values that become black and white in float and deep pictures. "data": the least and the
        greatest value of an array given to `fit`. None: the type's own full range.
    background : (int, int, int), default=(255, 255, 255)
        RGB colour on which transparent pictures are laid.
    precision : {"auto", "float32", "bf16"}, default="auto"
        Arithmetic of training. Scores are always computed in float32.
    device : {"auto", "cpu", "cuda", "mps"}, default="auto"
        Where to train and to score; auto takes a card when there is one. A loaded model scores on
        the processor.
    on_failed_fit : {"raise", "warn"}, default="raise"
        What to do when the network rebuilds no better than the mean picture does.
    checkpoint_dir : path-like or None, default=None
        Folder of this machine for the state after each epoch, from which a killed fit can be
        resumed. It is left there; delete it when the model is saved.
    resume : bool, default=False
        Go on from the state in ``checkpoint_dir``; the result is that of an uninterrupted fit.
    random_state : int, RandomState or None, default=0
        Seed of splits, weights and order.
    verbose : int, default=0
        1 shows progress on standard error.

    Attributes
    ----------
    input_spec_ : InputSpec
        Size, channels and range to which every picture is brought.
    model_ : Autoencoder
        The trained network.
    threshold_ : Threshold
        The limits of the verdict.
    offset_ : float
        Minus the upper limit, so that ``decision_function = score_samples - offset_`` with a
        one-sided rule.
    calibration_scores_ : ndarray of shape (n_calibration,), float64
        Anomaly scores of the calibration pictures.
    history_ : list of EpochRecord
        Losses and speed of each epoch.
    checks_ : FitChecks
        The network's error beside those of the mean picture and of PCA.
    seed_ : int
        The seed that led to the weights.
    interrupted_ : bool
        Whether Ctrl-C ended training before its time.
    n_features_in_ : int
        Columns of X, where `fit` was given a table with one flattened picture a row.

    References
    ----------
    Japkowicz, Myers and Gluck, "A novelty detection approach to classification", IJCAI 1995.

    Examples
    --------
    >>> from residua import AutoencoderDetector, load_dataset
    >>> detector = AutoencoderDetector(epochs=2).fit(load_dataset("digits", "train"))
    >>> detector.predict(load_dataset("digits", "test")).shape
    (597,)
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        latent_dim: int | None = None,
        loss: str | None = None,
        model_options: Mapping[str, Any] | None = None,
        error_map: str = "absolute",
        reduction: str = "mean",
        scoring: str = "surprise",
        threshold: str | ThresholdRule = "auto",
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 5e-3,
        schedule: str = "one-cycle",
        patience: int | None = None,
        validation_fraction: float = 0.1,
        calibration_fraction: float = 0.1,
        image_size: int | tuple[int, int] | None = None,
        channels: int | None = None,
        resize: str = "stretch",
        value_range: tuple[float, float] | str | None = None,
        background: tuple[int, int, int] = (255, 255, 255),
        precision: str = "auto",
        device: str = "auto",
        on_failed_fit: str = "raise",
        checkpoint_dir: str | os.PathLike[str] | None = None,
        resume: bool = False,
        random_state: int | np.random.RandomState | None = 0,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.latent_dim = latent_dim
        self.loss = loss
        self.model_options = model_options
        self.error_map = error_map
        self.reduction = reduction
        self.scoring = scoring
        self.threshold = threshold
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.calibration_fraction = calibration_fraction
        self.image_size = image_size
        self.channels = channels
        self.resize = resize
        self.value_range = value_range
        self.background = background
        self.precision = precision
        self.device = device
        self.on_failed_fit = on_failed_fit
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit on trusted pictures.

        Parameters
        ----------
        X : ImageSource, path-like, str, list or ndarray
            A folder, files, a registered data set's name, or an array (N, H, W) or (N, H, W, C):
            uint8, uint16, or float in [0, 1]. A table (N, F) holds one flattened picture a row:
            square where F is a square number, else of one line.
        y : None
            Ignored: labels of anomalies have no part in a fit.

        Returns
        -------
        self : AutoencoderDetector

        Raises
        ------
        InputError
            Too few pictures, none readable, or all equal.
        ConfigurationError
            A parameter outside its range.
        TrainingError
            Training diverged or learned nothing, or cannot be resumed.
        """
        state = self.checkpoint_dir or None
        folder = None if state is None else local_path(state, "the state of a fit")
        source = self._source(X, reset=True)
        settings = self.settings_for(source)
        outcome = fit_network(
            source,
            settings,
            checkpoint_folder=folder,
            resume=self.resume,
            console=Console(stderr=True) if self.verbose else None,
        )
        self.adopt(outcome, settings)
        return self

    def anomaly_scores(self, X: Any) -> NDArray[np.float64]:
        """Return the score of each picture (N,): the higher, the more anomalous.

        Parameters
        ----------
        X : as in `fit`

        Raises
        ------
        ImageError
            A picture that cannot be read; `verdicts` goes on past it instead.
        """
        return np.concatenate([scored.scores for scored in self._scored_strictly(X)])

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Return minus the anomaly score (N,): the lower, the more abnormal."""
        return -self.anomaly_scores(X)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the distance to the nearer limit (N,): negative for outliers.

        With a two-sided rule this is not ``score_samples - offset_``, since either limit may be
        the nearer one.
        """
        scores = self.anomaly_scores(X)
        return self.threshold_.margin(scores)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Return +1 for inliers and -1 for outliers (N,)."""
        scores = self.anomaly_scores(X)
        return np.where(self.threshold_.is_anomalous(scores), -1, 1)

    def p_values(self, X: Any) -> NDArray[np.float64]:
        """Return how often a held-out normal picture scores as high as each picture (N,).

        In (0, 1]; the lower, the rarer. Below 1 / (n + 1) with n calibration pictures it cannot
        fall. See `residua.scoring.calibration.p_values`.
        """
        scores = self.anomaly_scores(X)
        return p_values(scores, self.calibration_scores_)

    def discoveries(self, X: Any, fdr: float = 0.1) -> NDArray[np.bool_]:
        """Say which pictures (N,) are anomalous when all of them are judged together.

        Parameters
        ----------
        X : as in `fit`
        fdr : float, default=0.1
            False-discovery rate, in (0, 1): the share of normal pictures to expect among those
            called anomalous, at most. The threshold has no part in it. See
            `residua.scoring.calibration.discoveries`.

        Raises
        ------
        ConfigurationError
            The rate is not in (0, 1).
        """
        require_fdr(fdr)
        scores = self.anomaly_scores(X)
        return discoveries(scores, self.calibration_scores_, fdr)

    def reconstruct(self, X: Any) -> NDArray[np.float32]:
        """Return the pictures as the network rebuilds them (N, H, W, C), in [0, 1].

        H and W are the model's input size. Where features are rebuilt, no picture is: what comes
        is a view of what each code stands for, on which no score depends.
        """
        return np.concatenate([scored.x_hat for scored in self._scored_strictly(X)])

    def error_maps(self, X: Any) -> NDArray[np.float32]:
        """Return where each picture was not rebuilt (N, H, W), at the model's input size."""
        return np.concatenate([scored.error_maps for scored in self._scored_strictly(X)])

    def encode(self, X: Any) -> NDArray[np.float32]:
        """Return the code of each picture (N, latent_dim)."""
        return np.concatenate([scored.latent for scored in self._scored_strictly(X)])

    def verdicts(self, X: Any) -> Iterator[Verdict]:
        """Yield one `Verdict` a picture, in order; unreadable ones carry their error."""
        source = self._source(X, reset=False)
        maker = VerdictMaker(source, self.threshold_, self.calibration_scores_)
        for batch, scored in self.batches(source):
            yield from maker.of(batch, scored)

    def batches(
        self, source: ImageSource, *, workers: int | None = None
    ) -> Iterator[tuple[Batch, ScoredBatch | None]]:
        """Score a source batch by batch; None stands where no picture of a batch is readable.

        ``workers`` threads decode; None: one for each core.
        """
        on_card = next(self.graph_.parameters()).is_cuda
        size = batch_size_for(self.input_spec_, on_card=on_card)
        return scored_batches(
            source, self.input_spec_, self.score_batch, workers=workers, size=size
        )

    def score_batch(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C), uint8, of the model's own input size.

        Raises
        ------
        EngineFailed
            A score is NaN or infinite.
        """
        device = next(self.graph_.parameters()).device
        with torch.inference_mode(), in_full_float32(device):
            results = self.graph_(torch.from_numpy(np.ascontiguousarray(images)).to(device))
        return with_numbers(ScoredBatch(*(result.cpu().numpy() for result in results)))

    def save(self, path: str | os.PathLike[str]) -> Path | str:
        """Save the fitted model as a bundle, a folder that `load` and the command line read.

        Parameters
        ----------
        path : path-like or URL
            Of this machine, or of an object store, such as ``s3://bucket/part.residua``.

        Returns
        -------
        Path or str
            The path; for an object store the URL.

        Raises
        ------
        OutputError
            The folder cannot be written, or something that is no bundle lies there.
        StorageError
            The object store does not let it be written.
        """
        check_is_fitted(self)
        return save_model(path, self.manifest_, self.graph_, self.calibration_scores_)

    def settings_for(self, source: ImageSource) -> FitSettings:
        """Return the parameters, validated together, as a fit of this source takes them.

        Raises
        ------
        ConfigurationError
            A parameter outside its range.
        """
        values = self.get_params(deep=False)
        for own in ("checkpoint_dir", "resume", "verbose"):
            del values[own]
        random_state = values.pop("random_state")
        if not isinstance(random_state, Integral):
            random_state = check_random_state(random_state).randint(2**31 - 1)
        values["score"] = values.pop("scoring")
        if values["value_range"] == "data":
            if not isinstance(source, ArraySource):
                raise BadArray("value_range 'data' is for arrays; give (lowest, highest) for files")
            values["value_range"] = source.value_range()
        return FitSettings.checked({**values, "seed": int(random_state)})

    def _html_repr(self) -> str:
        # What scikit-learn's notebook display calls.
        if not self.__sklearn_is_fitted__():
            unfitted: str = super()._html_repr()
            return unfitted
        return card(self.manifest_, self.calibration_scores_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "graph_")

    def adopt(self, outcome: FitOutcome, settings: FitSettings) -> None:
        """Take over what a fit under these settings has left, as `fit` does with its own."""
        self.input_spec_ = outcome.input_spec
        # Scores hold float64, which MPS does not have: there the processor scores.
        device = accelerator_of(settings.device)
        self.graph_ = outcome.graph.to("cpu" if device == "mps" else device)
        self.threshold_ = outcome.threshold
        self.calibration_scores_ = outcome.calibration_scores
        self.history_ = outcome.training.history
        self.checks_ = outcome.training.checks
        self.seed_ = outcome.training.seed
        self.interrupted_ = outcome.training.interrupted
        self.manifest_ = manifest_of(outcome, settings, getattr(self, "n_features_in_", None))
        self.model_ = self.graph_.model
        self.offset_ = -self.threshold_.upper

    def _source(self, X: Any, *, reset: bool) -> ImageSource:
        if not reset:
            check_is_fitted(self)
        if _is_table(X):
            table = validate_data(self, X, reset=reset, dtype="numeric")
            return ArraySource(table.reshape(len(table), *_row_shape(table.shape[1])))
        if reset and hasattr(self, "n_features_in_"):
            del self.n_features_in_
        return resolve_source(X, prefer="train" if reset else "test")

    def _scored_strictly(self, X: Any) -> Iterator[ScoredBatch]:
        for batch, scored in self.batches(self._source(X, reset=False)):
            if batch.failures:
                raise batch.failures[0].error
            assert scored is not None
            yield scored


def load(path: str | os.PathLike[str]) -> AutoencoderDetector:
    """Load a bundle as a fitted `AutoencoderDetector`. Runs no code of the bundle.

    Parameters
    ----------
    path : path-like or URL
        The bundle's folder, of this machine or an object store.

    Raises
    ------
    BundleError
        The bundle cannot be used; the subclass says why.
    """
    bundle = open_bundle(path)
    manifest = bundle.manifest
    settings = manifest.settings
    values = settings.model_dump(exclude={"seed", "score"})
    detector = AutoencoderDetector(**values, scoring=settings.score, random_state=settings.seed)
    detector.graph_ = load_graph(bundle)
    detector.model_ = detector.graph_.model
    detector.manifest_ = manifest
    detector.input_spec_ = manifest.input
    detector.threshold_ = manifest.threshold
    detector.offset_ = -manifest.threshold.upper
    detector.calibration_scores_ = bundle.calibration_scores()
    detector.history_ = manifest.history
    detector.checks_ = manifest.checks
    detector.seed_ = manifest.seed
    detector.interrupted_ = manifest.interrupted
    if manifest.n_features is not None:
        detector.n_features_in_ = manifest.n_features
    return detector


def _is_table(X: Any) -> bool:
    """Whether X is for scikit-learn's own validation: rows of numbers, or what it refuses."""
    if hasattr(X, "toarray"):
        return True
    if hasattr(X, "__array__") and not isinstance(X, Image.Image):
        shaped = X if hasattr(X, "ndim") else np.asarray(X)
        holds_paths = shaped.ndim == 1 and len(shaped) and isinstance(next(iter(shaped)), str)
        return bool(shaped.ndim <= 2 and not holds_paths)
    first = X[0] if isinstance(X, (list, tuple)) and X else None
    return isinstance(first, (list, tuple, int, float))


def _row_shape(n_features: int) -> tuple[int, int]:
    side = isqrt(n_features)
    return (side, side) if side * side == n_features else (1, n_features)
