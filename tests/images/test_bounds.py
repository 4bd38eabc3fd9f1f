"""Files that ask for far more than their size: what is refused, and what still passes."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fuzz.pictures.forging import jpeg_of_scans, jpeg_segment, png, png_chunk
from residua.errors import ImageError, ImageTooCostly, ImageTooLarge, UnsupportedImage
from residua.images.counted_reading import CountedBytes, CountedFile, TooManySteps
from residua.images.decode import decode_image, read_header
from residua.images.decoding_work import SCANS, count_scans
from residua.images.preprocess import InputSpec

SPEC = InputSpec(height=8, width=8, channels=3, value_range=(0.0, 255.0))


def saved(form: str, mode: str = "RGB", side: int = 64, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (side, side), 9).save(stream, form, **options)
    return stream.getvalue()


def decode(content: bytes, max_pixels: int = 64 * 64) -> None:
    assert decode_image(content, SPEC, name="it", max_pixels=max_pixels).shape == SPEC.shape


# ---- scans


def test_the_scans_that_programs_write_pass() -> None:
    for options in ({}, {"progressive": True}, {"progressive": True, "subsampling": 0}):
        for mode in ("L", "RGB", "CMYK"):
            decode(saved("JPEG", mode, **options))


def test_a_scan_more_than_the_limit_allows_is_refused() -> None:
    content = jpeg_of_scans(64, 0)
    own = count_scans(io.BytesIO(content), 10_000)
    assert 1 < own < SCANS
    decode(jpeg_of_scans(64, SCANS - own))
    with pytest.raises(ImageTooCostly, match=r"^it is 64 × 64 and goes over its pixels 25 times"):
        decode(jpeg_of_scans(64, SCANS - own + 1))
    decode(jpeg_of_scans(64, SCANS - own + 1), max_pixels=64 * 64 * 2)


def test_scans_of_one_colour_each_are_counted_though_it_is_not_progressive() -> None:
    whole = saved("JPEG", "RGB", subsampling=0)
    start = whole.index(b"\xff\xda")
    alone = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 0, 63, 0)
    content = whole[:start] + (alone + b"\0") * 40 + b"\xff\xd9"
    with pytest.raises(ImageTooCostly, match="goes over its pixels"):
        decode(content)


@pytest.mark.parametrize(
    "between",
    [
        jpeg_segment(0xFE, b"\xff\xd9\xff\xd9"),
        jpeg_segment(0xC4, b"\x10" + b"\1" + bytes(15) + b"\xd9"),
        b"\xff\xff",
        b"\0garbage\xff\0\xff\xd3",
    ],
)
def test_nothing_between_scans_hides_them(between: bytes) -> None:
    content = jpeg_of_scans(64, 0)
    last = content[content.rindex(b"\xff\xda") : -2]
    own = count_scans(io.BytesIO(content), 10_000)
    hidden = content[:-2] + (between + last) * 5 + content[-2:]
    assert count_scans(io.BytesIO(hidden), 10_000) == own + 5


def test_a_jpeg_of_holes_is_not_read_to_count_its_scans(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(jpeg_of_scans(64, 0))
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ImageTooCostly, match="has 1,099,511,627,776 bytes"):
        decode_image(path, InputSpec(height=8, width=8, channels=1))


def test_a_file_of_holes_is_not_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)
    with CountedFile(open(path, "rb", buffering=0)) as stream, pytest.raises(TooManySteps):  # noqa: PTH123
        stream.read()


def test_what_follows_the_end_of_a_jpeg_is_no_scan() -> None:
    content = jpeg_of_scans(64, 0)
    own = count_scans(io.BytesIO(content), 10_000)
    film = content + b"\xff\xda\0\2" * 1_000
    assert count_scans(io.BytesIO(film), 10_000) == own
    decode(film)


# ---- work


@pytest.mark.parametrize(
    ("form", "mode", "options", "times"),
    [
        ("QOI", "RGB", {}, 56),
        ("DDS", "RGB", {}, 56),
        ("BLP", "P", {}, 56),
        ("JPEG2000", "RGB", {}, 4),
    ],
)
def test_what_takes_long_is_allowed_fewer_pixels(
    form: str, mode: str, options: dict[str, object], times: int
) -> None:
    content = saved(form, mode, **options)
    decode(content, max_pixels=64 * 64 * times)
    with pytest.raises(ImageTooCostly, match=r"^it is 64 × 64 .* the limit is .*max_pixels"):
        decode(content, max_pixels=64 * 64 * times - 1)


@pytest.mark.parametrize("form", ["QOI", "DDS", "BLP", "PPM of 12 bits", "BMP of runs"])
def test_what_is_read_a_pixel_at_a_time_is_not_taken_for_many_pieces(form: str) -> None:
    side = 600
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    stream = io.BytesIO()
    if form == "PPM of 12 bits":
        stream.write(b"P5 600 600 4095\n" + b"\1\2" * side * side)
    elif form == "BMP of runs":
        bitmap = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 0, 0, 0, 256, 0)
        stream.write(b"BM" + struct.pack("<IHHI", 1_078, 0, 0, 1_078) + bitmap + bytes(1_024))
        stream.write((b"\1\7" * side + b"\0\0") * side + b"\0\1")
    else:
        Image.fromarray(noise).convert("P" if form == "BLP" else "RGB").save(stream, form)
    decode(stream.getvalue(), max_pixels=1 << 26)


def test_deep_text_formats_take_long_and_plain_bytes_do_not() -> None:
    deep = b"P5 64 64 4095\n" + b"\1\2" * 64 * 64
    with pytest.raises(ImageTooCostly):
        decode(deep)
    decode(deep, max_pixels=64 * 64 * 30)
    decode(b"P5 64 64 255\n" + bytes(64 * 64))


def test_a_bitmap_packed_in_runs_is_bound_by_its_bytes() -> None:
    bitmap = struct.pack("<IiiHHIIiiII", 40, 64, 64, 1, 8, 1, 0, 0, 0, 256, 0)
    head = b"BM" + struct.pack("<IHHI", 1_078, 0, 0, 1_078) + bitmap + bytes(1_024)
    decode(head + b"\x40\7\0\0" * 64 + b"\0\1", max_pixels=1 << 20)
    with pytest.raises(ImageTooCostly, match="packed in runs"):
        decode(head + b"\1\7" * (1 << 17), max_pixels=1 << 20)


def test_a_texture_with_a_jpeg_inside_is_refused() -> None:
    content = struct.pack("<4siIIIIII", b"BLP1", 0, 0, 8, 8, 4, 0, 0)
    content += struct.pack("<32I", *[160] * 16, *[600] * 16) + saved("JPEG")
    with pytest.raises(UnsupportedImage, match="BLP texture with a JPEG inside"):
        decode(content, max_pixels=1 << 20)


def test_a_picture_of_very_many_rows_is_refused_and_one_of_many_columns_is_not() -> None:
    rows = 2_000_000
    tall = png((1, rows), b"")
    with pytest.raises(ImageTooCostly, match=r"so many rows .* turn it on its side"):
        decode(tall, max_pixels=rows)
    decode(saved_long(rows), max_pixels=rows)


def saved_long(columns: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (columns, 1), 7).save(stream, "PNG")
    return stream.getvalue()


def test_large_tiles_pass_where_they_hold_the_picture_and_not_where_they_dwarf_it() -> None:
    def tiled(side: int) -> bytes:
        values = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side}
        values |= {324: 8 + 2 + 12 * 10 + 4, 325: 8}
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, values[tag]) for tag in sorted(values))
        return b"II*\0\x08\0\0\0" + struct.pack("<H", 10) + entries + bytes(12)

    with pytest.raises(ImageTooCostly, match="in tiles of 4096 × 4096"):
        decode(tiled(4_096))
    with pytest.raises(ImageError) as caught:  # its pixels are no deflated stream
        decode(tiled(1_024))
    assert not isinstance(caught.value, ImageTooCostly)


# ---- pictures in icons


@pytest.mark.parametrize("nested", ["PNG", "JPEG2000"])
def test_a_picture_within_an_icon_is_no_larger_than_icons_are(nested: str) -> None:
    for side, fits in ((64, True), (2_049, False)):
        inner = saved(nested, "RGBA", side)
        block = b"ic10" + struct.pack(">I", 8 + len(inner)) + inner
        icns = b"icns" + struct.pack(">I", 8 + len(block)) + block
        entry = struct.pack("<BBBBHHII", 64, 64, 0, 0, 1, 32, len(inner), 22)
        ico = b"\0\0\1\0\1\0" + entry + inner
        if not fits:
            with pytest.raises(ImageTooLarge, match=r"holds a picture of 2049 × 2049; an icon has"):
                decode(icns, max_pixels=1 << 24)
        if nested == "PNG":
            if fits:
                decode(ico, max_pixels=1 << 24)
                continue
            with pytest.raises(ImageTooLarge, match=r"holds a picture of 2049 × 2049; an icon has"):
                decode(ico, max_pixels=1 << 24)


def test_a_bitmap_within_an_icon_is_measured_too() -> None:
    bitmap = struct.pack("<IiiHHIIiiII", 40, 9_000, 18_000, 1, 8, 1, 0, 0, 0, 256, 0)
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 8, 3_000, 22)
    with pytest.raises(ImageTooLarge, match="9000 × 9000"):
        decode(b"\0\0\1\0\1\0" + entry + bitmap + bytes(3_000), max_pixels=1 << 30)


def test_ordinary_icons_are_read() -> None:
    for form in ("ICO", "ICNS"):
        decode(saved(form, "RGBA", 256), max_pixels=1 << 20)


# ---- steps


@pytest.mark.parametrize("kind", ["before", "after"])
def test_a_png_of_very_many_chunks_is_refused(kind: str) -> None:
    chunks = {kind: png_chunk(b"teSt", b"") * 150_000}
    pixels = bytes.fromhex("789c63601805000000480001")
    with pytest.raises(ImageTooCostly, match="in so many pieces"):
        decode(png((8, 8), pixels, **chunks))


def test_a_jpeg_of_very_many_segments_is_refused_from_memory_and_from_disk(tmp_path) -> None:
    whole = saved("JPEG")
    content = whole[:2] + jpeg_segment(0xE1, b"Exif\0\0x") * 50_000 + whole[2:]
    (tmp_path / "it.jpg").write_bytes(content)
    for file in (content, tmp_path / "it.jpg"):
        with pytest.raises(ImageTooCostly, match="export it again"):
            decode_image(file, SPEC)


def test_files_of_many_frames_and_large_profiles_pass() -> None:
    frames = [Image.new("L", (8, 8), n) for n in range(1, 250)]
    for form in ("GIF", "TIFF"):
        stream = io.BytesIO()
        frames[0].save(stream, form, save_all=True, append_images=frames[1:])
        decode(stream.getvalue())
        assert read_header(stream.getvalue()).frames == 249
    decode(saved("JPEG", icc_profile=bytes(4 << 20)))
    decode(saved("PNG", icc_profile=bytes(range(256)) * 2_000))


def test_frames_that_take_very_many_steps_to_count_are_not_counted() -> None:
    image = b",\0\0\0\0\1\0\1\0\0\2\2\x4c\1\0"
    content = saved("GIF", "L")
    many = content[:-1] + image * 100_000 + b";"
    assert read_header(many).frames == 1
    decode(many)


def test_a_later_frame_that_is_damaged_is_no_fault_of_the_first() -> None:
    content = bytearray(saved("TIFF", "L"))
    (directory,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, directory)
    struct.pack_into("<I", content, directory + 2 + 12 * entries, len(content))
    assert read_header(bytes(content) + bytes(6))[:2] == (64, 64)


def test_a_tiff_of_a_row_a_strip_passes() -> None:
    picture = Image.fromarray(np.arange(300 * 20, dtype=np.uint32).reshape(300, 20) % 251 / 255)
    stream = io.BytesIO()
    picture.save(stream, "TIFF", strip_size=1)
    decode(stream.getvalue(), max_pixels=1 << 20)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_each_read_counts_and_a_new_allowance_begins_anew(where: str, tmp_path) -> None:
    (tmp_path / "it").write_bytes(bytes(100_000))
    opened = {
        "memory": lambda: CountedBytes(bytes(100_000)),
        "disk": lambda: CountedFile((tmp_path / "it").open("rb", buffering=0)),
    }[where]
    with opened() as stream:
        stream.allow(10 * (4_096 + 10))
        for _ in range(10):
            assert stream.read(10) == bytes(10)
        with pytest.raises(TooManySteps):
            stream.readline(10)
        stream.allow(4_096)
        stream.seek(0)
        assert len(stream.read()) == 100_000  # one step, whatever it gives
        with pytest.raises(TooManySteps):
            stream.read(0)
