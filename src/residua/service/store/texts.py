"""Texts of others, as every database takes them and every page can show them."""

from __future__ import annotations

import unicodedata

from residua.service.store.tables import TEXT_LENGTH


def storable(text: str) -> str:
    r"""Return text that can be printed, of at most 500 characters.

    Control characters, marks that turn the direction of writing, NUL and lone surrogates become
    escapes such as ``\x00``. What is cut ends in an ellipsis. Storable text stays as it is.
    """
    # Cut first: each character becomes at least one.
    shown = "".join(map(_shown, text[: TEXT_LENGTH + 1]))
    return shown if len(shown) <= TEXT_LENGTH else shown[: TEXT_LENGTH - 1] + "…"


def _shown(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")
