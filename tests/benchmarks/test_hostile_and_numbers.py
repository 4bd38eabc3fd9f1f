from __future__ import annotations

import os
from pathlib import Path

from reliability.hostile import _watched, checks
from reliability.hostile_bundles import CASES, KEPT, Case, make
from reliability.numbers import checks as number_checks
from residua.bundle import FILES, open_bundle


def test_every_check_has_a_name_of_its_own_and_a_promise() -> None:
    found = [*checks(), *number_checks()]
    assert len({check.name for check in found}) == len(found) == 4
    assert all(check.promise.endswith(".") for check in found)


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 80


def test_what_is_signed_again_without_a_change_is_sound(tmp_path: Path) -> None:
    folder = make(Case("sound", lambda _: None, "never"), tmp_path / "in" / "m.residua")
    assert open_bundle(folder).manifest == open_bundle(KEPT).manifest
    assert all((folder / name).read_bytes() == (KEPT / name).read_bytes() for name in FILES)


def test_the_watch_sees_what_is_opened_outside_and_what_is_started(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()  # a hook stays as long as its process
    if child == 0:
        bundle = tmp_path / "m.residua"
        bundle.mkdir()
        (bundle / "inside").write_text("x")
        (tmp_path / "outside").write_text("x")
        found = _watched(bundle)
        (bundle / "inside").read_text()
        before = len(found)
        (tmp_path / "outside").read_text()
        (bundle / "inside").write_text("y")
        os.system("true")
        os.write(writing, f"{before} {len(found)}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert answer.read() == "0 3"
    os.waitpid(child, 0)
