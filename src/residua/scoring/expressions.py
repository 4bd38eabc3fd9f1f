"""Text such as ``zscore(3, two_sided=True)`` to a name with its arguments.

Maps, reductions and rules are chosen by such texts in Python, on the command line and in saved
models. Only literals are read; nothing is evaluated.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, TypeVar

from residua.errors import ConfigurationError, UnknownName

T = TypeVar("T")

# Python's parser gives up on text that is nested deeply, and not in one way.
_LONGEST = 200


def build_named(kind: str, text: str, known: Mapping[str, Callable[..., T]]) -> T:
    """Build what ``text`` names, with the arguments it gives.

    Parameters
    ----------
    kind : str
        What is built, for the error texts: "threshold rule", "error map" …
    text : str
        ``name``, or ``name(argument, keyword=argument)`` with literal arguments.
    known : mapping of str to callable
        The registry.

    Raises
    ------
    UnknownName
        No such name; the nearest are offered.
    ConfigurationError
        The text cannot be read, or the arguments are not the named one's.
    """
    name, args, kwargs = _read(kind, text)
    if name not in known:
        raise UnknownName.among(kind, name, known)
    build = known[name]
    try:
        signature(build).bind(*args, **kwargs)
    except TypeError as error:
        takes = ", ".join(str(p) for p in signature(build).parameters.values())
        raise ConfigurationError(
            f"{kind} {text!r}: {error}; it is written {name}({takes})"
        ) from error
    try:
        return build(*args, **kwargs)
    except TypeError as error:
        raise ConfigurationError(f"{kind} {text!r}: an argument is of the wrong type") from error


def _read(kind: str, text: str) -> tuple[str, list[Any], dict[str, Any]]:
    unreadable = ConfigurationError(
        f"{kind} {text!r} cannot be read; write a name, or name(number, keyword=value)"
    )
    if text.replace("-", "_").isidentifier():
        return text, [], {}
    if len(text) > _LONGEST:
        raise ConfigurationError(
            f"{kind} {text[:40]!r}… has {len(text):,} characters; it may have {_LONGEST}"
        )
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise unreadable
        args = [ast.literal_eval(argument) for argument in call.args]
        kwargs = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if error is unreadable:
            raise
        raise unreadable from error
    return call.func.id, args, kwargs
