"""SECURITY.md names tests and scripts that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_the_tests_that_the_page_names_are_there() -> None:
    below, found = ROOT / "tests", 0
    # A name without a folder lies in the folder of the one before it.
    for name in re.findall(r"`(tests/[\w/.]+|test_\w+\.py)`", PAGE):
        path = ROOT / name if name.startswith("tests/") else below / name
        assert path.exists(), name
        below = path if path.is_dir() else path.parent
        found += 1
    assert found > 10


def test_the_scripts_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"`(scripts/[\w/.-]+)", PAGE))
    assert {"scripts/lock", "scripts/sbom", "scripts/check"} <= named
    for name in named:
        assert (ROOT / name).exists(), name
