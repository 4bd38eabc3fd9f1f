"""The quality table: the default detector on eight protocols, over seeds.

    scripts/bench quality [--rows mnist,magnetic-tile] [--seeds 0,1,2] [--threads 2] [--quick]

Each fit's result is kept as soon as it is there, in .bench/quality/results.jsonl, and a call that
was stopped goes on where it stopped. Results are told apart by the detector's parameters, defaults
included, and by versions: where the code has changed and they have not, ask for --again. The table
goes to docs/quality.md and docs/results/quality.json; that of --quick stays in
.bench/quality/quick.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from quality.kept import Kept
from quality.page import as_json, page
from quality.rows import ROWS, Row
from quality.run import Runner
from quality.singles import single_scores
from residua.images.published import data_home
from residua.writing import write_text

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".bench" / "quality"
DOCS = ROOT / "docs"
BACKBONE = Path("weights") / "mobilenet_v2.onnx"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the table; returns 1 where a fit failed."""
    options = _parser().parse_args(arguments)
    if options.threads is not None:
        import torch

        torch.set_num_threads(options.threads)
    from residua import AutoencoderDetector

    kept_in = options.kept / "quick" if options.quick else options.kept
    docs = kept_in if options.quick else options.docs
    runner = Runner(AutoencoderDetector, options.backbone, options.quick, single_scores, _say)
    (docs / "results").mkdir(parents=True, exist_ok=True)
    kept = Kept(kept_in / "results.jsonl", docs / "results" / "quality.json")
    failed = []
    if not options.page:
        failed = runner.run(kept, options.rows, options.seeds, again=options.again)
    results = runner.current(kept, list(ROWS.values()))
    text = page(results, list(ROWS.values()), runner.cases, quick=options.quick)
    write_text(docs / "quality.md", text)
    write_text(docs / "results" / "quality.json", as_json(results))
    print(text)
    for failure in failed:
        _say(f"not measured: {failure}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="quality", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=rows_named, default=list(ROWS.values()))
    parser.add_argument("--seeds", type=_numbers, default=[0, 1, 2])
    parser.add_argument("--threads", type=int, help="of the network; default: torch's own choice")
    parser.add_argument("--quick", action="store_true", help="a few minutes, to see that it works")
    parser.add_argument("--again", action="store_true", help="also what is kept from before")
    parser.add_argument("--page", action="store_true", help="write the page and measure nothing")
    parser.add_argument("--backbone", type=Path, default=data_home() / BACKBONE)
    parser.add_argument("--kept", type=Path, default=KEPT)
    parser.add_argument("--docs", type=Path, default=DOCS)
    return parser


def rows_named(text: str) -> list[Row]:
    """Return the rows whose names begin with one of the names in a comma-separated list.

    Raises
    ------
    argparse.ArgumentTypeError
        No row's name begins so.
    """
    chosen: dict[str, Row] = {}
    for start in text.split(","):
        found = {name: row for name, row in ROWS.items() if name.startswith(start)}
        if not found:
            raise argparse.ArgumentTypeError(
                f"no row is called {start!r}; known are {', '.join(ROWS)}"
            )
        chosen |= found
    return [row for name, row in ROWS.items() if name in chosen]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
