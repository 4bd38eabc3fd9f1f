"""Time from scored pictures to evaluation, advice and the HTML report.

    scripts/bench report_time [--images 10000] [--repeats 3] [--page]

The pictures are the handwritten digits that come with scikit-learn, repeated with noise; a fifth of
them are turned to their negative and count as anomalous. The detector is fitted before the clock
starts, for five epochs on 2,000 pictures. The steps follow one another in one process, each timed
from the end of the one before it; the whole is done again for each repeat.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from _page import Table, parser, publish
from _table import median_of
from residua import AutoencoderDetector, load_dataset
from residua.advice.advise import advise
from residua.errors import ResiduaWarning
from residua.evaluation.evaluate import evaluate
from residua.evaluation.scored import score_source
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource
from residua.report.page.write import write_report

SIDE = 28


def main() -> None:
    options_of = parser(__doc__)
    options_of.add_argument("--images", type=int, default=10_000)
    options_of.add_argument("--repeats", type=int, default=3)
    options = options_of.parse_args()
    source, truth = pictures(options.images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        detector = AutoencoderDetector(epochs=5).fit(source.take(np.flatnonzero(~truth)[:2_000]))
    steps: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as room:
        for _ in range(options.repeats):
            clock = time.perf_counter()

            def lap(name: str) -> None:
                nonlocal clock
                now = time.perf_counter()
                steps.setdefault(name, []).append(now - clock)
                clock = now

            scored = score_source(detector, source, truth=truth)
            lap("scoring")
            evaluation = evaluate(scored, model=detector)
            lap("evaluation, 1,000 resamples")
            findings = advise(detector, scored)
            lap("advice")
            page = write_report(
                Path(room) / "report.html",
                title="Digits",
                model=detector,
                scored=scored,
                evaluation=evaluation,
                findings=findings,
            )
            lap("figures and page")
            size = page.stat().st_size / 1e6
    after = [sum(parts) for parts in zip(*list(steps.values())[1:], strict=True)]
    steps["all after scoring"] = after
    table = Table(
        f"From scored pictures to the report: {options.images:,} pictures of {SIDE} × {SIDE}, "
        f"a page of {size:.1f} MB",
        ["step", f"seconds, median of {options.repeats} (least to greatest)"],
        [[name, median_of(seconds, ".1f")] for name, seconds in steps.items()],
    )
    publish("report_time", [table], page=options.page)


def pictures(n: int) -> tuple[ArraySource, np.ndarray]:
    """Return n pictures and which of them are anomalous."""
    rng = np.random.default_rng(0)
    digits = load_dataset("digits")
    spec = InputSpec(height=SIDE, width=SIDE, channels=1)
    (batch,) = digits.batches(spec, len(digits))
    chosen = rng.integers(0, len(digits), n)
    noisy = batch.images[chosen] + rng.normal(0, 8, (n, SIDE, SIDE, 1))
    truth = rng.random(n) < 0.2
    noisy[truth] = 255 - noisy[truth]
    labels = [digits.labels[index] for index in chosen]
    return ArraySource(noisy.clip(0, 255).astype(np.uint8), labels=labels), truth


if __name__ == "__main__":
    main()
