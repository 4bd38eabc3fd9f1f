"""SIGTERM, with which systems and schedulers end what runs too long."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reliability.killing import Room, kill, write_pictures

TERMINATED = 128 + signal.SIGTERM


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "room")


def ended(room: Room, arguments: tuple[object, ...], once: Callable[[], object]) -> int:
    """Start a command, send SIGTERM once something holds; returns its exit code."""
    process = room.start(arguments)
    try:
        until = time.monotonic() + 60
        while not once():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        kill(process)
    assert "Traceback" not in said
    return process.returncode


def test_a_fit_keeps_its_checkpoint_and_no_decoded_pictures(room: Room, tmp_path: Path) -> None:
    good = write_pictures(tmp_path / "good", 60)
    partial = room.folder / "m.residua.partial"
    options = ("--epochs", 5000, "--precision", "float32", "--device", "cpu")
    code = ended(
        room,
        ("fit", good, "-o", "m.residua", *options),
        (partial / "attempt-0" / "last.ckpt").exists,
    )
    assert code == TERMINATED
    assert not (room.folder / "m.residua").exists()
    files = {str(path.relative_to(partial)) for path in partial.rglob("*") if path.is_file()}
    assert files == {"fit.json", "attempt-0/last.ckpt"}


def test_a_score_leaves_no_half_table(room: Room, bundle: Path, tmp_path: Path) -> None:
    incoming = write_pictures(tmp_path / "incoming", 3000)
    code = ended(
        room,
        ("score", bundle, incoming, "--out", "scores.csv", "--maps", "maps"),
        lambda: any((room.folder / "maps").glob("*.png")),
    )
    assert code == TERMINATED
    assert not (room.folder / "scores.csv").exists()
    assert not room.litter()


@pytest.fixture
def handler() -> Iterator[object]:
    before = signal.getsignal(signal.SIGTERM)
    yield before
    signal.signal(signal.SIGTERM, before)


def test_the_handler_of_before_is_put_back(
    handler: object, residua: Callable[..., tuple[int, str]]
) -> None:
    assert residua("--version")[0] == 0
    assert signal.getsignal(signal.SIGTERM) is handler
