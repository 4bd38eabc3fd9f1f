from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from residua.watching.rounds import Found, Rounds
from residua.watching.settling import Signature
from residua.watching.walking import Names, is_hidden, walk

ANY = Signature(1, 1, 1)


class Walks:
    """Remembers where walks began; each takes three steps and finds one file."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def __call__(self, below: str) -> Iterator[Found | None]:
        self.begun.append(below)
        yield None
        yield f"{below}a.png", ANY
        yield None


def test_a_walk_goes_on_where_it_was() -> None:
    rounds = Rounds(Walks())
    assert list(rounds.go_on(0.0, 1)) == []
    assert rounds.walking
    assert list(rounds.go_on(0.0, 1)) == [("a.png", ANY)]
    assert list(rounds.go_on(0.0, 9)) == []
    assert not rounds.walking


def test_everything_is_looked_through_every_minute_and_for_a_twentieth_of_the_time() -> None:
    rounds = Rounds(Walks())
    list(rounds.go_on(0.0, 9))
    assert rounds.next_walk == 60.0
    list(rounds.go_on(60.0, 1))
    list(rounds.go_on(70.0, 9))
    assert rounds.next_walk == 70.0 + 200.0


def test_where_nothing_is_told_walks_come_more_often() -> None:
    rounds = Rounds(Walks())
    rounds.untold = True
    list(rounds.go_on(0.0, 9))
    assert rounds.next_walk == 5.0


def test_a_new_folder_is_looked_through_at_once_and_once_more() -> None:
    walks = Walks()
    rounds = Rounds(walks)
    list(rounds.go_on(0.0, 9))
    rounds.new_folder("new/", 1.0)
    assert list(rounds.go_on(1.0, 9)) == [("new/a.png", ANY)]
    assert rounds.next_walk == 3.0
    list(rounds.go_on(3.0, 9))
    assert walks.begun == ["", "new/", "new/"]
    assert rounds.next_walk == 60.0


def test_lost_changes_bring_the_next_walk_forward() -> None:
    rounds = Rounds(Walks())
    list(rounds.go_on(0.0, 9))
    rounds.missed(10.0)
    assert rounds.next_walk == 12.0


def test_once_is_one_walk() -> None:
    rounds = Rounds(Walks(), once=True)
    list(rounds.go_on(0.0, 9))
    assert rounds.next_walk == math.inf


def test_a_walk_follows_links_to_files_and_none_to_folders(tmp_path: Path) -> None:
    root, outside = tmp_path / "in", tmp_path / "outside"
    for folder in (root / "2026-11-22", outside):
        folder.mkdir(parents=True)
        (folder / "a.png").touch()
    (root / "loop").symlink_to(root)
    (root / "today").symlink_to(root / "2026-11-22")
    (root / "folder.png").symlink_to(outside)
    (root / "file.png").symlink_to(outside / "a.png")
    found = [one[0] for one in walk(str(root), "", Names(), pytest.fail) if one is not None]
    assert sorted(found) == ["2026-11-22/a.png", "file.png"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.png", True),
        ("A.TIF", True),
        (".a.png", False),
        ("~a.png", False),
        ("a.png.part", False),
        ("a.part.png", False),
        ("a.txt", False),
        ("png", False),
        ("", False),
    ],
)
def test_names_of_pictures_are_told_from_others(name: str, wanted: bool) -> None:
    assert Names().is_picture(name) == wanted


@pytest.mark.parametrize(
    ("below", "hidden"),
    [
        ("deep/er/a.jpeg", False),
        (".a.png", True),
        (".thumbs/a.png", True),
        ("deep/.thumbs", True),
        ("deep/.er/a.png", True),
        (".", True),
        ("../a.png", True),
    ],
)
def test_a_path_is_hidden_where_a_part_of_it_is(below: str, hidden: bool) -> None:
    assert is_hidden(below) == hidden
