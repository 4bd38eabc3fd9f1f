"""Each command killed at ten random moments and run again: nothing half, lost, doubled or left."""

from __future__ import annotations

import csv
import json
import math
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from reliability.check import Check, Finding
from reliability.killing import NotKept, Room, digests, moments, write_pictures
from residua.bundle import open_bundle

_MOMENTS = 10
_SEED = 20_261_122

Finished = dict[int, float]
"""The value of each trial of a search that was fitted to its end, by number."""


class Killed(ABC):
    """A command that is killed, and what is looked at afterwards."""

    name: str
    """Of the command."""
    promise: str
    seconds: float = 0.0
    """How long the undisturbed command took."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.wanted: Any = None

    @abstractmethod
    def command(self) -> Sequence[object]:
        """Return the arguments of the command."""

    @abstractmethod
    def outcome(self, folder: Path) -> Any:
        """Return what the command left, for comparison; None: nothing yet.

        Raises
        ------
        Exception
            Of whatever kind, where something half is found.
        """

    def again(self, folder: Path) -> Sequence[object] | None:
        """Return what a user types after the kill; None: all is there, and nothing is to do."""
        return self.command()

    def same(self, found: Any) -> bool:
        """Say whether what was found is what the undisturbed command left."""
        return bool(found == self.wanted)

    def undisturbed(self) -> None:
        """Run the command once, to know how long it takes and what comes out."""
        room = Room(self.home / f"{self.name}-undisturbed")
        self.seconds = room.run(self.command())
        self.wanted = self.outcome(room.folder)
        if self.wanted is None:
            raise NotKept(f"residua {self.name} left nothing")

    def killed_at(self, moment: float, number: int) -> bool:
        """Kill it, run it again and look; False: it had ended before.

        Raises
        ------
        NotKept
            Something is half, lost, doubled or left over.
        """
        when = f"{self.name} killed after {moment:.3f} of {self.seconds:.3f} s"
        room = Room(self.home / f"{self.name}-{number}")
        was_running = room.run_and_kill(self.command(), moment)
        try:
            self.outcome(room.folder)
        except Exception as error:
            raise NotKept(f"{when}: half an output: {type(error).__name__}: {error}") from error
        again = self.again(room.folder)
        if again is not None:
            room.run(again)
        found = self.outcome(room.folder)
        if not self.same(found):
            raise NotKept(f"{when} and run again: {found!r:.500}, wanted {self.wanted!r:.500}")
        if room.litter():
            raise NotKept(f"{when} and run again: it leaves {room.litter()}")
        return was_running


class Fit(Killed):
    """``residua fit``, which goes on with ``--resume`` once it has begun to train."""

    name = "fit"
    promise = (
        "a killed `fit` goes on, to the same weights bit for bit; its model is whole or absent"
    )

    def __init__(self, home: Path, pictures: int = 150, epochs: int = 12) -> None:
        super().__init__(home)
        self.good = write_pictures(home / "good", pictures)
        self.epochs = epochs

    def command(self) -> Sequence[object]:
        """Fit a small network."""
        options = ("--epochs", self.epochs, "--precision", "float32", "--device", "cpu")
        return ("fit", self.good, "-o", "part.residua", *options)

    def again(self, folder: Path) -> Sequence[object] | None:
        """Resume where there is something to resume."""
        if (folder / "part.residua").exists():
            # Killed after the model took its place, while the checkpoint was cleared away.
            return (*self.command(), "--force")
        begun = (folder / "part.residua.partial" / "fit.json").exists()
        return (*self.command(), "--resume") if begun else self.command()

    def outcome(self, folder: Path) -> Any:
        """Return the model's numbers; its manifest also holds times, which differ."""
        path = folder / "part.residua"
        return _model(path) if path.exists() else None


class Score(Killed):
    """``residua score`` with a table and heat maps."""

    name = "score"
    promise = "a killed `score` leaves no half table or heat map; run again, one row for each file"

    def __init__(self, home: Path, model: Path, pictures: int = 1500) -> None:
        super().__init__(home)
        self.model = model
        self.incoming = write_pictures(home / "incoming", pictures)
        self.pictures = pictures

    def command(self) -> Sequence[object]:
        """Score to a table, with heat maps."""
        return ("score", self.model, self.incoming, "--out", "scores.csv", "--maps", "maps")

    def outcome(self, folder: Path) -> Any:
        """Return the rows and the maps."""
        for path in (folder / "maps").rglob("*.png"):
            with Image.open(path) as picture:
                picture.load()
        if not (folder / "scores.csv").exists():
            return None
        rows = list(csv.reader((folder / "scores.csv").read_text(encoding="utf-8").splitlines()))
        ids = [row[0] for row in rows[1:]]
        if len(set(ids)) != len(ids) or len(ids) != self.pictures:
            raise NotKept(f"{len(ids)} rows, {len(set(ids))} of them different")
        return rows, digests(folder / "maps")


class Report(Killed):
    """``residua report``."""

    name = "report"
    promise = "a killed `report` leaves no half page; run again, the page and all its numbers"

    def __init__(self, home: Path, model: Path, pictures: int = 60) -> None:
        super().__init__(home)
        self.model = model
        write_pictures(home / "mixed" / "good", pictures)
        write_pictures(home / "mixed" / "bad", pictures // 3, odd=True)

    def command(self) -> Sequence[object]:
        """Report on good and bad pictures."""
        return ("report", self.model, self.home / "mixed", "--normal", "good", "-o", "page.html")

    def outcome(self, folder: Path) -> Any:
        """Return the numbers beside the page, once the page is there."""
        for path in (folder / "page").glob("*.json"):
            json.loads(path.read_text(encoding="utf-8"))
        if not (folder / "page.html").exists():
            return None
        text = (folder / "page.html").read_text(encoding="utf-8")
        if not text.rstrip().endswith("</html>"):
            raise NotKept("half a page")
        return digests(folder / "page")


class Refine(Killed):
    """``residua refine``, whose trials depend on how often it was begun."""

    name = "refine"
    promise = "a killed `refine` goes on with its search; every finished trial counts, once"

    def __init__(self, home: Path, pictures: int = 100, trials: int = 4) -> None:
        super().__init__(home)
        self.good = write_pictures(home / "trusted", pictures)
        self.trials = trials
        self._before: dict[Path, Finished] = {}

    def command(self) -> Sequence[object]:
        """Search among small networks."""
        options = ("--trials", self.trials, "--epochs", 10, "--model", "conv", "--no-prune")
        return ("refine", self.good, "-o", "best.residua", "--folder", "search", *options)

    def again(self, folder: Path) -> Sequence[object]:
        """Go on; where the model is there already, and not all figures, replace it."""
        self._before[folder] = finished_trials(folder / "search" / "study.db")
        return (*self.command(), "--force")

    def outcome(self, folder: Path) -> Any:
        """Return how many trials counted, once the winner is there."""
        if (folder / "best.residua").exists():
            _model(folder / "best.residua")
        for path in folder.glob("search/trial-*.residua"):
            _model(path)
        result = folder / "search" / "refinement.json"
        if not result.exists():
            return None
        found = json.loads(result.read_text(encoding="utf-8"))
        if not (folder / "best.residua").exists():
            return None
        finished = finished_trials(folder / "search" / "study.db")
        lost = self._before.get(folder, {}).items() - finished.items()
        if lost:
            raise NotKept(f"trials that had finished before the kill are lost: {sorted(lost)}")
        counted, best = found["completed"], found["steps"][-1]["record"]["auroc"]
        if counted != len(finished) or best != max(finished.values()):
            raise NotKept(f"of the trials {finished}, {counted} count, the best with {best}")
        return counted + found["pruned"] + sum(found["failed"].values())


class Watch(Killed):
    """``residua watch``, which goes on by itself."""

    name = "watch"
    promise = "a killed `watch`, started again, has one row for every picture and none twice"

    def __init__(self, home: Path, model: Path, pictures: int = 1500) -> None:
        super().__init__(home)
        self.model = model
        self.watched = write_pictures(home / "watched", pictures)

    def command(self) -> Sequence[object]:
        """Judge what lies in the folder, and end."""
        options = ("--out", "rows.jsonl", "--once", "--settle", 0, "--threads", 1)
        return ("watch", self.model, self.watched, *options)

    def outcome(self, folder: Path) -> Any:
        """Return the score of each file; the last row may be cut short until the next start."""
        path = folder / "rows.jsonl"
        if not path.exists():
            return None
        rows = [json.loads(one) for one in path.read_text(encoding="utf-8").split("\n")[:-1]]
        scores = {row["id"]: row["score"] for row in rows}
        if len(scores) != len(rows):
            raise NotKept(f"{len(rows)} rows for {len(scores)} pictures")
        return scores

    def same(self, found: Any) -> bool:
        """Compare; the last digits depend on what was scored together, and so on when."""
        return (
            found is not None
            and found.keys() == self.wanted.keys()
            and all(
                math.isclose(score, self.wanted[id], rel_tol=1e-4, abs_tol=1e-4)
                for id, score in found.items()
            )
        )


def checks() -> Iterator[Check]:
    """Yield one check a command."""
    for kind in (Fit, Score, Report, Refine, Watch):
        yield Check(f"kill-{kind.name}", kind.promise, partial(_tried, kind))


def finished_trials(study: Path) -> Finished:
    """Return what the database of a search says of its trials; {}: there is nothing yet."""
    if not study.exists():
        return {}
    with closing(sqlite3.connect(study)) as base:
        tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
        if not tables >= {"trials", "trial_values"}:  # it was killed as it made them
            return {}
        return dict(
            base.execute(
                "SELECT number, value FROM trials JOIN trial_values USING (trial_id) "
                "WHERE state = 'COMPLETE'"
            )
        )


def model_for(home: Path) -> Path:
    """Fit the model with which pictures are scored."""
    room = Room(home / "model")
    good = write_pictures(home / "model-good", 100)
    options = ("--epochs", 8, "--precision", "float32", "--device", "cpu")
    room.run(("fit", good, "-o", "m.residua", *options))
    return room.folder / "m.residua"


def _tried(kind: Any) -> Finding:
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        home = Path(name)
        needs_model = kind not in (Fit, Refine)
        killed: Killed = kind(home, model_for(home)) if needs_model else kind(home)
        killed.undisturbed()
        at = list(moments(_MOMENTS, killed.seconds, _SEED))
        running = sum(killed.killed_at(moment, number) for number, moment in enumerate(at))
    if not running:
        raise NotKept(f"residua {kind.name} had ended before every kill: nothing was tried")
    return Finding(
        kept=True,
        figures=f"{running} kills from {min(at):.2f} to {max(at):.2f} s of {killed.seconds:.2f} s; "
        f"every output equal to the undisturbed one, nothing left over",
    )


def _model(path: Path) -> Any:
    bundle = open_bundle(path)
    files = digests(path)
    numbers = {name: files[name] for name in ("weights.safetensors", "model.onnx")}
    return numbers, bundle.manifest.threshold, bundle.calibration_scores().tolist()
