from __future__ import annotations

import sys

import numpy as np

from scoring_memory import peak_memory


def test_the_peak_of_a_command_is_its_own_and_not_that_of_its_parent() -> None:
    held = np.ones(200_000_000, np.uint8)
    assert peak_memory([sys.executable, "-c", "pass"]) < 100_000_000
    assert peak_memory([sys.executable, "-c", "bytearray(b'x') * 150_000_000"]) > 150_000_000
    assert held.all()
