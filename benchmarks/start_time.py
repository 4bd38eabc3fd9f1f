"""Time to start: the help of the command line, and scoring one picture in a new process.

    scripts/bench start_time [--repeats 10] [--drop-caches]

Every run is a new process, timed from outside, and the commands take turns. Their files are in the
system's page cache, as on a machine that runs the command often. With `--drop-caches` (as root, on
Linux) a second table says what the first call after a restart takes: that cache, the whole
machine's, is dropped before each run. The models are fitted for one epoch on a few generated
pictures: what they find is of no matter here.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from _page import Goal, Table, parser, publish
from _table import alternate, median_of
from scoring_memory import fitted_model, write_pictures

COMMAND = Path(sys.executable).with_name("residua")
HEAVY = ("torch", "lightning", "sklearn", "scipy", "matplotlib", "onnxruntime", "numpy")
HELP_GOAL, SCORE_GOAL = 0.3, 1.0
MODELS = {"28 × 28, grey": (28, 1), "256 × 256, colour": (256, 3)}
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
DROPPED_REPEATS = 3


def main() -> None:
    options_of = parser(__doc__)
    options_of.add_argument("--repeats", type=int, default=10)
    options_of.add_argument("--drop-caches", action="store_true")
    options = options_of.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scoring = scoring_commands(Path(name))
        commands = {
            "`python -c pass`": [sys.executable, "-c", "pass"],
            "`residua --help`": [COMMAND, "--help"],
            "`residua fit --help`": [COMMAND, "fit", "--help"],
            **scoring,
        }
        sides = {what: partial(seconds_of, command) for what, command in commands.items()}
        for side in sides.values():  # into the page cache
            side()
        times = alternate(sides, options.repeats)
        tables = [table(f"Start of the command, {options.repeats} alternating runs", times)]
        if options.drop_caches:
            dropped = {what: partial(seconds_after_drop, scoring[what]) for what in scoring}
            title = f"The same with the page cache dropped before each of {DROPPED_REPEATS} runs"
            tables.append(table(title, alternate(dropped, DROPPED_REPEATS)))
    publish(
        "start_time",
        tables,
        goals(times, {model: score_one(model) for model in MODELS}),
        page=options.page,
    )
    print(f"heavy packages imported by the help: {', '.join(imported_by_help()) or 'none'}")


def scoring_commands(folder: Path) -> dict[str, list[object]]:
    """Return a command that scores one JPEG file for each of the models, by what it is."""
    commands: dict[str, list[object]] = {}
    for what, (side, channels) in MODELS.items():
        model = fitted_model(folder / f"{side}.residua", side, channels=channels)
        (picture,) = write_pictures(folder / f"pictures-{side}", 1, side, channels=channels)
        commands[score_one(what)] = [*(COMMAND, "score", model, picture, "--json")]
    return commands


def score_one(model: str) -> str:
    return f"`residua score` of one picture, {model}"


def goals(times: dict[str, list[float]], scoring: dict[str, str]) -> list[Goal]:
    """Return the goals; ``scoring`` says for each of the models which command scores with it."""
    start = times["`residua --help`"]
    return [
        Goal(
            "start of the command: `residua --help`",
            f"≤ {HELP_GOAL} s",
            f"{median_of(start, '.2f')} s",
            statistics.median(start) <= HELP_GOAL,
        ),
        Goal(
            "score one picture from a cold start (new process, warm page cache)",
            f"≤ {SCORE_GOAL} s",
            "; ".join(f"{median_of(times[c], '.2f')} s at {m}" for m, c in scoring.items()),
            all(statistics.median(times[c]) <= SCORE_GOAL for c in scoring.values()),
        ),
    ]


def table(title: str, times: dict[str, list[float]]) -> Table:
    rows = [[what, median_of(values, ".3f")] for what, values in times.items()]
    return Table(title, ["", "seconds, median (least to greatest)"], rows)


def seconds_of(command: list[object]) -> float:
    started = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return time.perf_counter() - started


def seconds_after_drop(command: list[object]) -> float:
    os.sync()
    DROP_CACHES.write_text("3\n")
    return seconds_of(command)


def imported_by_help() -> list[str]:
    probe = (
        "import sys, residua.cli, typer.testing as t; "
        "t.CliRunner().invoke(residua.cli.app, ['--help']); "
        f"print(*[m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    return done.stdout.split()


if __name__ == "__main__":
    main()
