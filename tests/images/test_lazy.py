from __future__ import annotations

import os
import tracemalloc

import pytest

from residua.images.lazy import packed


def test_texts_come_out_as_they_went_in() -> None:
    texts = ["", "a.png", "größe/日本.jpg", os.fsdecode(b"\xff.png"), "\ud800", "a\0b"]
    held = packed(iter(texts))
    assert held == texts
    assert held[-2] == "\ud800"
    assert held[1:3] == texts[1:3]
    with pytest.raises(IndexError):
        held[len(texts)]
    assert not packed([])


def test_many_texts_take_little_more_than_their_letters() -> None:
    names = [f"{number:06}.jpg" for number in range(10_000)]
    tracemalloc.start()
    try:
        held = packed(names)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 30 * len(names)
    assert list(held) == names
