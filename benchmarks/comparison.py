"""Residua's networks beside other methods on three data sets: figures, time, memory.

    scripts/bench comparison [--seeds 0,1,2] [--data mnist,fashion-mnist,magnetic-tile]

Each fit runs in a process of its own on trusted pictures alone, and is kept: a call that was
stopped goes on where it stopped. The tables go to docs/results/comparison.json. No table is to be
read as the best that a method can do: sizes and epochs are capped so that all three take about a
quarter of an hour on one core, and no method was tuned.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from _table import machine
from residua.comparison.compare import compare

HERE = Path(__file__).parent
RESULTS = HERE.parent / "docs" / "results" / "comparison.json"
KEPT = HERE.parent / ".bench" / "comparison"
TABLES: dict[str, dict[str, Any]] = {
    "mnist": {
        "title": "MNIST normal, Fashion-MNIST anomalous",
        "train": "mnist",
        "test": "fashion-mnist",
        "n_train": 6_000,
        "n_test": 1_000,
        "epochs": 10,
    },
    "fashion-mnist": {
        "title": "Fashion-MNIST normal, MNIST anomalous",
        "train": "fashion-mnist",
        "test": "mnist",
        "n_train": 6_000,
        "n_test": 1_000,
        "epochs": 10,
    },
    "magnetic-tile": {
        "title": "Magnetic tiles: free of defects against the defective",
        "train": "magnetic-tile",
        "test": "magnetic-tile",
        "normal": ["Free"],
        "image_size": 64,
        "epochs": 24,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--data", default=",".join(TABLES))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    known = json.loads(options.results.read_text()) if options.results.exists() else {}
    tables = known.get("tables", {})
    for name in options.data.split(","):
        settings = dict(TABLES[name])
        title = settings.pop("title")
        console = Console(stderr=True)
        console.print(f"[bold]{title}[/]")
        found = compare(**settings, seeds=seeds, folder=KEPT / name, console=console)
        tables[name] = {"title": title, **found.model_dump(mode="json")}
        # After each, so that a call that is stopped leaves what is done.
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(
            json.dumps({"machine": machine(), "tables": tables}, indent=2, ensure_ascii=False)
            + "\n",
            encoding="utf-8",
        )
        print(f"\n### {title}\n\n{found.markdown()}\n\n{machine()}\n", flush=True)


if __name__ == "__main__":
    main()
