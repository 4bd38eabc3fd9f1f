"""What each network costs beside `conv`: a step of training, scoring by ONNX Runtime, weights.

    scripts/bench model_cost [--repeats 7] [--models conv,residual,…]

Each network takes turns with `conv` on the same pictures, on one thread and in float32, and its
ratios are those of neighbouring turns. The table goes to docs/results/model-cost.json, from which
`residua models` has its figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from _table import alternate, machine, median_of, paired_ratio, print_table
from residua.catalogue import LARGE, SMALL
from residua.graph import ScoringGraph
from residua.models import MODELS, build_model
from residua.scoring.errors import ImageScore

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "model-cost.json"
REFERENCE = "conv"
BATCH = {SMALL: 64, LARGE: 16}
# A turn lasts at least so long, so that the clock and other programs matter little.
SECONDS = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(options.results.read_text()) if options.results.exists() else {}
    tables: dict[str, Any] = known.get("tables", {})
    for shape, batch in BATCH.items():
        title = " × ".join(map(str, shape))
        table = tables.setdefault(title, {})
        rows = []
        for name in options.models.split(","):
            row = measure(name, shape, batch, options.repeats)
            table[name] = row
            rows.append(
                [
                    name,
                    f"{row['weights']:,}",
                    median_of(row["training"], ".2f"),
                    median_of(row["scoring"], ".2f"),
                ]
            )
            # After each, so that a call that is stopped leaves what is done.
            options.results.write_text(
                json.dumps({"machine": machine(), "tables": tables}, indent=2, ensure_ascii=False)
                + "\n",
                encoding="utf-8",
            )
        header = ("network", "weights", "training step / conv's", "scoring / conv's")
        print_table(f"{title}, batches of {batch}", header, rows)


def measure(name: str, shape: tuple[int, int, int], batch: int, repeats: int) -> dict[str, Any]:
    """Time a network and the reference in turns; the ratios are one for each pair of turns."""
    model = build_model(name, shape)
    found: dict[str, Any] = {"weights": sum(p.numel() for p in model.parameters())}
    for what, of in (("training", training), ("scoring", scoring)):
        sides = {name: of(name, shape, batch), f"{REFERENCE} again": of(REFERENCE, shape, batch)}
        turns = alternate({key: turn(call) for key, call in sides.items()}, repeats)
        ratios = paired_ratio(turns[name], turns[f"{REFERENCE} again"])
        found[what] = [round(ratio, 3) for ratio in ratios]
        found[f"{what}_ms_a_picture"] = round(1e3 * statistics.median(turns[name]) / batch, 3)
    return found


def turn(call: Callable[[], None]) -> Callable[[], float]:
    """Return what calls for a while and gives the seconds of one call."""
    call()

    def timed() -> float:
        start, calls = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS or not calls:
            call()
            calls += 1
        return (time.perf_counter() - start) / calls

    return timed


def training(name: str, shape: tuple[int, int, int], batch: int) -> Callable[[], None]:
    torch.manual_seed(0)
    height, width, channels = shape
    model = build_model(name, shape).to(memory_format=torch.channels_last)
    x = torch.rand(batch, height, width, channels).permute(0, 3, 1, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        model.training_losses(x)["loss"].backward()
        optimiser.step()

    return step


class _Score(torch.nn.Module):
    """The error alone: what more a score is made of costs each network the same."""

    def __init__(self) -> None:
        super().__init__()
        self.error = ImageScore("squared", "mean")

    def forward(self, x: torch.Tensor, x_hat: torch.Tensor, _latent: torch.Tensor) -> Any:
        return self.error(x, x_hat)


def scoring(name: str, shape: tuple[int, int, int], batch: int) -> Callable[[], None]:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    graph = ScoringGraph(build_model(name, shape), _Score()).onnx()
    session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).integers(0, 256, (batch, *shape), dtype=np.uint8)
    return lambda: session.run(None, {"images": images})


if __name__ == "__main__":
    main()
