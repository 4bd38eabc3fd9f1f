"""What each score costs beside the error alone, for a saved model scored by ONNX Runtime.

    scripts/bench score_cost [--repeats 9] [--scores surprise,knn,…] [--references 2000]

One `conv` network with fresh weights scores the same pictures under each score in turn with the
raw error, on one thread; ratios are those of neighbouring turns. Scores are fitted on random
codes: what they cost does not depend on what they know, only on how many codes are kept.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from _table import alternate, median_of, paired_ratio, print_table
from residua.graph import ScoringGraph
from residua.models import Autoencoder, build_model
from residua.scoring.score import SCORES, PictureScore, picture_score

REFERENCE = "error"
SHAPES = ((28, 28, 1), (128, 128, 3))
# Pictures at a time: one, as a line gives them, and as many as a folder is scored by.
BATCHES = (1, 32)
# A turn lasts at least so long, so that the clock and other programs matter little.
SECONDS = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--scores", default=",".join(n for n in SCORES if n != REFERENCE))
    parser.add_argument("--references", type=int, default=2_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for shape in SHAPES:
        rows = [
            [score, *measure(score, shape, batch, options.references, options.repeats)]
            for batch in BATCHES
            for score in options.scores.split(",")
        ]
        title = f"{' × '.join(map(str, shape))}, {options.references:,} codes kept"
        header = ("score", "pictures at a time", "ms a picture", f"cost / {REFERENCE}'s")
        print_table(title, header, rows)


def measure(
    score: str, shape: tuple[int, int, int], batch: int, references: int, repeats: int
) -> list[str]:
    """Time a score and the raw error in turns."""
    torch.manual_seed(0)
    model = build_model("conv", shape).eval()
    sides = {
        side: turn(scoring(model, fitted(name, model, references), shape, batch))
        for side, name in (("score", score), ("reference", REFERENCE))
    }
    turns = alternate(sides, repeats)
    each = 1e3 * statistics.median(turns["score"]) / batch
    ratios = paired_ratio(turns["score"], turns["reference"])
    return [str(batch), f"{each:.3f}", median_of(ratios, ".2f")]


def fitted(name: str, model: Autoencoder, references: int) -> PictureScore:
    """Fit a score on random pictures and codes."""
    score = picture_score(score=name, code_size=model.latent_dim)
    draw = torch.Generator().manual_seed(0)

    def observe(rows: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for start in range(0, len(rows), 100):
            n = len(rows[start : start + 100])
            pair = torch.rand(2, n, model.channels, model.height, model.width, generator=draw)
            yield pair[0], pair[1], torch.randn(n, model.latent_dim, generator=draw)

    score.fit(observe, np.arange(references), np.arange(100), 0)
    return score


def scoring(
    model: Autoencoder, score: PictureScore, shape: tuple[int, int, int], batch: int
) -> Callable[[], object]:
    """Return a call that scores a batch by ONNX Runtime."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    graph = ScoringGraph(model, score).eval().onnx()
    session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).integers(0, 256, (batch, *shape), dtype=np.uint8)
    return lambda: session.run(None, {"images": images})


def turn(call: Callable[[], object]) -> Callable[[], float]:
    """Return what calls for a while and gives the seconds of one call."""
    call()

    def timed() -> float:
        start, calls = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS or not calls:
            call()
            calls += 1
        return (time.perf_counter() - start) / calls

    return timed


if __name__ == "__main__":
    main()
