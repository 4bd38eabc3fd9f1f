"""Pictures tried in a process of their own, whatever that process prints and however it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from residua.cluster import alone
from residua.images.source import FileSource

_FORMATS = """
import os, signal
from PIL import Image

print("a library says", flush=True)

def end(*_):
    print("7\\nand then", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

Image.register_open("FATAL", end, lambda prefix: prefix.startswith(b"ENDS WHO READS"))
"""
_HELD_UP = "import os, sys, time; os.write(int(sys.argv[3]), bytes(8)); time.sleep(600)"


def test_what_a_codec_prints_is_taken_for_no_picture(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_FORMATS)
    monkeypatch.syspath_prepend(tmp_path / "site")
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for file in files:
        file.write_bytes(b"no picture")
    files[1].write_bytes(b"ENDS WHO READS IT")
    assert alone.fatal_pictures(bundle, FileSource(files)) == [1]


def test_a_picture_that_holds_its_reader_up_is_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "_PROGRAM", _HELD_UP)
    monkeypatch.setattr(alone, "LONGEST", 4.0)
    assert alone.fatal_pictures(tmp_path, FileSource([tmp_path / "0.png"])) == [0]
