"""Commands killed once or twice; `scripts/bench reliability` kills each ten times."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reliability.killing import NotKept, Room, moments
from reliability.kills import Fit, Killed, Refine, Report, Score, Watch
from reliability.serve_kills import killed_again_and_again


def killed_while_running(killed: Killed, moment: float, number: int) -> None:
    """Kill a command at a moment, or at an earlier one where it was quicker this time."""
    for turn in range(5):
        if killed.killed_at(moment / 2**turn, 10 * number + turn):
            return
    pytest.fail(f"residua {killed.name} ended before every kill")


def test_a_killed_fit_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    fit = Fit(tmp_path, pictures=60, epochs=20)
    fit.undisturbed()
    # Late enough that there is something to resume.
    killed_while_running(fit, 0.85 * fit.seconds, 0)


@pytest.mark.parametrize(("kind", "pictures"), [(Score, 400), (Report, 20), (Watch, 300)])
def test_a_killed_command_is_run_again_to_the_same_output(
    kind: type[Score | Report | Watch], pictures: int, bundle: Path, tmp_path: Path
) -> None:
    killed = kind(tmp_path, bundle, pictures)
    killed.undisturbed()
    for number, moment in enumerate(moments(2 - (kind is Report), killed.seconds, 5)):
        killed_while_running(killed, moment, number)


class Careless(Killed):
    """A command whose output is half when it is killed, or that leaves something over."""

    name = "careless"
    promise = "none"

    def __init__(self, home: Path, *, half: bool = False, lost: bool = False) -> None:
        super().__init__(home)
        self.half, self.lost, self.seconds, self.wanted = half, lost, 1.0, "whole"

    def command(self) -> tuple[object, ...]:
        return ("--version",)

    def outcome(self, folder: Path) -> object:
        if self.half:
            raise ValueError("half")
        if not self.lost:
            (folder / ".residua-left").touch()
        return "some" if self.lost else "whole"


@pytest.mark.parametrize(
    ("faults", "said"),
    [({"half": True}, "half an output"), ({"lost": True}, "wanted 'whole'"), ({}, "it leaves")],
)
def test_what_is_half_lost_or_left_is_found(
    faults: dict[str, bool], said: str, tmp_path: Path
) -> None:
    with pytest.raises(NotKept, match=said) as caught:
        Careless(tmp_path, **faults).killed_at(0.01, 0)
    assert "killed after 0.010 of 1.000 s" in str(caught.value)


@pytest.mark.parametrize(
    ("lost", "said"),
    [("DELETE FROM trials WHERE number = 0", "are lost: .*0, 0.75"), ("", "2 count"), (None, None)],
)
def test_a_trial_that_is_lost_or_counts_twice_is_found(
    lost: str | None, said: str | None, bundle: Path, tmp_path: Path
) -> None:
    refine = Refine(tmp_path, pictures=1)
    (tmp_path / "search").mkdir()
    shutil.copytree(bundle, tmp_path / "best.residua")
    with closing(sqlite3.connect(tmp_path / "search" / "study.db")) as base:
        base.execute("CREATE TABLE trials (trial_id, number, state)")
        base.execute("CREATE TABLE trial_values (trial_id, value)")
        base.execute("INSERT INTO trials VALUES (1, 0, 'COMPLETE'), (2, 1, 'RUNNING')")
        base.execute("INSERT INTO trial_values VALUES (1, 0.75)")
        base.commit()
        refine.again(tmp_path)
        base.execute(lost or "SELECT 1")
        base.commit()
    found = {
        "completed": 1 if said is None else 2,
        "pruned": 0,
        "failed": {},
        "steps": [{"record": {"auroc": 0.75}}],
    }
    (tmp_path / "search" / "refinement.json").write_text(json.dumps(found))
    if said is None:
        assert refine.outcome(tmp_path) == 1
    else:
        with pytest.raises(NotKept, match=said):
            refine.outcome(tmp_path)


def test_a_command_that_fails_before_it_is_killed_is_found(tmp_path: Path) -> None:
    with pytest.raises(NotKept, match="residua score nothing ends with 2"):
        Room(tmp_path / "room").run_and_kill(("score", "nothing"), 60)


def test_a_killed_service_has_every_review_that_it_acknowledged(
    bundle: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(bundle, tmp_path / "m.residua"))
    kills, reviews, pictures = killed_again_and_again(tmp_path, model, 2)
    assert kills == 2
    assert 0 < reviews <= pictures
