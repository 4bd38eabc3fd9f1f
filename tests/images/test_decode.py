"""One file to one array: every mode, depth and orientation that Pillow reads."""

from __future__ import annotations

import gc
import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, PngImagePlugin

from residua.errors import ImageTooLarge, UnsupportedImage
from residua.images import decode
from residua.images.decode import decode_image, decode_mask, read_header
from residua.images.pillow_warnings import pillow_warnings_ignored
from residua.images.preprocess import InputSpec, prepare_array


def saved(image: Image.Image, format_name: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def spec_for(image: Image.Image, channels: int, **options) -> InputSpec:
    return InputSpec(height=image.height, width=image.width, channels=channels, **options)


def exif_with(orientation: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


# ---- modes and depths


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("size", [(30, 40), (17, 64)])
def test_every_mode_decodes_to_the_specs_shape(any_mode, channels, resize, size):
    spec = InputSpec(height=size[0], width=size[1], channels=channels, resize=resize)
    decoded = decode_image(any_mode, spec)
    assert decoded.shape == spec.shape
    assert decoded.dtype == np.uint8


def test_every_mode_but_lab_shows_the_same_picture(any_mode, make_picture, grey_spec):
    if any_mode.mode in ("LAB", "1"):
        pytest.skip("other colours by construction")
    expected = np.asarray(make_picture("L"), int)
    decoded = decode_image(any_mode, grey_spec)[..., 0]
    assert np.abs(decoded - expected).mean() < 4


LOSSLESS = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "TIFF": [
        *("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"),
        *("I", "F", "I;16", "I;16B"),
    ],
    "BMP": ["1", "L", "P", "RGB"],
    "PPM": ["1", "L", "RGB", "I", "F"],
    "TGA": ["1", "L", "LA", "P", "RGB", "RGBA"],
    "GIF": ["L", "P"],
    "PCX": ["1", "L", "P", "RGB"],
    "SGI": ["L", "RGB", "RGBA"],
    "IM": ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "F", "I;16"],
    "DDS": ["L", "LA", "RGB", "RGBA"],
    "QOI": ["RGB", "RGBA"],
    "ICO": ["RGBA"],
    "JPEG2000": ["L", "RGB", "RGBA"],
    "XBM": ["1"],
    "MSP": ["1"],
}


@pytest.mark.parametrize(
    ("format_name", "mode"),
    [(format_name, mode) for format_name, modes in LOSSLESS.items() for mode in modes],
)
def test_every_lossless_format_gives_the_picture_that_was_saved(format_name, mode, make_picture):
    picture = make_picture(mode, 32, 24)
    options = {"sizes": [(32, 24)]} if format_name == "ICO" else {}
    try:
        with pillow_warnings_ignored():  # some formats are to go
            content = saved(picture, format_name, **options)
    except (OSError, ValueError):
        pytest.skip(f"this Pillow does not write {mode} as {format_name}")
    spec = spec_for(picture, 3)
    assert np.array_equal(decode_image(content, spec), decode_image(picture, spec))


@pytest.mark.parametrize("size", [(24, 32), (10, 50), (64, 64)])
@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32])
def test_an_array_and_the_file_of_it_come_out_bit_equal(dtype, channels, resize, size):
    values = np.random.default_rng(0).integers(0, 65536, (33, 47))
    array = {
        bool: values > 30000,
        np.uint8: (values % 256).astype(np.uint8),
        np.uint16: values.astype(np.uint16),
        np.float32: (values / 65535).astype(np.float32),
    }[dtype]
    content = saved(Image.fromarray(array), "TIFF")
    spec = InputSpec(height=size[0], width=size[1], channels=channels, resize=resize)
    assert np.array_equal(decode_image(content, spec), prepare_array(array[np.newaxis], spec)[0])


@pytest.mark.parametrize("size", [(24, 32), (10, 50), (64, 64)])
@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_colour_array_and_the_file_of_it_come_out_bit_equal(channels, resize, size):
    array = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    content = saved(Image.fromarray(array), "PNG")
    spec = InputSpec(height=size[0], width=size[1], channels=channels, resize=resize)
    assert np.array_equal(decode_image(content, spec), prepare_array(array[np.newaxis], spec)[0])


@settings(max_examples=80, deadline=None)
@given(
    st.data(),
    st.sampled_from(["L", "LA", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "1"]),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_any_small_picture_saved_losslessly_has_the_right_shape(data, mode, width, height):
    channels = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}.get(mode)
    shape = (height, width) if channels is None else (height, width, channels)
    array = data.draw(hnp.arrays(np.uint8, shape))
    if mode == "CMYK":
        picture = Image.merge("CMYK", [Image.fromarray(array[..., c].copy()) for c in range(4)])
    elif mode in ("I", "F", "I;16"):
        dtype = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
        picture = Image.fromarray(
            array.astype(dtype) / np.float32(255) if mode == "F" else array.astype(dtype)
        )
    else:
        picture = Image.fromarray(array > 127 if mode == "1" else array)
    spec = InputSpec(height=11, width=9, channels=data.draw(st.sampled_from([1, 3])))
    decoded = decode_image(saved(picture, "TIFF"), spec)
    assert decoded.shape == spec.shape
    assert decoded.dtype == np.uint8


def test_lab_is_converted_through_its_colour_profile(rgb_spec):
    middle_grey = Image.new("LAB", (40, 30), (137, 128, 128))  # L* 53.7: sRGB 128
    assert np.abs(decode_image(middle_grey, rgb_spec).astype(int) - 128).max() <= 2


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_value_range_scales_deep_files_and_clips(mode, grey_spec):
    dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
    values = np.linspace(0, 4095, 1200).reshape(30, 40).astype(dtype)
    spec = grey_spec.model_copy(update={"value_range": (1000.0, 3000.0)})
    expected = np.rint(np.clip((values.astype(float) - 1000) / 2000, 0, 1) * 255)
    decoded = decode_image(saved(Image.fromarray(values), "TIFF"), spec)
    assert np.array_equal(decoded[..., 0], expected)


def test_sixteen_bit_files_are_scaled_by_their_full_range(grey_spec):
    values = (np.arange(1200) % 256 * 257).reshape(30, 40).astype(np.uint16)
    decoded = decode_image(saved(Image.fromarray(values), "PNG"), grey_spec)
    assert np.array_equal(decoded[..., 0], values // 257)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.float32(1.5), "from 0 to 1.5; wanted 0 to 1; .*value_range"),
        (np.float32(-0.5), "from -0.5 to 0; wanted 0 to 1"),
        (np.float32(np.nan), "1 pixels that are NaN"),
        (np.float32(np.inf), "NaN or infinite"),
        (np.int32(65536), "from 0 to 65536; wanted 0 to 65535; .*value_range"),
        (np.int32(-1), "from -1 to 0; wanted 0 to 65535"),
    ],
)
def test_deep_values_beyond_their_range_are_refused_with_a_way_out(value, said, grey_spec):
    values = np.zeros((30, 40), value.dtype)
    values[3, 4] = value
    with pytest.raises(UnsupportedImage, match=said):
        decode_image(saved(Image.fromarray(values), "TIFF"), grey_spec, name="x.tif")


def test_a_model_of_four_channels_takes_no_files(make_picture, rgb_spec):
    spec = rgb_spec.model_copy(update={"channels": 4})
    with pytest.raises(UnsupportedImage, match="1 or 3 channels and the model takes 4"):
        decode_image(make_picture("RGBA"), spec)


# ---- transparency


def transparent(mode: str) -> Image.Image:
    """Black, with the left half fully transparent."""
    alpha = Image.new("L", (40, 30), 255)
    alpha.paste(0, (0, 0, 20, 30))
    if mode in ("LA", "La", "PA"):
        picture = Image.merge("LA", (Image.new("L", (40, 30)), alpha))
        return picture.convert(mode) if mode != "LA" else picture
    picture = Image.merge("RGBA", (*(Image.new("L", (40, 30)),) * 3, alpha))
    return picture.convert(mode)


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA", "RGBa"])
def test_transparency_is_laid_on_the_background(mode, rgb_spec):
    spec = rgb_spec.model_copy(update={"background": (10, 20, 30)})
    decoded = decode_image(transparent(mode), spec)
    assert (decoded[:, :20] == (10, 20, 30)).all()
    assert (decoded[:, 20:] == 0).all()


def test_half_transparency_mixes_with_the_background(rgb_spec):
    veil = Image.new("RGBA", (40, 30), (0, 0, 0, 128))
    assert np.abs(decode_image(veil, rgb_spec).astype(int) - 127).max() <= 1


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"])
def test_a_transparent_palette_entry_is_laid_on_the_background(transparency, rgb_spec):
    picture = Image.new("P", (40, 30), 1)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.paste(0, (0, 0, 20, 30))
    content = saved(picture, "PNG", transparency=transparency)
    decoded = decode_image(content, rgb_spec)
    assert (decoded[:, :20] == 255).all()
    assert (decoded[:, 20:] == (0, 0, 255)).all()


@pytest.mark.parametrize(
    ("picture", "transparency"),
    [
        (Image.new("L", (40, 30), 77), 77),
        (Image.new("1", (40, 30), 0), 0),
        (Image.new("RGB", (40, 30), (1, 2, 3)), (1, 2, 3)),
        (Image.new("I;16", (40, 30), 300), 300),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_a_transparent_colour_is_laid_on_the_background(picture, transparency, rgb_spec):
    spec = rgb_spec.model_copy(update={"background": (10, 20, 30)})
    decoded = decode_image(saved(picture, "PNG", transparency=transparency), spec)
    assert (decoded == (10, 20, 30)).all()


# ---- orientation

TURN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_honoured(format_name, orientation, make_picture):
    picture = make_picture("RGB")
    options = {"lossless": True} if format_name == "WEBP" else {}
    content = saved(picture, format_name, exif=exif_with(orientation), **options)
    expected = TURN[orientation](np.asarray(picture))
    spec = InputSpec(height=expected.shape[0], width=expected.shape[1], channels=3)
    assert np.array_equal(decode_image(content, spec), expected)
    assert read_header(content)[:2] == (spec.width, spec.height)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_the_header_gives_the_size_of_the_upright_picture(format_name, orientation, make_picture):
    try:
        content = saved(make_picture("RGB"), format_name, exif=exif_with(orientation))
    except (KeyError, OSError):
        pytest.skip(f"this Pillow does not write {format_name}")
    assert read_header(content)[:2] == ((30, 40) if orientation >= 5 else (40, 30))


@pytest.mark.parametrize("mode", ["I;16", "F", "1", "P", "LA"])
def test_orientation_is_honoured_in_any_mode(mode, make_picture, grey_spec):
    picture = make_picture(mode)
    upright = decode_image(picture, grey_spec)
    turned = decode_image(
        saved(picture, "TIFF", exif=exif_with(6)),
        grey_spec.model_copy(update={"height": 40, "width": 30}),
    )
    assert np.array_equal(turned, np.rot90(upright, -1))


def test_orientation_is_honoured_in_every_page_of_a_tiff(make_picture, grey_spec):
    picture = make_picture("L")
    content = saved(
        picture, "TIFF", exif=exif_with(6), save_all=True, append_images=[make_picture("L", 9, 9)]
    )
    assert read_header(content) == (30, 40, "L", 2)
    spec = grey_spec.model_copy(update={"height": 40, "width": 30})
    assert np.array_equal(decode_image(content, spec)[..., 0], np.rot90(np.asarray(picture), -1))


def test_orientation_that_a_png_tells_after_its_pixels_is_honoured(make_picture, grey_spec):
    body = exif_with(6).tobytes()[6:]
    content = saved(make_picture("L"), "PNG")
    chunk = b"eXIf" + body
    chunk = struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    content = content[:-12] + chunk + content[-12:]
    spec = grey_spec.model_copy(update={"height": 40, "width": 30})
    expected = np.rot90(np.asarray(make_picture("L")), -1)
    assert read_header(content)[:2] == (30, 40)
    assert np.array_equal(decode_image(content, spec)[..., 0], expected)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"]
)
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
def test_a_corrupt_exif_leaves_the_picture_as_it_lies(format_name, exif, make_picture, grey_spec):
    content = saved(make_picture("L"), format_name, exif=exif)
    assert read_header(content)[:2] == (40, 30)
    assert decode_image(content, grey_spec).shape == (30, 40, 1)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_counts_as_upright(orientation, make_picture, grey_spec):
    picture = make_picture("L")
    content = saved(picture, "PNG", exif=exif_with(orientation))
    assert np.array_equal(decode_image(content, grey_spec)[..., 0], np.asarray(picture))


# ---- JPEG at a reduced size


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_jpeg_is_the_full_one_scaled_down(orientation, resize, make_picture):
    # Sides that no reduction divides, so that its last row and column are partial.
    picture = make_picture("RGB", 803, 613)
    exif = exif_with(orientation)
    content = saved(picture, "JPEG", quality=95, exif=exif)
    whole = Image.open(io.BytesIO(content))
    whole.load()  # too late to reduce it
    spec = InputSpec(height=48, width=40, channels=3, resize=resize)
    reduced = decode_image(content, spec).astype(int)
    difference = np.abs(reduced - decode_image(whole, spec))
    assert difference.max() <= 3
    assert difference.mean() < 0.6


@pytest.mark.parametrize(
    ("resize", "reduced"),
    [("stretch", (201, 151)), ("pad", (101, 76)), ("crop", (201, 151))],
)
def test_a_jpeg_is_reduced_to_no_less_than_twice_the_wanted_size(
    resize, reduced, make_picture, monkeypatch
):
    content = saved(make_picture("RGB", 803, 603), "JPEG")
    seen = []
    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda self: (seen.append(self.size), load(self))[1])
    spec = InputSpec(height=50, width=36, channels=3, resize=resize)
    decode_image(content, spec)
    assert reduced in seen
    assert (803, 603) not in seen


def test_a_jpeg_that_lies_on_its_side_is_reduced_by_its_upright_size(make_picture, monkeypatch):
    content = saved(make_picture("RGB", 803, 603), "JPEG", exif=exif_with(6))
    seen = []
    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda self: (seen.append(self.size), load(self))[1])
    decode_image(content, InputSpec(height=200, width=25, channels=3))
    assert (402, 302) in seen
    assert (803, 603) not in seen


def test_a_jpeg_that_is_not_much_larger_is_the_full_one_bit_for_bit(make_picture, rgb_spec):
    content = saved(make_picture("RGB", 79, 59), "JPEG")
    full = np.asarray(Image.open(io.BytesIO(content)))
    expected = prepare_array(full[np.newaxis], rgb_spec)[0]
    assert np.array_equal(decode_image(content, rgb_spec), expected)


# ---- what is given, and what is left behind


def test_a_path_and_its_content_decode_alike(tmp_path, make_picture, grey_spec):
    path = tmp_path / "x.png"
    make_picture("L").save(path)
    expected = decode_image(path.read_bytes(), grey_spec)
    assert np.array_equal(decode_image(path, grey_spec), expected)
    assert np.array_equal(decode_image(str(path), grey_spec), expected)


@pytest.mark.parametrize("name", ["x", "x.jpg", "x.txt", "x.tiff", "x.svg"])
@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "TGA"])
def test_a_file_is_recognised_by_its_content(tmp_path, name, format_name, make_picture, grey_spec):
    path = tmp_path / name
    path.write_bytes(saved(make_picture("L"), format_name))
    assert decode_image(path, grey_spec).shape == (30, 40, 1)
    assert read_header(path)[:2] == (40, 30)


def test_the_first_frame_is_read(make_picture, grey_spec):
    frames = [Image.new("L", (40, 30), level) for level in (10, 200, 90)]
    content = saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert read_header(content).frames == 3
    assert (decode_image(content, grey_spec) == 10).all()


def test_a_pillow_image_is_left_as_it_is(make_picture, grey_spec):
    content = saved(make_picture("RGB", 800, 600), "JPEG", exif=exif_with(6))
    given = Image.open(io.BytesIO(content))
    decode_image(given, grey_spec)
    assert (given.size, given.mode) == ((800, 600), "RGB")
    assert given.getexif()[0x0112] == 6


def test_the_result_is_contiguous_and_may_be_written_to(any_mode, rgb_spec):
    decoded = decode_image(any_mode, rgb_spec)
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable


def test_no_file_is_left_open(tmp_path, make_picture, grey_spec):
    good, bad = tmp_path / "good.tif", tmp_path / "bad.png"
    make_picture("L").save(good)
    bad.write_bytes(saved(make_picture("L"), "PNG")[:60])
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(3):
            decode_image(good, grey_spec)
            read_header(good)
            with pytest.raises(Exception, match=r"bad\.png"):
                decode_image(bad, grey_spec)
        gc.collect()


# ---- masks


@pytest.mark.parametrize(
    "mask",
    [
        Image.fromarray(np.eye(9, dtype=np.uint8) * 255),
        Image.fromarray(np.eye(9, dtype=np.uint8)),
        Image.fromarray(np.eye(9, dtype=bool)),
        Image.fromarray(np.eye(9, dtype=np.uint16)),
        Image.fromarray(np.eye(9, dtype=np.uint8) * 255).convert("RGB"),
    ],
    ids=lambda mask: mask.mode,
)
def test_a_mask_is_true_where_it_is_not_black(mask):
    assert np.array_equal(decode_mask(saved(mask, "PNG")), np.eye(9, dtype=bool))


# ---- warnings


def test_a_warning_of_pillows_does_not_escape(make_picture, grey_spec):
    body = bytearray(saved(make_picture("L"), "TIFF"))
    entries = struct.unpack_from("<H", body, struct.unpack_from("<I", body, 4)[0])[0]
    first = struct.unpack_from("<I", body, 4)[0] + 2
    # The resolution unit's count, beyond the file: Pillow warns and skips the tag.
    struct.pack_into("<HHI", body, first + 12 * (entries - 1), 296, 2, 1 << 24)
    with (
        pytest.warns(UserWarning, match="larger than file|Truncated|Corrupt"),
        Image.open(io.BytesIO(body)) as opened,
    ):
        opened.load()
    assert decode_image(bytes(body), grey_spec).shape == (30, 40, 1)
    assert read_header(bytes(body))[:2] == (40, 30)


def test_the_filters_are_as_before_whatever_the_program_did_meanwhile():
    before = list(warnings.filters)
    entered, left = threading.Event(), threading.Event()

    def ignore_for_a_while() -> None:
        with pillow_warnings_ignored():
            entered.set()
            left.wait(10)

    worker = threading.Thread(target=ignore_for_a_while)
    with warnings.catch_warnings():
        worker.start()
        entered.wait(10)
        with warnings.catch_warnings():
            left.set()
            worker.join()
            assert warnings.filters == before
        assert warnings.filters == before
    assert warnings.filters == before


def test_a_warning_that_comes_through_as_an_error_is_tried_again(
    make_picture, grey_spec, monkeypatch
):
    outcomes = [UserWarning("another thread left its catch_warnings"), make_picture("L")]

    def convert(*args: object) -> Image.Image:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Warning):
            raise outcome
        return outcome

    monkeypatch.setattr(decode, "grey_or_rgb", convert)
    assert decode_image(saved(make_picture("L"), "PNG"), grey_spec).shape == (30, 40, 1)
    assert outcomes == []


def test_other_warnings_still_come_through():
    with pytest.warns(UserWarning, match="mine"), pillow_warnings_ignored():
        warnings.warn("mine", stacklevel=1)


# ---- sizes


def test_a_decompression_bomb_is_refused_before_it_is_decoded(monkeypatch):
    header = struct.pack(">IIBBBBB", 50_000, 40_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    bomb += struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IDAT" + b"\0" * 8
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("decoded"))
    said = r"bomb is 50000 × 40000, 2,000,000,000 pixels; the limit is 178,956,970; .*max_pixels"
    with pytest.raises(ImageTooLarge, match=said):
        decode_image(bomb, InputSpec(height=8, width=8, channels=1), name="bomb")
    assert read_header(bomb)[:2] == (50_000, 40_000)


def test_the_limit_is_the_callers(make_picture, grey_spec):
    picture = make_picture("L")
    assert decode_image(picture, grey_spec, max_pixels=1200).shape == (30, 40, 1)
    with pytest.raises(ImageTooLarge, match="the limit is 1,199"):
        decode_image(picture, grey_spec, max_pixels=1199)


def test_pillows_own_limit_is_neither_used_nor_changed(monkeypatch, make_picture, grey_spec):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)  # Pillow would warn of 1,200 pixels
    assert decode_image(saved(make_picture("L"), "PNG"), grey_spec).shape == (30, 40, 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # and here refuse them
    assert decode_image(saved(make_picture("L"), "PNG"), grey_spec).shape == (30, 40, 1)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("size", [(1, 2_000_000), (2_000_000, 1)])
def test_a_very_long_picture_needs_no_more_than_its_own_size(size, resize):
    spec = InputSpec(height=256, width=256, channels=1, resize=resize)
    assert (decode_image(Image.new("L", size, 9), spec, max_pixels=10**7) == 9).any()
