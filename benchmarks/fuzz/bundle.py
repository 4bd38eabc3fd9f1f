"""What a stranger may put into one file of a bundle, with checksums that fit."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from reliability.hostile_bundles import KEPT, sign
from residua.bundle import CHECKSUMS
from residua.bundle import FILES as SIGNED
from residua.errors import BundleError, EngineFailed
from residua.runtime import BundleScorer
from residua.summary import facts

FILES = (*SIGNED, CHECKSUMS)


def one(data: bytes) -> None:
    """Open, describe, score and load a bundle of which one file is ``data``.

    The first byte says which file, the others are its content. A `BundleError` is what has to come
    of it, or `EngineFailed` of a graph that computes no scores; anything else is a finding.
    """
    if not data:
        return
    name = FILES[data[0] % len(FILES)]
    folder = with_file(_folder(), name, data[1:])
    try:
        deque(steps(folder), maxlen=0)
    except (BundleError, EngineFailed):
        pass
    finally:
        (folder / name).write_bytes((KEPT / name).read_bytes())


def seeds() -> Iterator[bytes]:
    """Yield each file of a sound bundle."""
    for number, name in enumerate(FILES):
        yield bytes([number]) + (KEPT / name).read_bytes()


def with_file(folder: Path, name: str, content: bytes) -> Path:
    """Put a file into a bundle and checksums that fit, unless these are that file."""
    (folder / name).write_bytes(content)
    if name != CHECKSUMS:
        sign(folder)
    return folder


def steps(folder: Path) -> Iterator[str]:
    """Do with a bundle what can be done with one; yields each step's name before it is taken."""
    yield "open"
    scorer = BundleScorer(folder, threads=1, engine="onnxruntime")
    facts(scorer.manifest)
    yield "score"
    pictures = np.zeros((2, *scorer.manifest.input.shape), np.uint8)
    scored = scorer.score_batch(pictures)
    scorer.manifest.threshold.is_anomalous(scored.scores)
    np.quantile(scorer.calibration_scores, 0.5)
    if find_spec("torch") is not None:  # the bare install has none
        from residua import load

        yield "load"
        load(folder).score_batch(pictures)


@cache
def _folder() -> Path:
    """Return a folder with a sound bundle, which is gone when the program ends."""
    above = Path(tempfile.mkdtemp(prefix="residua-fuzz-"))
    atexit.register(shutil.rmtree, above, ignore_errors=True)
    return Path(shutil.copytree(KEPT, above / "bundle.residua"))
