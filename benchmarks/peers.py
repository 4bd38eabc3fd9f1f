"""Residua beside its nearest peers: the time to fit and score, with the AUROC that it buys.

    scripts/bench peers [--seeds 0,1,2] [--only pyod|anomalib]

- PyOD's AutoEncoder, the usual one for tables, on flattened pixels: digits of MNIST train, and
  digits stand against clothes of Fashion-MNIST in the test. Its two thin layers each way are a
  small fraction of the arithmetic of convolutions.
- Anomalib's GANomaly, the nearest that it has to a convolutional autoencoder trained from scratch,
  on magnetic tiles, sound against defective, as colour files of 64 × 64.

Each side has the same pictures, epochs and batches of 32, which is the default of both peers;
everything else is as it comes, Residua's too. Residua holds a fifth of its pictures out, validates,
calibrates and checks itself; the peers do not. Of GANomaly's defaults four are off, in its favour:
validation on the test pictures, pictures of the results, workers that read the files, and the
clamping of scores. Each run is a process of its own with all cores. Fit and scores are timed
together, after a fit of a few pictures by which all that a side imports late is there; imports
stand apart.

An AUROC after so few epochs says that speed was not bought with quality, not what a method can do:
for that see docs/quality.md and docs/comparison.md. The data sets must be there or be downloadable.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import Any

import numpy as np

from _page import Goal, Table, parser, publish
from _peer import Peer, exchange, run_script
from _table import alternate, median_of, paired_ratio

NAME = "peers"
PYOD = Peer("pyod", ("torch==2.13.0", "pyod==3.6.7", "tqdm==4.70.1"))  # tqdm: it needs it unsaid
ANOMALIB = Peer("anomalib", ("anomalib==2.7.0", "torch==2.15.0", "torchvision==0.29.2"))
OWN, LONGER = "Residua", "Residua, ten times the epochs"
BATCH = 32

DIGITS, DIGITS_TESTED, DIGIT_EPOCHS = 6_000, 1_000, 5
TILES, TILES_TESTED, TILE_EPOCHS, TILE_SIZE = 300, 200, 5, 64
COMMAND_RUNS = 3

Found = dict[str, Any]
"""What a script of `benchmarks/peers` says: seconds of import, fit and score, and the scores."""


@dataclass(frozen=True)
class Runs:
    """The runs of one side, one a seed."""

    found: list[Found]
    anomalous: np.ndarray
    """Which test pictures are, (M,), bool."""

    @property
    def seconds(self) -> list[float]:
        """Of fit and scores together."""
        return [run["fit"] + run["score"] for run in self.found]

    @property
    def auroc(self) -> str:
        """Mean ± standard deviation."""
        from sklearn.metrics import roc_auc_score

        values = [roc_auc_score(self.anomalous, run["scores"]) for run in self.found]
        return f"{fmean(values):.4f} ± {pstdev(values):.4f}"


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--seeds", default="0,1,2")
    made.add_argument("--only", choices=("pyod", "anomalib"))
    options = made.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    tables: list[Table] = []
    goals: list[Goal] = []
    started: dict[str, list[Found]] = {OWN: []}
    for name, measure in (("pyod", against_pyod), ("anomalib", against_anomalib)):
        if options.only not in (None, name):
            continue
        title, peer, sides = measure(seeds)
        tables.append(compared(title, peer, sides))
        goals.append(goal(name, peer, sides))
        started[OWN] += sides[OWN].found
        started[peer] = sides[peer].found
    if options.only is None:
        tables.append(starting(started))
    publish(NAME, tables, goals, page=options.page)


def against_pyod(seeds: list[int]) -> tuple[str, str, dict[str, Runs]]:
    from residua.images.datasets import load_dataset

    def digits(name: str, split: str, count: int) -> np.ndarray:
        return pixels(load_dataset(name, split).take(np.arange(count)), 28, 1)[..., 0]

    test = [digits(name, "test", DIGITS_TESTED) for name in ("mnist", "fashion-mnist")]
    with exchange() as name:
        folder = Path(name)
        files = folder / "training.npy", folder / "test.npy"
        np.save(files[0], digits("mnist", "train", DIGITS))
        np.save(files[1], np.concatenate(test))
        sides = in_turn(
            {
                OWN: lambda seed: residua(*files, DIGIT_EPOCHS, seed),
                "PyOD AutoEncoder": lambda seed: PYOD.run(
                    "pyod_autoencoder.py", folder, DIGIT_EPOCHS, BATCH, seed
                ),
            },
            seeds,
            np.repeat([False, True], DIGITS_TESTED),
        )
    title = (
        f"Against PyOD: {DIGITS:,} digits of 28 × 28 to fit, {2 * DIGITS_TESTED:,} pictures to "
        f"score, {DIGIT_EPOCHS} epochs"
    )
    return title, "PyOD AutoEncoder", sides


def against_anomalib(seeds: list[int]) -> tuple[str, str, dict[str, Runs]]:
    with exchange() as name:
        folder = Path(name)
        lay_out_tiles(folder)
        ends = folder / "train", folder / "test"
        sides = in_turn(
            {
                OWN: lambda seed: residua(*ends, TILE_EPOCHS, seed),
                LONGER: lambda seed: residua(*ends, 10 * TILE_EPOCHS, seed),
                "Anomalib GANomaly": lambda seed: ANOMALIB.run(
                    "anomalib_ganomaly.py", folder, TILE_SIZE, TILE_EPOCHS, BATCH, seed
                ),
            },
            seeds,
            np.repeat([True, False], TILES_TESTED),  # in the order of paths, bad before good
        )
    title = (
        f"Against Anomalib: {TILES} sound magnetic tiles of {TILE_SIZE} × {TILE_SIZE} to fit, "
        f"{2 * TILES_TESTED} tiles to score, {TILE_EPOCHS} epochs"
    )
    return title, "Anomalib GANomaly", sides


def lay_out_tiles(folder: Path) -> None:
    """Write the pictures as both sides read them: train/good, test/good and test/bad."""
    from PIL import Image

    from residua.images.datasets import load_dataset

    source = load_dataset("magnetic-tile")
    rng, sound = np.random.default_rng(0), np.array(source.labels) == "Free"
    good, bad = (rng.permutation(np.flatnonzero(which)) for which in (sound, ~sound))
    parts = {
        "train/good": good[:TILES],
        "test/good": good[TILES : TILES + TILES_TESTED],
        "test/bad": bad[:TILES_TESTED],
    }
    for part, chosen in parts.items():
        (folder / part).mkdir(parents=True)
        for number, picture in enumerate(pixels(source.take(chosen), TILE_SIZE, 3)):
            Image.fromarray(picture).save(folder / part / f"{number:04}.png")


def pixels(source: Any, size: int, channels: int) -> np.ndarray:
    from residua.images.preprocess import InputSpec

    spec = InputSpec(height=size, width=size, channels=channels)
    return next(iter(source.batches(spec, len(source)))).images


def residua(training: Path, test: Path, epochs: int, seed: int) -> Found:
    return run_script(sys.executable, "residua_detector.py", training, test, epochs, BATCH, seed)


def in_turn(
    sides: Mapping[str, Callable[[int], Found]], seeds: list[int], anomalous: np.ndarray
) -> dict[str, Runs]:
    """Run the sides in turn, one round a seed."""
    runs: dict[str, list[Found]] = {side: [] for side in sides}
    for seed in seeds:
        for side, run in sides.items():
            runs[side].append(run(seed))
    return {side: Runs(found, anomalous) for side, found in runs.items()}


def compared(title: str, peer: str, sides: dict[str, Runs]) -> Table:
    rows = [
        [
            side,
            median_of([run["fit"] for run in runs.found], ".2f"),
            median_of([run["score"] for run in runs.found], ".2f"),
            median_of(paired_ratio(sides[peer].seconds, runs.seconds), ".2f"),
            runs.auroc,
        ]
        for side, runs in sides.items()
    ]
    count = len(sides[peer].found)
    return Table(
        f"{title}, batch {BATCH}; {count} seeds, median (least to greatest), AUROC mean ± sd",
        ["", "fit, s", "score, s", f"speed of both, {peer} = 1", "AUROC"],
        rows,
    )


def goal(name: str, peer: str, sides: dict[str, Runs]) -> Goal:
    faster = paired_ratio(sides[peer].seconds, sides[OWN].seconds)
    return Goal(
        f"fit + score against {peer}, same data and epochs, AUROC beside it",
        "faster",
        f"{median_of(faster, '.2f')} ×, AUROC {sides[OWN].auroc} against {sides[peer].auroc}",
        median(faster) > 1,
    )


def starting(found: dict[str, list[Found]]) -> Table:
    """Return what a user waits for, and gives room to, before the first picture."""
    commands: dict[str, Path] = {
        OWN: Path(sys.executable).with_name("residua"),
        "Anomalib GANomaly": ANOMALIB.command("anomalib"),
    }
    shown = alternate(
        {side: lambda path=path: help_seconds(path) for side, path in commands.items()},
        COMMAND_RUNS,
    )
    homes = {"PyOD AutoEncoder": PYOD.home, "Anomalib GANomaly": ANOMALIB.home}
    rows = [
        [
            side,
            median_of([run["import"] for run in runs], ".2f"),
            median_of(shown[side], ".2f") if side in shown else "–",
            f"{bytes_below(homes[side]) / 1e9:.2f}" if side in homes else "see installed size",
        ]
        for side, runs in found.items()
    ]
    return Table(
        "Starting: seconds to import the detector and to answer `--help`, and the environment's "
        "size",
        ["", "import, s", "`--help`, s", "installed, GB"],
        rows,
    )


def help_seconds(program: Path) -> float:
    started = time.perf_counter()
    subprocess.run([program, "--help"], check=True, capture_output=True)
    return time.perf_counter() - started


def bytes_below(folder: Path) -> int:
    return sum(
        path.lstat().st_size for path in folder.rglob("*") if path.is_file() or path.is_symlink()
    )


if __name__ == "__main__":
    main()
