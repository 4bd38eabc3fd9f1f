"""Keep Pillow's warnings about one file out of a run over many.

A damaged EXIF block or a trailing byte is no news to who scores a folder, and under ``-W error``
it would fail a picture that decodes well. ``warnings.catch_warnings`` is no help here: it swaps the
whole list of filters, and two threads that do so at once can leave the wrong list behind for good.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def pillow_warnings_ignored() -> Iterator[None]:
    """Ignore the warnings that Pillow's own modules give, from any number of threads at once.

    One filter is put in front of the list in use and taken out again, from that list and from the
    one in use by then: the program may have entered or left a ``catch_warnings`` meanwhile.
    """
    if getattr(sys.flags, "context_aware_warnings", False):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
        return
    # The list holds compiled patterns, which typeshed calls str.
    entry: tuple[str, None, type[Warning], object, int]
    entry = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
    entered: list[object] = warnings.filters  # type: ignore[assignment]
    entered.insert(0, entry)
    try:
        yield
    finally:
        left: list[object] = warnings.filters  # type: ignore[assignment]
        for filters in (entered,) if left is entered else (entered, left):
            with suppress(ValueError):
                filters.remove(entry)
