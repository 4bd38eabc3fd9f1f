"""Decoders of JPEG and PNG against Pillow's, each followed by Pillow's resize.

    python decoders.py FOLDER SIDE REPEATS THREADS

FOLDER holds folders of pictures. Prints, for each of them and each decoder, the seconds of every
repeat in one thread and in THREADS, and in how many pictures the decoded pixels are Pillow's at the
same reduction.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ["VIPS_CONCURRENCY"] = "1"

import cv2
import imagecodecs
import kornia_rs
import numpy as np
import pyvips
import simplejpeg
from PIL import Image

cv2.setNumThreads(1)
REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
Picture = Image.Image | np.ndarray


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def drafted(content: bytes, side: int) -> tuple[Image.Image, int]:
    """Open it as Residua does: at a reduction that leaves twice the side; return that too."""
    image = opened(content)
    width = image.width
    image.draft(None, (2 * side, 2 * side))
    return image, round(width / image.width)


def pillow(content: bytes, side: int) -> Picture:
    image, _ = drafted(content, side)
    image.load()
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def pillow_whole(content: bytes, side: int) -> Picture:
    return opened(content).convert("RGB")


def simplejpeg_reduced(content: bytes, side: int) -> Picture:
    image, _ = drafted(content, side)
    width, height = image.size
    return simplejpeg.decode_jpeg(
        content, "RGB", min_width=width, min_height=height, min_factor=1, fastdct=False
    )


def opencv_reduced(content: bytes, side: int) -> Picture:
    _, reduction = drafted(content, side)
    flags = REDUCED[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    return pixels if reduction == 1 else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def imagecodecs_whole(content: bytes, side: int) -> Picture:
    if content.startswith(b"\x89PNG"):
        return imagecodecs.png_decode(content)
    return imagecodecs.jpeg8_decode(content, outcolorspace="RGB")


def kornia_whole(content: bytes, side: int) -> Picture:
    if content.startswith(b"\x89PNG"):
        shape = opened(content).size[::-1]
        return np.asarray(kornia_rs.io.decode_image_png_u8(content, shape, "rgb"))
    return np.asarray(kornia_rs.io.decode_image_jpegturbo(content, "rgb"))


def pyvips_whole(content: bytes, side: int) -> Picture:
    pixels = pyvips.Image.new_from_buffer(content, "", access="sequential").numpy()
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3)) if pixels.shape[-1] == 1 else pixels


Decoder = Callable[[bytes, int], Picture]
JPEG_ONLY: dict[str, Decoder] = {"simplejpeg, reduced": simplejpeg_reduced}
DECODERS: dict[str, Decoder] = {
    "Pillow, draft mode": pillow,
    "Pillow, whole": pillow_whole,
    "OpenCV, reduced": opencv_reduced,
    "imagecodecs": imagecodecs_whole,
    "kornia-rs (libjpeg-turbo, png)": kornia_whole,
    "pyvips": pyvips_whole,
}


def array(picture: Picture) -> np.ndarray:
    pixels = np.asarray(picture)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def is_pillows(decode: Decoder, content: bytes, side: int) -> bool:
    pixels = array(decode(content, side))
    return any(
        np.array_equal(pixels, array(same(content, side))) for same in (pillow, pillow_whole)
    )


def seconds(decode: Decoder, contents: list[bytes], side: int, threads: int) -> float:
    def read(content: bytes) -> None:
        decoded = decode(content, side)
        image = decoded if isinstance(decoded, Image.Image) else Image.fromarray(decoded)
        np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0))

    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        for _ in pool.map(read, contents):
            pass
        return time.perf_counter() - started


def measure(contents: list[bytes], side: int, repeats: int, threads: int) -> list[dict[str, Any]]:
    is_jpeg = contents[0].startswith(b"\xff\xd8")
    results = []
    decoders = DECODERS | (JPEG_ONLY if is_jpeg else {})
    for name, decode in decoders.items():
        equal = sum(is_pillows(decode, content, side) for content in contents)
        results.append({"decoder": name, "equal": equal, "alone": [], "together": []})
    for _ in range(repeats):
        for result, decode in zip(results, decoders.values(), strict=True):
            result["alone"].append(seconds(decode, contents, side, 1))
            result["together"].append(seconds(decode, contents, side, threads))
    return results


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    side, repeats, threads = map(int, sys.argv[2:])
    found = {}
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        contents = [path.read_bytes() for path in sorted(kind.iterdir())]
        found[kind.name] = measure(contents, side, repeats, threads)
    print(json.dumps(found))
