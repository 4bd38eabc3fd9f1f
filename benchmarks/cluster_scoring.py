"""Scoring on a Ray cluster of this machine, beside `residua score` and with one worker or two.

    scripts/bench cluster_scoring [--files 10000] [--few 4000] [--repeats 2] [--side 256] [--page]

Generated JPEG files in colour are scored by the default network and score. First by the command as
it is, start of the program included: on one machine, on a cluster that is up, and with the start of
a cluster. Then, on a cluster that is up and with fewer files, by one worker and by two; and by a
pipeline in which tasks of Ray Data decode for an actor that scores, which decision 20 rejected.
What a picture costs is what the workers measured; scripts/bench scale_simulation carries it to 10⁹.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from _page import DOCS, Goal, Table, parser, publish
from _table import alternate, median_of, paired_ratio
from residua.cluster.parts import fingerprint, part_size_for, parts_of
from residua.cluster.scoring import Progress, score_on_cluster
from residua.cluster.worker import Answer
from residua.images.resolve import resolve_source
from residua.writing import write_text

NAME = "cluster_scoring"
MOST_OVERHEAD, LEAST_GAIN = 1.25, 1.7
QUALITY = 90
# What scripts/bench scale_simulation goes by.
COSTS = DOCS / "results" / "cluster-costs.json"
HERE, UP, WITH_START = "one machine", "cluster that is up", "cluster, its start included"
ONE, TWO, APART = "one worker", "two workers", "decoding in tasks, one actor"


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--files", type=int, default=10_000)
    made.add_argument("--few", type=int, default=4_000, help="files for one worker against two")
    made.add_argument("--repeats", type=int, default=2)
    made.add_argument("--side", type=int, default=256)
    options = made.parse_args()
    with tempfile.TemporaryDirectory(prefix="residua-bench-") as name:
        work = Path(name)
        draw(work / "files", options.files, options.side)
        few = work / "few"
        few.mkdir()
        for file in sorted((work / "files").iterdir())[: options.few]:
            (few / file.name).hardlink_to(file)
        bundle = fitted(few, options.side, work / "model.residua")
        with two_processors() as address:
            whole = alternate(commands(bundle, work / "files", work, address), options.repeats)
            shares, answers, handing = scaling(bundle, few, work, address, options.repeats)
        costs = Costs.of(work / "files", answers, work / TWO, options.side, bundle, handing)
    overhead = {side: paired_ratio(whole[side], whole[HERE]) for side in (UP, WITH_START)}
    gain = paired_ratio(shares[ONE], shares[TWO])
    tables = [
        Table(
            f"{options.files:,} JPEG files of {options.side} × {options.side} in colour, "
            f"{costs.bytes_read / 1e3:.0f} kB each; the command, median of {options.repeats} "
            f"alternating runs",
            ("", "seconds", f"time, {HERE} = 1"),
            [
                (side, median_of(whole[side], ",.1f"), median_of(overhead[side], ".2f"))
                if side in overhead
                else (side, median_of(whole[side], ",.1f"), "1")
                for side in (HERE, UP, WITH_START)
            ],
        ),
        Table(
            f"{options.few:,} of the files on a cluster that is up, start of the workers included",
            ("", "images/s", f"speed, {ONE} = 1"),
            [
                (
                    side,
                    median_of([options.few / s for s in shares[side]]),
                    median_of(paired_ratio(shares[ONE], shares[side]), ".2f"),
                )
                for side in (ONE, TWO, APART)
            ],
        ),
        Table("What a picture costs", ("", ""), costs.rows()),
    ]
    goals = [
        Goal(
            f"score {options.files:,} JPEG files on a cluster of this machine that is up, against "
            f"`residua score`",
            f"≤ {MOST_OVERHEAD}",
            median_of(overhead[UP], ".2f"),
            statistics.median(overhead[UP]) <= MOST_OVERHEAD,
        ),
        Goal(
            "score with two workers, against one",
            f"≥ {LEAST_GAIN}",
            median_of(gain, ".2f"),
            statistics.median(gain) >= LEAST_GAIN,
        ),
    ]
    publish(NAME, tables, goals, page=options.page)
    if options.page:
        write_text(COSTS, json.dumps(costs._asdict(), indent=2) + "\n")


class Costs(NamedTuple):
    """What a picture costs, in seconds of one processor and in bytes."""

    reading: float
    """Reading and decoding."""
    computing: float
    """The network, the score and the verdict."""
    rest: float
    """Writing the part and handing it over: a worker's time between parts is not in it."""
    bytes_read: float
    bytes_named: float
    """What the driver sends to a worker."""
    bytes_written: float
    bytes_decoded: float
    """What would be sent if others decoded."""
    naming: float
    """The driver's time for a file in a folder: listing, fingerprint and cutting into parts."""
    naming_row: float
    """The driver's time for a row of a Parquet file, likewise."""
    handing: float
    """The time of Ray and the driver for a part: handing it to a worker and taking the answer."""

    @classmethod
    def of(
        cls, folder: Path, answers: list[Answer], out: Path, side: int, bundle: Path, handing: float
    ) -> Costs:
        from residua.bundle import open_bundle

        pictures = sum(answer.scored + answer.failed for answer in answers)
        sizes = [file.stat().st_size for file in folder.iterdir()]
        size = part_size_for(len(sizes), open_bundle(bundle).manifest.input, 2)
        naming, named = named_in(folder, size)
        naming_row, _ = named_in(in_parquet(folder, out.parent / "rows"), size)
        written = sum(file.stat().st_size for file in out.glob("part-*"))
        reading = sum(answer.seconds_reading for answer in answers)
        computing = sum(answer.seconds_computing for answer in answers)
        total = sum(answer.seconds for answer in answers)
        return cls(
            reading / pictures,
            computing / pictures,
            (total - reading - computing) / pictures,
            statistics.mean(sizes),
            named,
            written / pictures,
            float(side * side * 3),
            naming,
            naming_row,
            handing,
        )

    def rows(self) -> list[tuple[str, str]]:
        return [
            ("reading and decoding, ms of a processor", f"{1e3 * self.reading:.2f}"),
            ("network, score and verdict, ms of a processor", f"{1e3 * self.computing:.2f}"),
            ("writing and the like, ms of a processor", f"{1e3 * self.rest:.3f}"),
            (
                "a file: listing, cutting into parts, ms of the driver",
                f"{1e3 * self.naming:.4f}",
            ),
            ("a row of Parquet: likewise", f"{1e3 * self.naming_row:.4f}"),
            ("a part: handing it out, ms of driver and Ray", f"{1e3 * self.handing:.2f}"),
            ("read from the store, bytes", f"{self.bytes_read:,.0f}"),
            ("sent by the driver, bytes", f"{self.bytes_named:,.0f}"),
            ("written, bytes", f"{self.bytes_written:,.0f}"),
            ("decoded, bytes (sent only where others decode)", f"{self.bytes_decoded:,.0f}"),
        ]


def named_in(data: Path, size: int) -> tuple[float, float]:
    """Return the seconds and the bytes that the driver needs to name a picture in a part."""
    start = time.perf_counter()
    source = resolve_source(data)
    fingerprint(source, str(data))
    parts = parts_of(source, size, range(len(source) // size))
    sent = sum(len(pickle.dumps(part)) for part in parts)
    return (time.perf_counter() - start) / len(source), sent / (len(source) // size * size)


def in_parquet(folder: Path, target: Path) -> Path:
    """Write the files of a folder as rows of Parquet files of 10,000, in groups of 1,000."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target.mkdir()
    files = sorted(folder.iterdir())
    for start in range(0, len(files), 10_000):
        some = files[start : start + 10_000]
        table = pa.table({"id": [f.name for f in some], "image": [f.read_bytes() for f in some]})
        pq.write_table(table, target / f"{start:06}.parquet", row_group_size=1_000)
    return target


def handed_out(parts: int = 2_000) -> float:
    """Return the seconds that a part takes of which nothing is to be done, on a cluster that is up.

    Driver, Ray and two workers share the processors: on a machine of its own, a driver is faster.
    """
    import ray.data

    from residua.cluster.scoring import IN_FLIGHT, _quiet_data

    class Nothing:
        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            return {"number": batch["number"], "at": np.array([time.time()])}

    start = time.time()
    rows = [{"number": number, "part": bytes(10_000)} for number in range(parts)]
    with _quiet_data():
        answers = ray.data.from_items(rows, override_num_blocks=parts).map_batches(
            Nothing,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=2, max_tasks_in_flight_per_actor=IN_FLIGHT),
            num_cpus=1,
        )
        made = time.time()
        at = sorted(float(row["at"]) for row in answers.iter_rows())
    # The start of the workers lies between the two and is no part's.
    return (made - start + at[-1] - at[0]) / parts


def commands(bundle: Path, data: Path, work: Path, address: str) -> dict[str, Callable[[], float]]:
    """Return the command's runs to be timed."""

    # There "auto" finds no note of a cluster that is up, and starts one.
    alone = {**os.environ, "RAY_TMPDIR": str(work)}

    def run(out: str, *options: str) -> float:
        path = work / out
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        program = "from residua.cli import main; main()"
        command = [sys.executable, "-c", program, "score", bundle, data, "--out", path, *options]
        start = time.perf_counter()
        subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL, env=alone)
        return time.perf_counter() - start

    return {
        HERE: lambda: run("local.parquet", "--engine", "onnxruntime"),
        UP: lambda: run("up.parquet", "--cluster", address),
        WITH_START: lambda: run("started.parquet", "--cluster", "auto"),
    }


def scaling(
    bundle: Path, data: Path, work: Path, address: str, repeats: int
) -> tuple[dict[str, list[float]], list[Answer], float]:
    """Time one worker, two, decoding apart, and handing out a part.

    Returns the seconds of the first three, what two workers said last, and the seconds of a part.
    """
    from residua.cluster.session import connected

    answers: list[Answer] = []

    def run(side: str, workers: int) -> float:
        out = work / side
        shutil.rmtree(out, ignore_errors=True)
        answers.clear()

        def watch(progress: Progress) -> None:
            answers.extend(progress.answers)

        return score_on_cluster(bundle, data, out, workers=workers, watch=watch).seconds

    with connected(address):
        seconds = alternate(
            {
                ONE: lambda: run(ONE, 1),
                APART: lambda: decoded_apart(bundle, data),
                TWO: lambda: run(TWO, 2),
            },
            repeats,
        )
        return seconds, list(answers), handed_out()


def decoded_apart(bundle: Path, data: Path) -> float:
    """Score with tasks of Ray Data that decode, and one actor that scores what they made."""
    import ray.data

    from residua.bundle import open_bundle
    from residua.cluster.scoring import _quiet_data

    source = resolve_source(data)
    spec = open_bundle(bundle).manifest.input
    size = part_size_for(len(source), spec, 2)
    numbers = range(-(-len(source) // size))
    rows = [{"part": pickle.dumps(part)} for part in parts_of(source, size, numbers)]

    def decoded(batch: dict[str, Any]) -> dict[str, np.ndarray]:
        part = pickle.loads(batch["part"][0])
        return {"images": next(part.source.batches(spec, size, workers=1)).images}

    class Scoring:
        def __init__(self) -> None:
            from residua.runtime import BundleScorer

            self.scorer = BundleScorer(bundle, threads=1, engine="onnxruntime")

        def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"score": self.scorer.anomaly_scores(batch["images"])}

    start = time.perf_counter()
    with _quiet_data():
        scores = (
            ray.data.from_items(rows, override_num_blocks=len(rows))
            .map_batches(decoded, batch_size=1, num_cpus=1)
            .map_batches(
                Scoring, batch_size=size, compute=ray.data.ActorPoolStrategy(size=1), num_cpus=1
            )
        )
        count = sum(1 for _ in scores.iter_rows())
    assert count == len(source)
    return time.perf_counter() - start


@contextmanager
def two_processors() -> Iterator[str]:
    """Run a cluster of two processors on this machine; yields its address."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 2, "include_dashboard": False, "object_store_memory": 2 * 1024**3
        },
    )  # fmt: skip
    try:
        yield str(cluster.address)
    finally:
        cluster.shutdown()


def draw(folder: Path, count: int, side: int) -> None:
    """Write soft noise in colour, no two files equal."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 256, (side // 16, side // 16, 3), np.uint8)
        grain = rng.integers(0, 24, (side, side, 1), np.uint8)
        soft = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))
        picture = np.clip(soft.astype(np.int16) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{number:06}.jpg", quality=QUALITY)


def fitted(data: Path, side: int, path: Path) -> Path:
    from residua import AutoencoderDetector
    from residua.errors import ResiduaWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        detector = AutoencoderDetector(
            image_size=side, channels=3, epochs=1, on_failed_fit="warn", batch_size=8
        )
        return detector.fit(sorted(map(str, data.iterdir()))[:160]).save(path)


if __name__ == "__main__":
    main()
