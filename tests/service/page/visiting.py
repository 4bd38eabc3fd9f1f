"""What the tests of the page begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from residua.service import schemas

from .stand_in import Station

PAGE = Path(schemas.__file__).parent / "page"
# For what does not depend on how the page is laid out.
once = pytest.mark.parametrize("window", [1280], indirect=True, ids=["wide"])


def visit(page: Any, station: Station, view: str = "inspect") -> None:
    """Open the page and wait until it knows who is there and what is served."""
    page.goto(f"{station.url}#/{view}")
    page.locator(f"#{view}").wait_for()
