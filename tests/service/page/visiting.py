"""What the tests of the page begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from residua.service import schemas

from .stand_in import Station

PAGE = Path(schemas.__file__).parent / "page"
# For what depends on how the page is laid out or touched; all else is tested on a wide page alone.
both = pytest.mark.parametrize("window", [1280, 400], indirect=True, ids=["wide", "narrow"])
narrow = pytest.mark.parametrize("window", [400], indirect=True, ids=["narrow"])


def visit(page: Any, station: Station, view: str = "inspect") -> None:
    """Open the page and wait until it knows who is there and what is served."""
    page.goto(f"{station.url}#/{view}")
    page.locator(f"#{view}").wait_for()
