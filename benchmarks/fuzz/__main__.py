"""Fuzz one of the readers of what strangers send, for as long as one likes.

    scripts/bench fuzz decoder --minutes 60

Inputs that reach new code are kept under .bench/fuzz and are where the next run begins. An input
that ends the reader in another way than by one of Residua's own errors, takes more than five
seconds or more memory than is allowed is kept there as well, and named; such a run returns 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fuzz.running import TARGETS, fuzz, is_installed


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz a target; returns 1 after a finding, 2 where atheris is not there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (60)")
    options = parser.parse_args(arguments)
    if not is_installed():
        print(
            "atheris is not installed; with Python 3.11 to 3.13 on Linux or macOS: "
            ".venv/bin/pip install -c constraints.txt atheris",
            file=sys.stderr,
        )
        return 2
    result = fuzz(options.target, seconds=60 * options.minutes)
    print(result.words())
    return 1 if result.finding else 0


if __name__ == "__main__":
    raise SystemExit(main())
