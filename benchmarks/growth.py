"""Growth of the time of fitting and scoring, with the number of pictures and with their size.

    scripts/bench growth [--counts 1000,3000,…] [--sizes 32,64,…] [--pictures 256] [--page]

Each row is a new process that fits for one epoch on a folder of JPEG files of the model's own size
and then scores that folder with ONNX Runtime, after a small fit and a small scoring that are not
counted (imports, memory, first calls). By number the pictures are grey, 32 × 32: 1,000 different
files under as many names as wanted (hard links). By size they are in colour and all different.
Batches have one size within a table, as the default grows with the number of pictures. An exponent
is the slope of a straight line through the logarithms: 1 is linear, less is a fixed cost that
weighs less and less.

With --page the figure docs/images/growth.svg is drawn too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from _page import DOCS, Goal, Table, parser, publish
from scoring_memory import DISTINCT, hard_links, write_pictures

FIGURE = DOCS / "images" / "growth.svg"
SMALL_SIDE = 32
BATCH_BY_COUNT, BATCH_BY_SIZE = 128, 16
STEPS = {"fit": ("o", "#1f5fa8"), "score": ("s", "#c4561d")}
"""What is timed, with its marker and colour in the figure."""
LINEAR = 1.1
"""The greatest exponent that is called linear."""


@dataclass(frozen=True)
class Measured:
    """One fit and one scoring of a folder."""

    pictures: int
    side: int
    fit: float
    """Seconds."""
    score: float
    """Seconds."""
    peak: int
    """Greatest resident size until the end of the fit, bytes."""

    @property
    def megapixels(self) -> float:
        return self.pictures * self.side**2 / 1e6


def main() -> None:
    options_of = parser(__doc__)
    options_of.add_argument("--counts", default="1000,3000,10000,30000,100000")
    options_of.add_argument("--sizes", default="32,64,128,256,512")
    options_of.add_argument("--pictures", type=int, default=256, help="of each size")
    options_of.add_argument("--measure", metavar="FOLDER,SIDE,BATCH", help="one row; used inside")
    options = options_of.parse_args()
    if options.measure:
        folder, side, batch = options.measure.split(",")
        print(json.dumps(asdict(measured(Path(folder), int(side), int(batch)))))
        return
    with tempfile.TemporaryDirectory() as name:
        by_count = measured_by_count(Path(name), [int(n) for n in options.counts.split(",")])
        by_size = measured_by_size(
            Path(name), [int(side) for side in options.sizes.split(",")], options.pictures
        )
    tables = [count_table(by_count), size_table(by_size)]
    publish("growth", tables, [goal(by_count, by_size)], page=options.page)
    if options.page:
        draw(by_count, by_size, FIGURE)


def measured_by_count(folder: Path, counts: Sequence[int]) -> list[Measured]:
    files = write_pictures(folder / "distinct", DISTINCT, SMALL_SIDE, channels=1)
    rows = []
    for count in counts:
        with hard_links(folder / f"{count}", files, count) as pictures:
            rows.append(in_new_process(pictures, SMALL_SIDE, BATCH_BY_COUNT))
    return rows


def measured_by_size(folder: Path, sizes: Sequence[int], count: int) -> list[Measured]:
    rows = []
    for side in sizes:
        files = write_pictures(folder / f"side-{side}", count, side, channels=3)
        rows.append(in_new_process(files[0].parent, side, BATCH_BY_SIZE))
    return rows


def in_new_process(pictures: Path, side: int, batch: int) -> Measured:
    task = f"{pictures},{side},{batch}"
    done = subprocess.run(
        [sys.executable, __file__, "--measure", task], check=True, stdout=subprocess.PIPE, text=True
    )
    row = Measured(**json.loads(done.stdout))
    print(
        f"{row.pictures:,} × {side}²: fit {row.fit:.2f} s, score {row.score:.2f} s, "
        f"{row.peak / 1e6:.0f} MB",
        file=sys.stderr,
    )
    return row


def measured(pictures: Path, side: int, batch: int) -> Measured:
    from residua import AutoencoderDetector, BundleScorer
    from residua.errors import ResiduaWarning
    from residua.scoring.verdicts import batch_size_for

    warnings.simplefilter("ignore", ResiduaWarning)
    small = np.random.default_rng(0).integers(0, 256, (64, SMALL_SIDE, SMALL_SIDE), np.uint8)
    AutoencoderDetector(epochs=1, on_failed_fit="warn").fit(small)
    detector = AutoencoderDetector(
        epochs=1, batch_size=batch, image_size=side, on_failed_fit="warn"
    )
    started = time.perf_counter()
    detector.fit(pictures)
    fit, peak = time.perf_counter() - started, peak_of_this_process()
    scorer = BundleScorer(detector.save(pictures.with_suffix(".residua")), engine="onnxruntime")
    spec = scorer.manifest.input
    few = min(2 * batch_size_for(spec), 64)  # enough that all threads compute
    list(scorer.verdicts(np.zeros((few, *spec.shape), np.uint8)))
    started = time.perf_counter()
    count = sum(1 for _ in scorer.verdicts(pictures))
    return Measured(count, side, fit, time.perf_counter() - started, peak)


def peak_of_this_process() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this benchmark reads the peak of its memory from /proc, which Linux has")


@dataclass(frozen=True)
class Exponent:
    """How a time grows with the megapixels of a folder."""

    all: float
    """Slope of the line through all rows."""
    last: float
    """Slope between the last two, where fixed costs weigh least."""

    @classmethod
    def of(cls, what: str, rows: Sequence[Measured]) -> Exponent:
        """Fit the growth of ``fit`` or ``score``."""
        sizes = np.log([row.megapixels for row in rows])
        seconds = np.log([getattr(row, what) for row in rows])
        return cls(
            all=float(np.polyfit(sizes, seconds, 1)[0]),
            last=float(np.diff(seconds)[-1] / np.diff(sizes)[-1]),
        )

    def __str__(self) -> str:
        return f"{self.all:.2f} (last step {self.last:.2f})"


def count_table(rows: Sequence[Measured]) -> Table:
    header = [
        "pictures",
        "fit, s",
        "score, s",
        "fit, pictures/s",
        "score, pictures/s",
        "peak of fit, MB",
    ]
    cells = [
        [
            f"{row.pictures:,}",
            f"{row.fit:.2f}",
            f"{row.score:.2f}",
            f"{row.pictures / row.fit:,.0f}",
            f"{row.pictures / row.score:,.0f}",
            f"{row.peak / 1e6:,.0f}",
        ]
        for row in rows
    ]
    cells.append(exponent_row(rows))
    side = SMALL_SIDE
    return Table(f"By number of pictures, grey, {side} × {side}, one epoch", header, cells)


def size_table(rows: Sequence[Measured]) -> Table:
    header = [
        "size",
        "fit, s",
        "score, s",
        "fit, s/megapixel",
        "score, s/megapixel",
        "peak of fit, MB",
    ]
    cells = [
        [
            f"{row.side} × {row.side}",
            f"{row.fit:.2f}",
            f"{row.score:.2f}",
            f"{row.fit / row.megapixels:.3f}",
            f"{row.score / row.megapixels:.3f}",
            f"{row.peak / 1e6:,.0f}",
        ]
        for row in rows
    ]
    cells.append(exponent_row(rows))
    return Table(f"By size, {rows[0].pictures} colour pictures, one epoch", header, cells)


def exponent_row(rows: Sequence[Measured]) -> list[str]:
    return ["exponent", *(str(Exponent.of(what, rows)) for what in STEPS), "", "", ""]


def goal(by_count: Sequence[Measured], by_size: Sequence[Measured]) -> Goal:
    found = {
        f"{what} by {kind}": Exponent.of(what, rows)
        for kind, rows in (("number", by_count), ("size", by_size))
        for what in STEPS
    }
    return Goal(
        f"growth of fit and score time, {by_count[0].pictures:,} to {by_count[-1].pictures:,} "
        f"pictures and {by_size[0].side}² to {by_size[-1].side}² pixels",
        f"linear in pixels: exponent ≤ {LINEAR}",
        "; ".join(f"{name} {one}" for name, one in found.items()),
        max(one.all for one in found.values()) <= LINEAR,
    )


def draw(by_count: Sequence[Measured], by_size: Sequence[Measured], path: Path) -> None:
    """Draw time against the number of pictures, and time a megapixel against their size."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "growth", "font.size": 10}):
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        for what, (marker, colour) in STEPS.items():
            style = {"marker": marker, "color": colour}
            left.plot(
                [row.pictures for row in by_count],
                [getattr(row, what) for row in by_count],
                label=f"{what}: exponent {Exponent.of(what, by_count).all:.2f}",
                **style,
            )
            right.plot(
                [row.side for row in by_size],
                [getattr(row, what) / row.megapixels for row in by_size],
                label=f"{what}: exponent {Exponent.of(what, by_size).all:.2f}",
                **style,
            )
        title = f"By number, grey, {SMALL_SIDE} × {SMALL_SIDE}"
        left.set(title=title, xlabel="pictures", ylabel="seconds")
        title = f"By size, {by_size[0].pictures} colour pictures"
        right.set(title=title, xlabel="side, pixels", ylabel="seconds per megapixel")
        label_axes(left, [row.pictures for row in by_count])
        label_axes(right, [row.side for row in by_size])
        figure.savefig(path, metadata={"Date": None})


def label_axes(axes: Any, ticks: Sequence[int]) -> None:
    """Give logarithmic axes plain numbers: those measured across, 1, 2 and 5 upwards."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set(xscale="log", yscale="log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
