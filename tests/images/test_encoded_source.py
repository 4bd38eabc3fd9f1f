from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from residua.errors import (
    BadLabels,
    ConfigurationError,
    DamagedImage,
    EmptySource,
    ImageError,
    ImageTooLarge,
    NotAnImage,
    UnreadableFile,
)
from residua.images.preprocess import InputSpec
from residua.images.source import EncodedSource

SPEC = InputSpec(height=8, width=8, channels=1)


def png(level: int, side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (side, side), level).save(stream, "PNG")
    return stream.getvalue()


def test_content_is_fetched_when_it_is_read_and_not_before() -> None:
    asked: list[int] = []

    def load(index: int) -> bytes:
        asked.append(index)
        return png(index)

    source = EncodedSource(load, 1_000)
    assert (len(source), asked) == (1_000, [])
    (batch,) = source.batches(SPEC, 4, [7, 3], workers=1)
    assert asked == [7, 3]
    assert batch.images[:, 0, 0, 0].tolist() == [7, 3]


def test_no_two_pictures_are_fetched_at_once() -> None:
    inside = threading.Lock()
    threads: set[int] = set()

    def load(index: int) -> bytes:
        assert inside.acquire(blocking=False)
        threads.add(threading.get_ident())
        time.sleep(0.001)
        inside.release()
        return png(index)

    batches = list(EncodedSource(load, 60).batches(SPEC, 20, workers=4))
    assert [len(batch.failures) for batch in batches] == [0, 0, 0]
    assert len(threads) > 1


def raising() -> bytes:
    raise OSError("the database is gone")


def too_large() -> bytes:
    raise ImageTooLarge("kept in part only")


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (raising, UnreadableFile, r"part-1\.png could not be fetched: OSError \(the database is"),
        (lambda: None, UnreadableFile, r"part-1\.png was fetched as NoneType; wanted the bytes"),
        (lambda: b"", DamagedImage, r"part-1\.png"),
        (lambda: b"no picture", NotAnImage, r"part-1\.png"),
        (lambda: png(0)[:40], DamagedImage, r"part-1\.png"),
        (lambda: png(0, side=32), ImageTooLarge, r"part-1\.png is 32 × 32"),
        (too_large, ImageTooLarge, "kept in part only"),
    ],
)
def test_what_cannot_be_had_is_a_failure_of_that_picture_alone(
    content: Callable[[], bytes], error: type[ImageError], said: str
) -> None:
    source = EncodedSource(
        lambda index: content() if index == 1 else png(9),
        3,
        ids=[f"part-{number}.png" for number in range(3)],
        max_pixels=100,
    )
    (batch,) = source.batches(SPEC, 3)
    assert batch.indices.tolist() == [0, 2]
    (failure,) = batch.failures
    assert (failure.index, failure.id, type(failure.error)) == (1, "part-1.png", error)
    with pytest.raises(error, match=said):
        source.sample(1, values=True)


def test_names_that_are_no_utf_8_are_made_printable() -> None:
    source = EncodedSource(lambda index: png(index), 1, ids=["a\udcff.png"])
    assert source.ids == [r"a\xff.png"]


def test_without_names_pictures_are_numbered() -> None:
    source = EncodedSource(lambda index: b"", 2)
    assert list(source.ids) == ["0", "1"]
    with pytest.raises(DamagedImage, match="item 1"):
        source.sample(1, values=False)


def test_a_source_that_cannot_be_is_refused() -> None:
    with pytest.raises(EmptySource, match="0 pictures"):
        EncodedSource(png, 0)
    with pytest.raises(BadLabels, match="1 ids for 2"):
        EncodedSource(png, 2, ids=["a"])
    with pytest.raises(ConfigurationError, match="max_pixels is 0"):
        EncodedSource(png, 2, max_pixels=0)


def test_the_pictures_are_those_of_the_files() -> None:
    contents = [png(level, side=20) for level in (10, 200, 90)]
    spec = EncodedSource(contents.__getitem__, 3).suggest_spec(size=8)
    (batch,) = EncodedSource(contents.__getitem__, 3).batches(spec, 3)
    assert batch.images.shape == (3, 8, 8, 1)
    assert np.all(batch.images[:, :, :, 0] == np.array([10, 200, 90])[:, None, None])
