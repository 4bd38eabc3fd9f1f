"""Whether numbers come out the same again: fits and scores in fresh processes, side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliability.check import Check, Finding

MODELS = ("conv", "residual", "masked", "memory")
THREADS = (1, 2)
SEEDS = (7, 8, 9)
OF_SCORES = 1e-5
"""Of scores of one model with ONNX Runtime, however they are batched: in standard deviations of
normal scores."""
_PICTURES, _EPOCHS, _SIDE = 200, 8, 32


def checks() -> Iterator[Check]:
    """Yield the checks of fits, of scores and of metrics."""
    yield Check(
        "numbers-fits",
        "One seed gives the same weights, bit for bit, in every process with as many threads; "
        "another number of threads changes scores by no more than another seed does.",
        _fits,
    )
    yield Check(
        "numbers-scores",
        "One model gives a picture the same score in every process and with any number of threads, "
        f"bit for bit, and within {OF_SCORES:g} standard deviations in any company.",
        _scores,
    )
    yield Check(
        "numbers-metrics",
        "Residua's AUROC, average precision, best F1 and FPR at 95 % TPR are scikit-learn's, with "
        "ties and weights.",
        _metrics,
    )


class Fit(NamedTuple):
    """What one process made of a seed."""

    weights: str
    scores: list[float]
    """Of normal pictures that it has not seen: distances from the mean score of the calibration
    pictures, in standard deviations of theirs."""

    def away_from(self, other: Fit) -> float:
        """Return the mean difference of the scores."""
        return float(np.abs(np.subtract(self.scores, other.scores)).mean())


# The precision is left to the processor, as it is for whoever does not name one.
_FIT = """
import hashlib, json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
from residua import AutoencoderDetector
model, threads, seed, pictures, seen, path, epochs = sys.argv[1:]
import torch
torch.set_num_threads(int(threads))
fitted = AutoencoderDetector(
    model=model, epochs=int(epochs), random_state=int(seed), on_failed_fit="warn"
)
fitted.fit(np.load(pictures))
state, usual = fitted.model_.state_dict(), fitted.calibration_scores_
print(json.dumps({
    "weights": hashlib.sha256(b"".join(v.numpy().tobytes() for v in state.values())).hexdigest(),
    "scores": ((fitted.anomaly_scores(np.load(seen)) - usual.mean()) / usual.std()).tolist(),
}))
fitted.save(path)
"""

_SCORE = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("error")
from residua import BundleScorer
path, threads, seen, size = sys.argv[1:]
scorer, images = BundleScorer(path, threads=int(threads), engine="onnxruntime"), np.load(seen)
if size == "all":
    scores = scorer.anomaly_scores(images)
else:
    parts = np.split(images[..., None], range(int(size), len(images), int(size)))
    scores = np.concatenate([scorer.score_batch(part).scores for part in parts])
print(json.dumps({"scores": scores.tolist(), "spread": float(np.std(scorer.calibration_scores))}))
"""


def _fits() -> Finding:
    unequal, of_threads, of_seeds = [], {}, {}
    with tempfile.TemporaryDirectory(prefix="residua-numbers-") as name:
        folder = Path(name)
        _write_pictures(folder)
        for model in MODELS:
            made = {
                (threads, again): _fitted(folder, model, threads, SEEDS[0], again)
                for threads, again in product(THREADS, (0, 1))
            }
            unequal += [
                f"{model} with {threads} threads"
                for threads in THREADS
                if made[threads, 0] != made[threads, 1]
            ]
            one, other = (made[threads, 0] for threads in THREADS)
            of_threads[model] = one.away_from(other)
            seeds = [one, *(_fitted(folder, model, THREADS[0], seed, 0) for seed in SEEDS[1:])]
            of_seeds[model] = float(np.median([a.away_from(b) for a, b in combinations(seeds, 2)]))
    beside = ", ".join(f"{m} {of_threads[m]:.2g} and {of_seeds[m]:.2g}" for m in MODELS)
    return Finding(
        kept=not unequal and all(of_threads[m] <= of_seeds[m] for m in MODELS),
        figures=f"{6 * len(MODELS)} fits of {len(MODELS)} networks: {len(unequal)} pairs of equal "
        f"threads differ{': ' if unequal else ''}{', '.join(unequal)}; mean change of a score, in "
        f"standard deviations of normal ones, by threads (1 and 2) and by seeds: {beside}",
    )


def _scores() -> Finding:
    with tempfile.TemporaryDirectory(prefix="residua-numbers-") as name:
        folder = Path(name)
        _write_pictures(folder)
        _fitted(folder, MODELS[0], 1, SEEDS[0], 0)
        found = {
            (threads, size): _run(
                _SCORE, 0, folder / "m.residua", threads, folder / "seen.npy", size
            )
            for threads, size in product((1, 2, 4), ("all", "1", "7"))
        }
        again = _run(_SCORE, 1, folder / "m.residua", 1, folder / "seen.npy", "all")
    reference = found[1, "all"]
    same = [found[threads, "all"]["scores"] == reference["scores"] for threads in (2, 4)]
    same.append(again["scores"] == reference["scores"])
    away = max(
        float(np.abs(np.subtract(one["scores"], reference["scores"])).max())
        for one in found.values()
    )
    away /= reference["spread"]
    return Finding(
        kept=all(same) and away <= OF_SCORES,
        figures=f"{len(found) + 1} processes, 1, 2 and 4 threads, 1, 7 and all pictures at a time: "
        f"{same.count(False)} of {len(same)} repetitions differ; in other company by up to "
        f"{away:.2g} standard deviations",
    )


def _metrics() -> Finding:
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

    from residua.evaluation.ranking import METRICS, _figures, _ranked

    rng, worst, cases = np.random.default_rng(0), 0.0, 300
    for _ in range(cases):
        n = int(rng.integers(2, 60))
        truth = rng.random(n) < rng.uniform(0.1, 0.9)
        truth[:2] = [False, True]
        scores = np.round(rng.normal(truth * 1.0), int(rng.integers(0, 4)))
        weights = rng.integers(1, 5, n).astype(float)
        ranked = _ranked(truth, scores)
        own = dict(zip(METRICS, _figures(ranked, weights[None, ranked.order])[:, 0], strict=True))
        fpr, tpr, _ = roc_curve(truth, scores, sample_weight=weights, drop_intermediate=False)
        theirs = {
            "auroc": roc_auc_score(truth, scores, sample_weight=weights),
            "average_precision": average_precision_score(truth, scores, sample_weight=weights),
            "best_f1": max(
                f1_score(truth, scores >= limit, sample_weight=weights)
                for limit in np.unique(scores)
            ),
            "fpr_at_95_tpr": fpr[np.argmax(tpr >= 0.95 * (1 - 1e-12))],
        }
        worst = max(worst, *(abs(own[name] - theirs[name]) for name in METRICS))
    return Finding(
        kept=bool(worst <= 1e-9),
        figures=f"{cases:,} draws with ties and weights: largest difference {worst:.1e}",
    )


def _fitted(folder: Path, model: str, threads: int, seed: int, hash_seed: int) -> Fit:
    files = (folder / "pictures.npy", folder / "normal.npy", folder / "m.residua")
    found = _run(_FIT, hash_seed, model, threads, seed, *files, _EPOCHS, threads=threads)
    return Fit(**found)


def _run(program: str, hash_seed: int, *arguments: object, threads: int | None = None) -> Any:
    """Run a program in a fresh process with another order of hashes; returns what it prints."""
    own = {"PYTHONHASHSEED": str(hash_seed)}
    if threads is not None:
        own["OMP_NUM_THREADS"] = str(threads)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.strip().rpartition("\n")[2])


def _write_pictures(folder: Path) -> None:
    """Write soft spots to learn, and spots, stripes, black and white to score."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    y, x = rng.uniform(_SIDE * 0.3, _SIDE * 0.7, (2, _PICTURES + 40, 1, 1))
    spots = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * (_SIDE / 6) ** 2))
    pictures = np.rint(255 * spots).astype(np.uint8)
    stripes = np.broadcast_to((rows // 2 % 2 * 210 + 20).astype(np.uint8), (8, _SIDE, _SIDE))
    plain = np.stack([np.full((_SIDE, _SIDE), level, np.uint8) for level in (0, 128, 255)])
    np.save(folder / "pictures.npy", pictures[:_PICTURES])
    np.save(folder / "normal.npy", pictures[_PICTURES:])
    np.save(folder / "seen.npy", np.concatenate([pictures[_PICTURES:], stripes, plain]))
