"""Pictures that need more memory than there is are refused; those that share it wait."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from residua.errors import ImageTooLarge, NoReadableImage
from residua.images import decoding_memory, free_memory
from residua.images.decode import decode_image, decode_mask
from residua.images.decoding_memory import SharedMemory
from residua.images.preprocess import InputSpec
from residua.images.source import FileSource

SPEC = InputSpec(height=64, width=64, channels=3)
SIDE = 400


def saved(
    format_name: str = "PNG", mode: str = "RGB", side: int = SIDE, **options: object
) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (side, side), 9).save(stream, format_name, **options)
    return stream.getvalue()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Every picture counts, and there are so many bytes."""
    monkeypatch.setattr(decoding_memory, "UNCOUNTED", 0)
    return lambda free: monkeypatch.setattr(free_memory, "free_memory", lambda: free)


@pytest.mark.parametrize("read", [lambda c: decode_image(c, SPEC, name="it"), decode_mask])
def test_a_picture_that_needs_more_than_there_is_is_refused_undecoded(read, given, monkeypatch):
    given(790_000)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    said = (
        r"is 400 × 400, 160,000 pixels; decoding it needs about 1 MB of memory, and 1 MB are free"
    )
    with pytest.raises(ImageTooLarge, match=said):
        read(saved())


def test_a_picture_that_just_fits_is_decoded(given):
    given(800_000)
    assert (decode_image(saved(), SPEC) == 9).all(axis=(0, 1)).any()


def test_nothing_is_refused_where_the_free_memory_is_unknown(given):
    given(None)
    assert decode_image(saved(), SPEC).shape == SPEC.shape


def test_a_small_picture_is_not_counted(monkeypatch):
    monkeypatch.setattr(free_memory, "free_memory", lambda: pytest.fail("asked"))
    assert decode_image(saved(), SPEC).shape == SPEC.shape


def test_a_jpeg_counts_at_the_size_at_which_it_is_decoded(given):
    given(200_000)
    assert decode_image(saved("JPEG", side=800), SPEC).shape == SPEC.shape
    with pytest.raises(ImageTooLarge, match="800 × 800"):
        decode_image(saved("JPEG", side=800), SPEC.model_copy(update={"width": 400, "height": 400}))


def test_a_progressive_jpeg_counts_at_its_full_size(given):
    given(200_000)
    with pytest.raises(ImageTooLarge, match="800 × 800"):
        decode_image(saved("JPEG", side=800, progressive=True), SPEC)


def test_memory_that_the_system_does_not_give_is_named_with_the_sizes(monkeypatch):
    def fail(self: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", fail)
    with pytest.raises(ImageTooLarge, match=r"it is 400 × 400, .* about 1 MB of memory, which"):
        decode_image(saved(), SPEC, name="it")


def test_large_pictures_come_one_after_the_other_where_both_do_not_fit(
    tmp_path, given, monkeypatch
):
    given(1_500_000)  # one takes 800,000
    together: list[int] = []
    decoding: list[int] = []
    load = ImageFile.ImageFile.load

    def load_slowly(self: ImageFile.ImageFile) -> object:
        decoding.append(id(self))
        together.append(len(decoding))
        time.sleep(0.01)
        try:
            return load(self)
        finally:
            decoding.remove(id(self))

    monkeypatch.setattr(ImageFile.ImageFile, "load", load_slowly)
    for number in range(12):
        (tmp_path / f"{number:02}.png").write_bytes(saved())
    source = FileSource.from_folder(tmp_path)
    (batch,) = source.batches(SPEC, 12, workers=4)
    assert not batch.failures
    assert len(batch.images) == 12
    assert max(together) == 1
    given(10_000_000)
    (batch,) = source.batches(SPEC, 12, workers=4)
    assert max(together) > 1


def test_a_picture_in_memory_is_not_counted_again(given):
    given(700_000)
    picture = Image.new("RGB", (SIDE, SIDE), 9)
    assert decode_image(picture, SPEC).shape == SPEC.shape
    given(159_999)
    with pytest.raises(ImageTooLarge, match="400 × 400"):
        decode_image(picture, SPEC)


def test_a_deep_picture_is_refused_where_its_extremes_are_looked_at(given, tmp_path):
    given(1_000_000)
    (tmp_path / "deep.tif").write_bytes(saved("TIFF", "F"))
    with pytest.raises(NoReadableImage, match=r"400 × 400, .* about 2 MB"):
        FileSource([tmp_path / "deep.tif"]).suggest_spec()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="programs do not fork here")
def test_a_forked_program_holds_no_memory_of_its_parents_threads():
    code = """
import os
from residua.images import decoding_memory
decoding_memory.UNCOUNTED = 0
memory = decoding_memory._SHARED
assert memory.take(1) is None
child = os.fork()
if child == 0:
    os._exit(memory.held)
assert os.waitpid(child, 0)[1] == 0
assert memory.held == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_held_is_given_back_after_a_failure(given):
    given(1_500_000)
    damaged = saved()[:-60]
    for _ in range(3):
        with pytest.raises(Exception, match="cut short"):
            decode_image(damaged, SPEC)
    taken = threading.Thread(target=decode_image, args=(saved(), SPEC), daemon=True)
    taken.start()
    taken.join(20)
    assert not taken.is_alive()


def test_who_waits_goes_on_when_enough_is_given_back(given):
    given(100)
    memory = SharedMemory()
    assert memory.take(60) is None
    waited: list[int | None] = []
    waiter = threading.Thread(target=lambda: waited.append(memory.take(50)), daemon=True)
    waiter.start()
    waiter.join(0.1)
    assert not waited
    memory.give_back(60)
    waiter.join(20)
    assert waited == [None]
    memory.give_back(50)
    assert memory.take(101) == 100


PEAK = """
import sys
from residua.images.decode import decode_image
from residua.images.preprocess import InputSpec

def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))

small, *paths = sys.argv[1:]
spec = InputSpec(height=64, width=64, channels=1, value_range=(0, 255))
decode_image(small, spec)
for path in paths:
    before = status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    decode_image(path, spec)
    print(status("VmHWM") - before)
"""

KINDS = {
    "rgb.png": ("PNG", "RGB", {"compress_level": 0}),
    "rgba.png": ("PNG", "RGBA", {"compress_level": 0}),
    "palette.png": ("PNG", "P", {"compress_level": 0}),
    "grey.png": ("PNG", "L", {"compress_level": 0}),
    "deep.png": ("PNG", "I;16", {"compress_level": 0}),
    "float.tif": ("TIFF", "F", {}),
    "cmyk.tif": ("TIFF", "CMYK", {}),
    "turned.png": ("PNG", "RGB", {"compress_level": 0, "orientation": 6}),
    "progressive.jpg": ("JPEG", "RGB", {"progressive": True}),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is told by Linux")
def test_what_is_counted_is_what_decoding_takes(tmp_path):
    side = 2400
    counted = []
    for name, (format_name, mode, options) in KINDS.items():
        if orientation := options.pop("orientation", None):
            options["exif"] = Image.Exif()
            options["exif"][0x0112] = orientation
        (tmp_path / name).write_bytes(saved(format_name, mode, side, **options))
        with Image.open(tmp_path / name) as image:
            if format_name == "JPEG":
                image.draft(None, (128, 128))
            counted.append(decoding_memory.bytes_to_decode(image, (side, side)))
    (tmp_path / "small.png").write_bytes(saved(side=9))
    paths = [str(tmp_path / name) for name in ("small.png", *KINDS)]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *paths],
        capture_output=True,
        text=True,
        check=False,
        # What is freed goes back at once, so that the next picture does not reuse it unseen.
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"},
    )
    if "PermissionError" in done.stderr:
        pytest.skip("this system does not let a program reset its peak")
    taken = [int(line) for line in done.stdout.split()]
    assert len(taken) == len(KINDS), done.stderr
    shares = {name: t / c for name, t, c in zip(KINDS, taken, counted, strict=True)}
    assert {name: share for name, share in shares.items() if not 0.8 < share < 1.25} == {}
