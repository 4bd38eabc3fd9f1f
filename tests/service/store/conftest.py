"""Stores in both databases, and pictures to keep in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from residua.service.store.pictures import NewPicture
from residua.service.store.store import ReviewStore


def make_picture(content: bytes = b"picture", **changes: Any) -> NewPicture:
    given: dict[str, Any] = {
        "model": "part",
        "revision": "0123456789ab",
        "name": "line/1.png",
        "content": content,
        "media_type": "image/png",
        "width": 16,
        "height": 12,
        "score": 0.75,
        "threshold": 0.5,
        "lower": None,
        "anomalous": True,
        "p_value": 0.01,
        "margin": 1.0,
    }
    return NewPicture(**given | changes)


def stored_sums(store: ReviewStore) -> tuple[tuple[int, int], tuple[int, int]]:
    """The bytes as they are kept, and as the tables give them."""
    with store._database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT size, held FROM residua_usage").one()
        counted = connection.exec_driver_sql(
            "SELECT coalesce(sum(size), 0), coalesce(sum(CASE WHEN EXISTS (SELECT 1 FROM "
            "residua_pictures p WHERE p.content = c.digest AND p.correct IS NOT NULL) "
            "THEN size ELSE 0 END), 0) FROM residua_contents c"
        ).one()
    return tuple(map(int, kept)), tuple(map(int, counted))  # type: ignore[return-value]


@pytest.fixture
def picture() -> Callable[..., NewPicture]:
    return make_picture


@pytest.fixture
def sums() -> Callable[[ReviewStore], tuple[tuple[int, int], tuple[int, int]]]:
    return stored_sums


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'reviews.sqlite'}"


@pytest.fixture
def store(url: str) -> Iterator[ReviewStore]:
    with closing(ReviewStore.open(url)) as opened:
        yield opened


@pytest.fixture
def python() -> Callable[..., subprocess.Popen[str]]:
    """Run a program, given its arguments, in a process of its own."""

    def start(program: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
