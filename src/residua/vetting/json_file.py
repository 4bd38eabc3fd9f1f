"""JSON of a stranger: finite numbers, names that occur once, text that can be shown."""

from __future__ import annotations

import json
import math
from typing import Any

from residua.vetting.text import shown


def read_json(content: bytes) -> Any:
    """Read JSON strictly.

    Raises
    ------
    ValueError
        It is none, has a number that is NaN, infinite or too long, or a name twice.
    RecursionError
        It is nested too deeply.
    """
    return json.loads(
        content.decode("utf-8"),
        object_pairs_hook=_without_doubles,
        parse_constant=_refused,
        parse_float=_finite,
    )


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {shown(name): _shown(value) for name, value in pairs}
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return shown(value)
    return [_shown(one) for one in value] if isinstance(value, list) else value


def _refused(constant: str) -> float:
    raise ValueError(f"it holds {constant}, which is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds {text[:20]}, which is too large")
    return number
