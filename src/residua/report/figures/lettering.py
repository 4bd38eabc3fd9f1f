"""Texts that fit: measured, shortened with an ellipsis, broken into lines."""

from __future__ import annotations

from functools import cache, lru_cache

from residua.report.figures.style import SMALL_SIZE, families

# Hinting makes letters on screen a little wider than their outlines.
_SLACK = 1.04


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = SMALL_SIZE, weight: str = "normal") -> float:
    """Return the width of a text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    from residua.report.figures.style import drawing

    with drawing():
        font = FontProperties(size=size, weight=weight)
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72 * _SLACK


def printable(text: object) -> str:
    """Return a text on one line, a box for each letter that cannot be drawn."""
    line = " ".join(str(text).split())
    if line.isascii() and line.isprintable():
        return line
    known = _letters()
    return "".join(letter if ord(letter) in known else "□" for letter in line)


@cache
def _letters() -> frozenset[int]:
    """Return the code points that the fonts in use have, control characters not among them."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in families()]
    return frozenset(
        code for font in fonts for code in font.get_charmap() if chr(code).isprintable()
    )


def shortened(text: object, width: float, size: float = SMALL_SIZE, weight: str = "normal") -> str:
    """Return the text, or as much of its beginning as fits ``width`` inches, with an ellipsis.

    Of a path with folders the last name is kept, since the beginnings of many are the same.
    """
    line = printable(text)
    if text_width(line, size, weight) <= width:
        return line
    tail = "…/" + line.rpartition("/")[2]
    if "/" in line and text_width(tail, size, weight) <= width:
        return tail
    fits, too_long = 0, len(line)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if text_width(line[:middle].rstrip() + "…", size, weight) <= width:
            fits = middle
        else:
            too_long = middle
    return line[:fits].rstrip() + "…"


def wrapped(
    text: object,
    width: float,
    size: float = SMALL_SIZE,
    weight: str = "normal",
    *,
    lines: int | None = None,
) -> list[str]:
    """Break a text into lines of ``width`` inches, at most ``lines``; the last one is shortened."""
    words = printable(text).split()
    broken: list[str] = []
    for position, word in enumerate(words):
        if broken and text_width(f"{broken[-1]} {word}", size, weight) <= width:
            broken[-1] += f" {word}"
        elif lines is not None and len(broken) == lines:
            broken[-1] = shortened(" ".join([broken[-1], *words[position:]]), width, size, weight)
            break
        else:
            broken.append(word)
    return [shortened(line, width, size, weight) for line in broken]


def counted(count: int, noun: str = "picture") -> str:
    """Say how many, as "1 picture" or "1,200 pictures"."""
    plural = {"class": "classes"}.get(noun, f"{noun}s")
    return f"{count:,} {noun if count == 1 else plural}"


def plain_number(value: float) -> str:
    """Write a number with at most four significant digits and a true minus."""
    return f"{value + 0.0:.4g}".replace("-", "−")
