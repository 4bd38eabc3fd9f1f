"""Whatever a file holds, decoding it ends in a picture or in one named error."""

from __future__ import annotations

import errno
import io
import os
import pickle
import struct
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import BmpImagePlugin, Image, ImageFile

from residua.errors import (
    DamagedImage,
    ImageError,
    ImageTooLarge,
    NotAnImage,
    UnreadableFile,
    UnsupportedImage,
)
from residua.images import decode
from residua.images.decode import decode_image, decode_mask, read_header
from residua.images.pillow_warnings import pillow_warnings_ignored
from residua.images.preprocess import InputSpec

SPEC = InputSpec(height=8, width=12, channels=3)
SMALL = 1 << 20
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "TGA", "PCX", "SGI", "IM", "DDS")
FORMATS += ("QOI", "ICO", "ICNS", "JPEG2000", "AVIF", "MPO", "SPIDER", "XBM", "MSP")
SIGNATURES = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"RIFF\x20\0\0\0WEBPVP8 ",
    b"P5 ",
    b"P6\n",
    b"Pf\n",
    b"8BPS\0\1",
    b"DDS |\0\0\0",
    b"\x00\x00\x01\x00",
    b"\x00\x00\x02\x00",
    b"icns",
    b"\x01\xda",
    b"\x0a\x05\x01\x08",
    b"SIMPLE  =                    T",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"\x59\xa6\x6a\x95",
    b"qoif",
    b"#define x_width 8\n",
    b"/* XPM */",
    b"BLP2",
    b"FTEX",
    b"\0\0\0\x1cftypavif",
    b"\0\0\0\x14\0\0\0\x02",
    b"\x89HDF\r\n\x1a\n",
    b"GRIB\0\0\0\1",
    b"BUFR",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    b"\x01\0\0\0",
    b"\xd7\xcd\xc6\x9a\0\0",
    b"\0\0\2\0\0\0\0\0\0\0\0\0\x08\0\x08\0\x18\0",
]


def content_of(format_name: str) -> bytes:
    y, x = np.mgrid[0:16, 0:16]
    picture = Image.fromarray(np.stack([x * 16, y * 16, (x * y) % 256], axis=-1).astype(np.uint8))
    mode = {"XBM": "1", "MSP": "1", "SPIDER": "F"}.get(format_name, "RGB")
    stream = io.BytesIO()
    with pillow_warnings_ignored():
        picture.convert(mode).save(stream, format_name)
    return stream.getvalue()


def test_every_format_that_is_damaged_below_is_sound_to_begin_with():
    for format_name in FORMATS:
        spec = SPEC.model_copy(update={"value_range": (0.0, 255.0)})
        assert decode_image(content_of(format_name), spec, name=format_name).shape == SPEC.shape


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([b"", *SIGNATURES]), st.binary(max_size=300))
@example(b"", b"")
@example(b"P5 ", b"999999999 999999999 255\n")
def test_arbitrary_bytes_are_a_picture_or_an_image_error(signature, rest):
    is_picture_or_image_error(signature + rest)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_damaged_file_is_a_picture_or_an_image_error(data):
    content = bytearray(content_of(data.draw(st.sampled_from(FORMATS))))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    is_picture_or_image_error(bytes(content[: data.draw(st.integers(0, len(content)))]))


def is_picture_or_image_error(content: bytes) -> None:
    said = ""
    try:
        assert decode_image(content, SPEC, name="it", max_pixels=SMALL).shape == SPEC.shape
    except ImageError as error:
        said = str(error)
    assert not said or said.startswith("it ")
    said.encode()
    with suppress(ImageError):
        header = read_header(content)
        assert min(header.width, header.height, header.frames) >= 1


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_a_truncated_picture_is_damaged(format_name, tmp_path):
    path = tmp_path / "cut.png"
    content = content_of(format_name)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedImage, match=r"cut\.png .*(again)"):
        decode_image(path, SPEC)


def test_an_empty_file_is_damaged_and_says_so(tmp_path):
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(DamagedImage, match=r"empty\.png is empty \(0 bytes\)"):
        decode_image(path, SPEC)


@pytest.mark.parametrize("content", [b"not an image", b"\0" * 500, b"<svg></svg>", b"a,b\n1,2\n"])
def test_what_is_of_no_format_is_not_an_image(content, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(NotAnImage, match=r"x\.png is of no picture format that Pillow knows"):
        decode_image(path, SPEC)
    with pytest.raises(NotAnImage):
        read_header(path)


def test_postscript_is_refused_and_not_run():
    with pytest.raises(UnsupportedImage, match="PostScript"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", SPEC)


def test_a_format_that_pillow_can_only_name_is_unsupported():
    with pytest.raises(UnsupportedImage, match="HDF5, which Pillow can name but not show"):
        decode_image(b"\x89HDF\r\n\x1a\n" + b"\0" * 60, SPEC)


def test_a_format_that_pillow_was_built_without_is_unsupported(monkeypatch):
    Image.init()
    monkeypatch.setitem(Image.OPEN, "QOI", (None, lambda prefix: "QOI support not installed"))
    content = content_of("PNG").replace(b"\x89PNG\r\n\x1a\n", b"qoif....")
    with pytest.raises(UnsupportedImage, match="QOI support not installed; convert it to PNG"):
        decode_image(content, SPEC)


def test_a_missing_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableFile, match=r"gone\.png does not exist"):
        decode_image(tmp_path / "gone.png", SPEC)


def test_a_dangling_link_is_unreadable(tmp_path):
    (tmp_path / "x.png").symlink_to("gone.png")
    with pytest.raises(UnreadableFile, match=r"x\.png is a link to a file that does not exist"):
        decode_image(tmp_path / "x.png", SPEC)


def test_a_link_to_itself_is_unreadable(tmp_path):
    (tmp_path / "x.png").symlink_to("x.png")
    with pytest.raises(UnreadableFile, match=r"x\.png"):
        decode_image(tmp_path / "x.png", SPEC)


def test_a_folder_is_unreadable(tmp_path):
    with pytest.raises(UnreadableFile, match="is a folder"):
        decode_image(tmp_path, SPEC)


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    caught = []

    def decode() -> None:
        try:
            decode_image(tmp_path / "x.png", SPEC)
        except UnreadableFile as error:
            caught.append(error)

    reader = threading.Thread(target=decode, daemon=True)
    reader.start()
    reader.join(20)
    assert [str(error).endswith("leave it out") for error in caught] == [True]


@pytest.mark.parametrize("path", ["a\0b.png", "\ud800.png", "x" * 5000 + ".png"])
def test_what_cannot_be_a_path_is_unreadable(path):
    with pytest.raises(UnreadableFile) as caught:
        decode_image(path, SPEC)
    str(caught.value).encode()


def test_a_name_that_is_not_utf8_is_shown_escaped(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")  # noqa: PTH118
    Path(os.fsdecode(path)).write_bytes(b"not an image")
    with pytest.raises(NotAnImage, match=r"caf\\xe9\.png") as caught:
        decode_image(os.fsdecode(path), SPEC)
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error.*disk or the network"),
        (OSError(errno.ESTALE, "Stale file handle"), "Stale file handle"),
    ],
)
def test_what_the_file_system_refuses_is_unreadable(error, said, tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(content_of("PNG"))

    def refuse(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(decode, "open", refuse, raising=False)
    with pytest.raises(UnreadableFile, match=rf"x\.png .*{said}"):
        decode_image(path, SPEC)


def test_a_disk_that_fails_in_the_midst_is_unreadable(monkeypatch):
    def fail(self: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", fail)
    with pytest.raises(UnreadableFile, match="Input/output error"):
        decode_image(content_of("BMP"), SPEC)


def test_a_disk_that_fails_in_the_header_is_unreadable(monkeypatch):
    def fail(self: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(BmpImagePlugin.BmpImageFile, "_open", fail)
    with pytest.raises(UnreadableFile, match="Input/output error"):
        decode_image(content_of("BMP"), SPEC)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SyntaxError("bad"), DamagedImage),
        (ValueError("bad"), DamagedImage),
        (struct.error("bad"), DamagedImage),
        (IndexError("bad"), DamagedImage),
        (KeyError("bad"), DamagedImage),
        (OverflowError("bad"), DamagedImage),
        (RuntimeError(), DamagedImage),
        (OSError("bad"), DamagedImage),
        (OSError("decoder jpeg2k not available"), UnsupportedImage),
        (NotImplementedError("bad"), UnsupportedImage),
        (MemoryError(), ImageTooLarge),
        (Image.DecompressionBombError("bad."), ImageTooLarge),
    ],
    ids=repr,
)
def test_whatever_pillow_raises_becomes_a_fitting_image_error(error, kind, monkeypatch):
    def fail(self: object) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", fail)
    with pytest.raises(kind, match=r"^it ") as caught:
        decode_image(content_of("BMP"), SPEC, name="it")
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


def test_an_interrupt_is_not_taken_for_a_bad_picture(monkeypatch):
    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decode_image(content_of("BMP"), SPEC)


def test_a_closed_pillow_image_is_named():
    picture = Image.open(io.BytesIO(content_of("PNG")))
    picture.close()
    with pytest.raises(ImageError, match="item 3"):
        decode_image(picture, SPEC, name="item 3")


def test_a_bad_mask_is_an_image_error():
    with pytest.raises(NotAnImage):
        decode_mask(b"not an image")


def test_an_image_error_can_be_sent_to_another_process():
    error = DamagedImage("it is damaged")
    assert str(pickle.loads(pickle.dumps(error))) == "it is damaged"
