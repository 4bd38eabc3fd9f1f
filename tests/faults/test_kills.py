"""Commands killed once or twice; `scripts/bench reliability` kills each ten times."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reliability.killing import NotKept, moments
from reliability.kills import Fit, Killed, Report, Score, Watch
from reliability.serve_kills import killed_again_and_again


def test_a_killed_fit_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    fit = Fit(tmp_path, pictures=60, epochs=20)
    fit.undisturbed()
    # Late enough that there is something to resume.
    fit.killed_at(0.85 * fit.seconds, 0)


@pytest.mark.parametrize(("kind", "pictures"), [(Score, 400), (Report, 20), (Watch, 300)])
def test_a_killed_command_is_run_again_to_the_same_output(
    kind: type[Score | Report | Watch], pictures: int, bundle: Path, tmp_path: Path
) -> None:
    killed = kind(tmp_path, bundle, pictures)
    killed.undisturbed()
    for number, moment in enumerate(moments(2 - (kind is Report), killed.seconds, 5)):
        killed.killed_at(moment, number)


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


def test_a_killed_service_has_every_review_that_it_acknowledged(
    bundle: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(bundle, tmp_path / "m.residua"))
    kills, reviews, pictures = killed_again_and_again(tmp_path, model, 2)
    assert kills == 2
    assert 0 < reviews <= pictures
