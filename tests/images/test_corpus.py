"""Every bad picture of the corpus is a picture or a named error, in bounded time and memory."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import decoder
from fuzz.measuring import measured, most_megabytes
from fuzz.pictures import Picture, bombs, sound


@cache
def sound_pictures() -> tuple[Picture, ...]:
    return tuple(sound())


@cache
def bombs_by_name() -> dict[str, bytes]:
    return {name: content for name, content in bombs() if len(content) < 1 << 20}


def test_the_corpus_has_every_format_that_pillow_writes_and_its_names_are_its_own() -> None:
    names = [picture.name for picture in sound_pictures()]
    formats = {name.partition("-")[0] for name in names}
    assert formats >= {"BLP", "BMP", "DDS", "GIF", "ICNS", "ICO", "IM", "JPEG", "MPO", "MSP", "PCX"}
    assert formats >= {"PNG", "PPM", "QOI", "SGI", "SPIDER", "TGA", "TIFF", "XBM"}
    assert len(names) == len(set(names)) > 150


def test_what_is_sound_is_read() -> None:
    refused = {
        name
        for name, content in sound_pictures()
        if next(decoder.readings(content, decoder.MAX_PIXELS))() != "read"
    }
    # Pillow writes PALM and does not read it, and of an icon it loses the palette; Residua runs no
    # PostScript.
    assert {name for name in refused if not name.startswith(("EPS-", "PALM-", "ICNS-P"))} == set()


def test_no_picture_hangs_or_takes_much_memory_or_ends_in_another_error() -> None:
    taken = measured(decoder.MAX_PIXELS, every=40)
    assert len(taken) > 600
    assert [one for one in taken if one.outcome.startswith("!")] == []
    most = most_megabytes(decoder.MAX_PIXELS)
    assert [one for one in taken if one.megabytes > most] == []
    outcomes = {one.outcome for one in taken}
    assert outcomes >= {"read", "DamagedImage", "NotAnImage", "UnsupportedImage"}
    assert outcomes >= {"ImageTooLarge", "ImageTooCostly"}


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("jpeg-20-scans", "read"),
        ("jpeg-3000-scans", "ImageTooCostly"),
        ("jpeg-30000-scans", "ImageTooCostly"),
        ("jpeg-scans-behind-a-false-end", "ImageTooCostly"),
        ("jpeg-scans-behind-fill", "ImageTooCostly"),
        ("qoi-allowed", "ImageTooLarge"),
        ("tiff-huge-tile", "ImageTooCostly"),
        ("tiff-5-pages", "read"),
        ("tiff-loop", "read"),
        ("ico-of-large", "ImageTooLarge"),
        ("ico-of-runs", "ImageTooLarge"),
        ("icns-of-jpeg2000", "ImageTooLarge"),
        ("icns-of-allowed", "ImageTooLarge"),
        ("png-one-column", "ImageTooLarge"),
        ("gif-no-frame", "DamagedImage"),
        ("pfm-of-nan", "UnsupportedImage"),
    ],
)
def test_a_bomb_is_refused_by_its_name(name: str, outcome: str) -> None:
    max_pixels = decoder.MAX_PIXELS * (4 if name.startswith("jpeg") else 1)
    assert next(decoder.readings(bombs_by_name()[name], max_pixels))() == outcome


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_to_any_mode_is_a_picture_or_an_image_error(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(sound_pictures())).content)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        content += b"\0" * (not content)
    decoder.one(bytes(content[: data.draw(st.integers(0, len(content)))]))
