"""Compare methods: the same pictures, the same figures, one row a method."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from residua.comparison.backbone import backbone_methods
from residua.comparison.choice import Methods, chosen_methods
from residua.comparison.fits import Fits, Trial
from residua.comparison.leaderboard import Comparison
from residua.comparison.measuring import MEMORY_MEASURED
from residua.comparison.methods import features_method
from residua.comparison.pixels import decode_to_files, flat_spec
from residua.comparison.protocol import Protocol, draw, lay_out
from residua.comparison.ranks import ranked_rows
from residua.errors import ConfigurationError, TrainingError
from residua.images.preprocess import InputSpec
from residua.workspace import workspace
from residua.writing import make_folder

if TYPE_CHECKING:
    from rich.console import Console


def compare(
    train: Any,
    test: Any,
    *,
    methods: Methods | None = None,
    backbone: str | Path | None = None,
    normal: Sequence[str] | None = None,
    anomalous: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    image_size: int | tuple[int, int] | None = None,
    epochs: int | None = None,
    n_train: int | None = None,
    n_test: int | None = None,
    folder: str | Path | None = None,
    console: Console | None = None,
) -> Comparison:
    """Compare methods of anomaly detection on the same pictures.

    Every method is fitted on trusted pictures alone and scores the same test pictures. Labels of
    the test pictures are used for the figures and for nothing else. Each fit runs in a process of
    its own, so that its memory can be measured.

    Parameters
    ----------
    train, test : ImageSource, path-like, str, list or ndarray
        Whatever `residua.images.resolve_source` takes: folders, data sets' names, arrays. Both the
        same: one labelled data set, of which 70 % of the trusted pictures are trained on unless it
        comes in parts. See `residua.comparison.protocol.lay_out`.
    methods : sequence of str or detectors, mapping of names to detectors, or None
        Names of `residua.comparison.methods.all_methods`; "pyod:ECOD" and the like; or detectors
        of scikit-learn or PyOD that are not fitted, which get flattened pixels in [0, 1]; or
        `AutoencoderDetector`. Seeds go where ``random_state`` is None. None: all names.
    backbone : path-like or None, default=None
        An ONNX file of a pretrained network: two methods on its features are added, and the
        network "features", which rebuilds them. See `residua.comparison.backbone`.
    normal, anomalous : sequence of str or None, default=None
        Classes of the test pictures. None: all of ``test`` is anomalous, unless ``train`` and
        ``test`` are the same.
    seeds : sequence of int, default=(0,)
        Each method is fitted once for each, on training pictures that are drawn with it.
    image_size : int, (int, int) or None, default=None
        Size to which all pictures are brought, in pixels. None: suggested by the training ones.
        Methods of flattened pixels get them smaller where they have more than 4,096 numbers.
    epochs : int or None, default=None
        Passes of each network over its pictures. None: the network's own choice.
    n_train : int or None, default=None
        Training pictures at most.
    n_test : int or None, default=None
        Test pictures at most, of each kind.
    folder : path-like or None, default=None
        Each fit's scores are kept there, and reused by a later call with the same pictures and
        settings; ``comparison.json`` and ``comparison.csv`` are written at the end.
    console : Console or None, default=None
        Where progress is shown.

    Returns
    -------
    comparison : Comparison

    Raises
    ------
    BadLabels
        No class is named where one has to be, none is of that name, or all test pictures are of
        one kind.
    UnknownName, ConfigurationError, MissingExtra
        A method that does not exist, is no detector, or is not installed.
    TrainingError
        Not one method could be fitted.

    Examples
    --------
    >>> from residua.comparison.compare import compare
    >>> found = compare("digits", "digits", normal=["0"], methods=["pca", "knn"])
    >>> found.best.auroc.value > 0.9
    True
    """
    if not seeds:
        raise ConfigurationError("seeds is empty; give at least one, such as 0")
    chosen = chosen_methods(methods)
    if backbone is not None:
        chosen += [*chosen_methods(backbone_methods(backbone)), features_method(backbone)]
    protocol = lay_out(train, test, normal=normal, anomalous=anomalous, seed=seeds[0])
    spec = protocol.trusted.suggest_spec(size=image_size)
    # Before the work that is to be kept there.
    kept = None if folder is None else make_folder(Path(folder)) / "fits"
    with workspace("residua-compare") as room:
        trial = _decoded(protocol, spec, seeds, n_train, n_test, room)
        fits = Fits(trial, spec, epochs, room, kept, console)
        results, left_out = fits.all(chosen, seeds)
    if not results:
        causes = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise TrainingError(f"not one method could be fitted: {causes}")
    truth = trial.anomalous
    comparison = Comparison(
        protocol=protocol.words,
        spec=spec,
        flat=flat_spec(spec),
        n_trusted=len(protocol.trusted),
        n_normal=int(np.count_nonzero(~truth)),
        n_anomalous=int(np.count_nonzero(truth)),
        seeds=list(seeds),
        rows=ranked_rows(truth, results),
        left_out=left_out,
        memory=MEMORY_MEASURED,
        versions={name: version(name) for name in ("residua", "scikit-learn", "torch", "numpy")},
    )
    if folder is not None:
        comparison.save(folder)
    return comparison


def _decoded(
    protocol: Protocol,
    spec: InputSpec,
    seeds: Sequence[int],
    n_train: int | None,
    n_test: int | None,
    room: Path,
) -> Trial:
    drawn = {
        seed: draw(np.arange(len(protocol.trusted)), n_train, seed) for seed in dict.fromkeys(seeds)
    }
    pool = np.unique(np.concatenate(list(drawn.values())))
    train = decode_to_files([(protocol.trusted, pool)], spec, room, "train")
    readable = pool[train.readable]
    rows = {seed: np.flatnonzero(np.isin(readable, indices)) for seed, indices in drawn.items()}
    # Positions in all test parts together, so that each kind is drawn from all of them.
    truth = np.concatenate([part.anomalous for part in protocol.tested])
    tested = np.sort(
        np.concatenate([draw(np.flatnonzero(truth == kind), n_test, seeds[0]) for kind in (0, 1)])
    )
    parts, start = [], 0
    for part in protocol.tested:
        end = start + len(part.anomalous)
        parts.append((part.source, tested[(tested >= start) & (tested < end)] - start))
        start = end
    test = decode_to_files(parts, spec, room, "test")
    return Trial(train, rows, test, truth[tested][test.readable])
