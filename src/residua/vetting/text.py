"""Text of strangers, made fit to be shown on a terminal."""

from __future__ import annotations

import re

# Control characters, which steer a terminal; marks that turn the direction of what follows; and
# halves of characters, which cannot be written.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """Return text with whatever steers a terminal written as its escape: ``\\x1b``."""
    return _UNFIT.sub(lambda found: ascii(found.group())[1:-1], text)
