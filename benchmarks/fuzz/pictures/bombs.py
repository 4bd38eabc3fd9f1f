"""Small files that ask for much: of memory, of time, of steps, or of pictures within pictures."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from fuzz.pictures.forging import (
    PNG_SIGNATURE,
    grey_tiff,
    jpeg_of_scans,
    jpeg_segment,
    packed_zeros,
    png,
    png_chunk,
    tiff_of_tags,
)
from fuzz.pictures.sound import Picture, content_of, picture_of

# A size that the default limit of pixels allows and the service's does not, one that both allow.
_LARGE, _ALLOWED = (12_000, 12_000), (8_000, 8_000)


def bombs() -> Iterator[Picture]:
    """Yield them all; together they take some megabytes."""
    for made in (_pngs, _jpegs, _tiffs, _gifs, _icons, _in_python, _texts, _others):
        yield from made()


# ---- PNG


def _pngs() -> Iterator[Picture]:
    small = zlib.compress(bytes(9 * 8))
    many = packed_zeros(64 << 20)
    yield Picture("png-large", png(_LARGE, packed_zeros(12_000 * 12_001)))
    yield Picture("png-allowed", png(_ALLOWED, packed_zeros(8_000 * 8_001)))
    yield Picture("png-allowed-interlaced", png(_ALLOWED, packed_zeros(65 << 20), interlaced=1))
    yield Picture("png-allowed-transparent", png(_ALLOWED, packed_zeros(257 << 20), colours=6))
    yield Picture(
        "png-16-bit-rgba", png((4_000, 4_000), packed_zeros(129 << 20), depth=16, colours=6)
    )
    yield Picture("png-more-pixels-than-it-says", png((8, 8), many))
    yield Picture("png-one-row", png((50_000_000, 1), packed_zeros(50_000_001)))
    yield Picture("png-one-column", png((1, 30_000_000), packed_zeros(60_000_000)))
    yield Picture("png-palette-missing", png((8, 8), small, colours=3))
    for kind, content in (
        (b"zTXt", b"a\0\0" + many),
        (b"iTXt", b"a\0\1\0\0\0" + many),
        (b"iCCP", b"a\0\0" + many),
    ):
        chunk = png_chunk(kind, content)
        yield Picture(f"png-{kind.decode()}", png((8, 8), small, before=chunk))
        yield Picture(f"png-{kind.decode()}-after", png((8, 8), small, after=chunk))
        thousand = png_chunk(kind, content[:6] + packed_zeros(1 << 20)) * 1_000
        yield Picture(f"png-{kind.decode()}-thousand", png((8, 8), small, before=thousand))
    nothing = png_chunk(b"teSt", b"")
    yield Picture("png-300000-chunks", png((8, 8), small, before=nothing * 300_000))
    yield Picture("png-300000-chunks-after", png((8, 8), small, after=nothing * 300_000))
    empty = png_chunk(b"IDAT", b"")
    yield Picture("png-300000-empty-parts", png((8, 8), small, before=empty * 300_000))
    frames = png_chunk(b"acTL", struct.pack(">II", 0xFFFFFFFF, 0))
    control = struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 1, 0, 0)
    yield Picture("png-four-billion-frames", png((8, 8), small, before=frames))
    yield Picture(
        "png-frame-beyond",
        png((8, 8), small, before=frames + png_chunk(b"fcTL", control[:12] + b"\xff" * 14)),
    )
    greedy = tiff_of_tags([(tag, 7, 1 << 19, 0) for tag in range(4_000)]) + bytes(1 << 19)
    yield Picture("png-exif", png((8, 8), small, before=png_chunk(b"eXIf", greedy)))
    yield Picture("png-exif-after", png((8, 8), small, after=png_chunk(b"eXIf", greedy)))
    yield Picture(
        "png-no-pixels",
        PNG_SIGNATURE + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)),
    )
    for depth, colours in ((3, 0), (16, 3), (1, 2), (255, 255)):
        yield Picture(
            f"png-depth-{depth}-{colours}", png((8, 8), small, depth=depth, colours=colours)
        )


# ---- JPEG


def _jpegs() -> Iterator[Picture]:
    whole = content_of("JPEG", picture_of("RGB"))
    start, rest = whole[:2], whole[20:]  # without JFIF's own segment
    yield Picture("jpeg-allowed", content_of("JPEG", Image.new("L", _ALLOWED)))
    large = bytearray(content_of("JPEG", picture_of("L")))
    struct.pack_into(">HH", large, large.index(b"\xff\xc0") + 5, *_LARGE)
    yield Picture("jpeg-large", bytes(large))
    yield Picture(
        "jpeg-allowed-progressive", content_of("JPEG", Image.new("L", _ALLOWED), progressive=True)
    )
    yield Picture("jpeg-20-scans", jpeg_of_scans(64, 10))
    yield Picture("jpeg-3000-scans", jpeg_of_scans(3_000, 3_000))
    yield Picture("jpeg-3000-scans-colours", jpeg_of_scans(2_000, 3_000, "RGB"))
    yield Picture("jpeg-30000-scans", jpeg_of_scans(500, 30_000))
    hidden = jpeg_of_scans(3_000, 3_000)
    after = hidden.index(b"\xff\xda")
    fake = jpeg_segment(0xFE, b"\xff\xd9" * 40)
    yield Picture("jpeg-scans-behind-a-false-end", hidden[:after] + fake + hidden[after:])
    filled = hidden.replace(b"\xff\xda", b"\xff\xff\xff\xda")
    yield Picture("jpeg-scans-behind-fill", filled)
    scan = whole[whole.index(b"\xff\xda") : -2]
    yield Picture("jpeg-sequential-scans", whole[:-2] + scan * 20_000 + whole[-2:])
    for label, segment in (
        ("exif", jpeg_segment(0xE1, b"Exif\0\0x")),
        ("xmp", jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0x")),
        ("comments", jpeg_segment(0xFE, b"")),
        ("profile", jpeg_segment(0xE2, b"ICC_PROFILE\0\1\xffx")),
        ("mpf", jpeg_segment(0xE2, b"MPF\0x")),
        ("photoshop", jpeg_segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\1x\0")),
        ("tables", jpeg_segment(0xDB, b"\0" + bytes(range(1, 65)))),
    ):
        count = 5_000_000 // len(segment)
        yield Picture(f"jpeg-many-{label}", start + segment * count + rest)
    yield Picture("jpeg-all-markers", start + b"\xff\xd0" * 2_000_000 + rest)
    yield Picture("jpeg-all-fill", start + b"\xff" * 4_000_000 + rest)
    greedy = tiff_of_tags([(tag, 7, 1 << 19, 0) for tag in range(4_000)]) + bytes(1 << 19)
    parts = [greedy[at : at + 60_000] for at in range(0, len(greedy), 60_000)]
    exif = b"".join(jpeg_segment(0xE1, b"Exif\0\0" + part) for part in parts)
    yield Picture("jpeg-exif-of-gigabytes", start + exif + rest)
    pages = tiff_of_tags([(tag, 7, 50_000, 0) for tag in range(0xB000, 0xC000)]) + bytes(10_000)
    yield Picture("jpeg-mpf-of-gigabytes", start + jpeg_segment(0xE2, b"MPF\0" + pages) + rest)
    looped = struct.pack("<2sHIHHHII", b"II", 42, 8, 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    yield Picture("jpeg-exif-loop", start + jpeg_segment(0xE1, b"Exif\0\0" + looped) + rest)


# ---- TIFF


def _tiffs() -> Iterator[Picture]:
    grey = bytes(64)
    yield Picture("tiff-allowed", grey_tiff(_ALLOWED, packed_zeros(64_000_000), compression=8))
    yield Picture("tiff-large", grey_tiff(_LARGE, packed_zeros(144_000_000), compression=8))
    yield Picture(
        "tiff-huge-tile",
        grey_tiff((16, 16), packed_zeros(400_000_000), compression=8, tiles=(20_000, 20_000)),
    )
    yield Picture(
        "tiff-huger-tile", grey_tiff((16, 16), grey, compression=8, tiles=(0x7FFFFFF0, 0x7FFFFFF0))
    )
    yield Picture(
        "tiff-huge-strip",
        grey_tiff((16, 16), packed_zeros(1 << 28), compression=8, rows=0x7FFFFFFF),
    )
    yield Picture("tiff-100000-strips", grey_tiff((1, 100_000), b"\0", rows=1, parts=100_000))
    packed = zlib.compress(bytes(256))
    yield Picture(
        "tiff-250000-tiles",
        grey_tiff(_ALLOWED, packed, compression=8, tiles=(16, 16), parts=250_000),
    )
    yield Picture("tiff-more-strips-than-rows", grey_tiff((8, 8), grey, parts=500_000))
    for bits in (0, 3, 64, 65_535):
        yield Picture(f"tiff-bits-{bits}", grey_tiff((8, 8), grey, bits=bits))
    for samples in (0, 5, 65_535):
        yield Picture(
            f"tiff-samples-{samples}", grey_tiff((8, 8), grey, more=[(277, 3, 1, samples)])
        )
    for compression in (2, 3, 4, 5, 6, 7, 32_773, 34_676, 34_887, 34_925, 50_000, 50_001):
        yield Picture(
            f"tiff-compression-{compression}", grey_tiff((64, 64), grey, compression=compression)
        )
    scans = jpeg_of_scans(3_000, 3_000)
    yield Picture("tiff-jpeg-scans", grey_tiff((3_000, 3_000), scans, compression=7))
    tags = [(tag, 7, 1 << 19, 0) for tag in range(1_000, 5_000)]
    yield Picture("tiff-tags-of-gigabytes", grey_tiff((8, 8), grey, more=tags) + bytes(1 << 19))
    tags = [(tag, 12, 1 << 16, 0) for tag in range(1_000, 1_400)]
    yield Picture("tiff-tags-of-doubles", grey_tiff((8, 8), grey, more=tags) + bytes(1 << 19))
    first = grey_tiff((8, 8), grey)
    (entries,) = struct.unpack_from("<H", first, 8)
    onward = 10 + 12 * entries
    loop = bytearray(first)
    struct.pack_into("<I", loop, onward, 8)
    yield Picture("tiff-loop", bytes(loop))
    page = first[8:onward]
    for pages in (5, 20_000):
        chain = bytearray(first)
        struct.pack_into("<I", chain, onward, len(first))
        for number in range(pages):
            last = number == pages - 1
            chain += page + struct.pack("<I", 0 if last else len(chain) + len(page) + 4)
        yield Picture(f"tiff-{pages}-pages", bytes(chain))
    empty = bytearray(first)
    struct.pack_into("<I", empty, onward, len(first))
    for _ in range(300_000):
        empty += struct.pack("<HI", 0, len(empty) + 6)
    yield Picture("tiff-300000-empty-pages", bytes(empty))
    yield Picture("tiff-nested", grey_tiff((8, 8), grey, more=[(330, 4, 1, 8), (34_665, 4, 1, 8)]))
    big = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 0xFFFFFFFFFFFFFFFF)
    yield Picture("tiff-big-of-everything", big + bytes(64))


# ---- GIF, icons


def _gifs() -> Iterator[Picture]:
    whole = content_of("GIF", picture_of("L"))
    colours = 13 + (3 << ((whole[10] & 7) + 1))
    head, body = whole[:colours], whole[colours:]
    yield Picture("gif-no-frame", head + b";")
    yield Picture("gif-no-end", head)
    comment = (b"\xff" + b"c" * 255) * 20_000
    yield Picture("gif-comment-of-megabytes", head + b"!\xfe" + comment + b"\0" + body)
    yield Picture("gif-300000-comments", head + b"!\xfe\1c\0" * 300_000 + body)
    yield Picture("gif-300000-extensions", head + b"!\xf9\4\0\0\0\0\0" * 300_000 + body)
    image = b",\0\0\0\0\1\0\1\0\0\2\2\x4c\1\0"
    yield Picture("gif-100000-frames", head + body[:-1] + image * 100_000 + b";")
    large = bytearray(whole)
    struct.pack_into("<HH", large, 6, 8_000, 8_000)
    yield Picture("gif-canvas", bytes(large))
    frame = whole.index(b",", colours)
    struct.pack_into("<HHHH", large, frame + 1, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF)
    yield Picture("gif-frame-beyond", bytes(large))


def _icons() -> Iterator[Picture]:
    large = png(_LARGE, packed_zeros(12_000 * 12_001))
    allowed = png((6_000, 6_000), packed_zeros(6_000 * 24_001), colours=6)
    for label, nested in (("large", large), ("allowed", allowed)):
        entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(nested), 22)
        yield Picture(f"ico-of-{label}", b"\0\0\1\0\1\0" + entry + nested)
        block = b"ic10" + struct.pack(">I", 8 + len(nested)) + nested
        yield Picture(f"icns-of-{label}", b"icns" + struct.pack(">I", 8 + len(block)) + block)
    bitmap = struct.pack("<IiiHHIIiiII", 40, 10_000, 20_000, 1, 8, 1, 0, 0, 0, 256, 0)
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 8, len(bitmap) + 2_000, 22)
    yield Picture("ico-of-runs", b"\0\0\1\0\1\0" + entry + bitmap + bytes(2_000))
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, 22, 0)
    yield Picture("ico-of-itself", b"\0\0\1\0\1\0" + entry)
    yield Picture("ico-65535-entries", b"\0\0\1\0\xff\xff" + entry * 65_535)
    yield Picture("icns-of-no-length", b"icns" + struct.pack(">I", 1 << 30) + b"ic09\0\0\0\0")
    yield Picture(
        "icns-100000-blocks",
        b"icns" + struct.pack(">I", 800_008) + b"TEST" + b"\0\0\0\x08TEST" * 99_999 + b"\0\0\0\x08",
    )
    soup = content_of("JPEG2000", Image.new("RGBA", (2_100, 2_100)))
    block = b"ic10" + struct.pack(">I", 8 + len(soup)) + soup
    yield Picture("icns-of-jpeg2000", b"icns" + struct.pack(">I", 8 + len(block)) + block)
    yield Picture("dcx-65535-pages", struct.pack("<I", 987654321) + struct.pack("<I", 8) * 1_024)


# ---- what Pillow decodes in Python, byte for byte


def _in_python() -> Iterator[Picture]:
    width, height = _ALLOWED
    runs = b"\xfd" * (width * height // 62 + 1)
    yield Picture("qoi-allowed", b"qoif" + struct.pack(">II", *_ALLOWED) + b"\3\0" + runs)
    pixels = 3_000_000
    yield Picture("ppm-plain-allowed", b"P3 2000 1500 255\n" + b"1 " * 3 * pixels)
    yield Picture("ppm-12-bit-allowed", b"P6 2000 1500 4095\n" + b"\1\2" * 3 * pixels)
    yield Picture("ppm-long-number", b"P3 2 2 255\n" + b"1" * 3_000_000)
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    head = b"BM" + struct.pack("<IHHI", 1_078, 0, 0, 1_078) + bitmap + bytes(1_024)
    yield Picture("bmp-runs-of-one", head + b"\1\7" * 2_000_000)
    yield Picture("bmp-runs-of-nothing", head + b"\0\0" * 4_000_000)
    yield Picture("bmp-runs-that-jump", head + b"\0\2\0\xff" * 1_000_000)
    words = struct.pack("<IIIIIII44x", 124, 0x1007, height, width, 0, 0, 0)
    form = struct.pack(
        "<IIIIIIIIIIIII", 32, 0x40, 0, 16, 0xF800, 0x7E0, 0x1F, 0, 0x1000, 0, 0, 0, 0
    )
    yield Picture("dds-allowed", b"DDS " + words + form + bytes(4_000_000))
    yield Picture("fits-packed", _fits((8_000, 8_000), gzip.compress(bytes(50_000_000))))
    lines = b"".join(b'"' + b"ab" * 1_000 + b'",\n' for _ in range(1_000))
    xpm = b'/* XPM */\nstatic char *x[] = {\n"2000 1000 2 1",\n"a c #000000",\n"b c #ffffff",\n'
    yield Picture("xpm-large", xpm + lines + b"};")
    blp = struct.pack("<4sIBBBBII", b"BLP2", 1, 1, 0, 0, 0, *_ALLOWED)
    table = struct.pack("<16I", 1_172, *[0] * 15) + struct.pack("<16I", width * height, *[0] * 15)
    yield Picture("blp-allowed", blp + table + bytes(1_024) + bytes(4_000_000))


def _fits(size: tuple[int, int], packed: bytes) -> bytes:
    """Return a FITS file of a packed picture."""

    def block(*cards: bytes) -> bytes:
        return b"".join(card.ljust(80) for card in (*cards, b"END")).ljust(2_880)

    def number(key: bytes, value: int) -> bytes:
        return key.ljust(8) + b"= " + b"%20d" % value

    first = block(b"SIMPLE  =                    T", number(b"BITPIX", 8), number(b"NAXIS", 0))
    sides = [number(b"ZNAXIS1", size[0]), number(b"ZNAXIS2", size[1])]
    table = [number(b"BITPIX", 8), number(b"NAXIS", 2), number(b"NAXIS1", 8), number(b"NAXIS2", 1)]
    kind = [b"ZIMAGE  =                    T", b"ZCMPTYPE= 'GZIP_1  '"]
    words = [number(b"ZBITPIX", 8), number(b"ZNAXIS", 2), *sides]
    second = block(b"XTENSION= 'BINTABLE'", *table, *kind, *words)
    return first + second + bytes(8) + packed


# ---- headers of text, and the rest


def _texts() -> Iterator[Picture]:
    yield Picture("ppm-comment", b"P5 #" + b"a" * 4_000_000 + b"\n8 8 255\n" + bytes(64))
    yield Picture("ppm-absurd", b"P5 99999999999999999999 99999999999999999999 255\n")
    yield Picture("pfm-of-nan", b"Pf\n2 2\n-1.0\n" + struct.pack("<4f", *[float("nan")] * 4))
    yield Picture("pfm-of-no-scale", b"Pf\n2 2\n0.0\n" + bytes(16))
    yield Picture("eps-comments", b"%!PS-Adobe-3.0 EPSF-3.0\n" + b"%%aaaa: x\n" * 400_000)
    yield Picture("fits-cards", b"SIMPLE  =                    T".ljust(80) + b" " * 4_000_000)
    yield Picture("xpm-colours", b'/* XPM */\n"8 8 999999 9",\n' + b'"a c #000000",\n' * 300_000)
    yield Picture("xbm-absurd", b"#define x_width 99999999\n#define x_height 99999999\n")
    yield Picture("im-lines", b"Image type: x\r\n" * 300_000)
    yield Picture("sun-absurd", struct.pack(">8I", 0x59A66A95, 60_000, 60_000, 8, 0, 1, 0, 0))
    yield Picture("xv-comments", b"P7 332\n" + b"#a\n" * 1_000_000)


def _others() -> Iterator[Picture]:
    psd = b"8BPS\0\1" + bytes(6)
    yield Picture("psd-absurd", psd + struct.pack(">HIIHH", 56, 300_000, 300_000, 8, 3))
    resources = b"8BIM\4\0\0\0\0\0\0\0" * 300_000
    yield Picture(
        "psd-resources",
        psd
        + struct.pack(">HIIHH", 3, 8, 8, 8, 3)
        + struct.pack(">II", 0, len(resources))
        + resources
        + bytes(200),
    )
    yield Picture(
        "psd-allowed",
        psd + struct.pack(">HIIHH", 3, *_ALLOWED, 8, 3) + bytes(12) + b"\0\1" + bytes(48_000),
    )
    for format_name in ("WEBP", "AVIF", "JPEG2000"):
        large = content_of(format_name, Image.new("RGB", (3_000, 3_000)))
        yield Picture(f"{format_name.lower()}-allowed", large)
        yield Picture(f"{format_name.lower()}-cut-within", large[: len(large) * 2 // 3])
    for width, height, what in ((8, -8, "down"), (-8, 8, "left"), (0x7FFFFFFF, -0x80000000, "all")):
        bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
        content = b"BM" + struct.pack("<IHHI", 54 + 192, 0, 0, 54) + bitmap + bytes(192)
        yield Picture(f"bmp-{what}", content)
    tiles = content_of("JPEG2000", Image.new("L", (512, 512)), tile_size=(8, 8), no_jp2=True)
    yield Picture("jpeg2000-4096-tiles", tiles)
    code = bytearray(tiles)
    at = code.index(b"\xff\x51")
    struct.pack_into(">II", code, at + 6, 8_000, 8_000)
    yield Picture("jpeg2000-more-tiles-than-may-be", bytes(code))
    struct.pack_into(">II", code, at + 22, 1, 1)
    yield Picture("jpeg2000-tiles-of-a-pixel", bytes(code))
    webp = bytearray(content_of("WEBP", picture_of("RGBA"), lossless=True))
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x12\0\0\0" + b"\xff\x3f\0\xff\x3f\0"
    yield Picture("webp-canvas", bytes(webp[:12]) + canvas + bytes(webp[12:]))
    runs = struct.pack(">HBBHHHHII", 474, 1, 1, 2, 8_000, 8_000, 1, 0, 255)
    yield Picture("sgi-runs", runs.ljust(512, b"\0") + bytes(4_000))
    frames = struct.pack("<IHHHHHHI", 128, 0xAF12, 0xFFFF, 8_000, 8_000, 8, 3, 0)
    yield Picture("fli-allowed", frames.ljust(128, b"\0") + bytes(4_000))
