"""Whose is a folder of checkpoints? A mark in it names the settings and pictures of its fit."""

from __future__ import annotations

import json
import warnings
from typing import Any

from residua.errors import CannotResume, Discarded

FIT_MARK = "fit.json"
"""Names, in a checkpoint folder, the settings and pictures of the fit that it belongs to."""


def mark_of(settings: dict[str, Any], pictures: str) -> dict[str, Any]:
    """Return what a mark holds, ready for JSON."""
    return {"settings": settings, "data": pictures}


def written_mark(mark: dict[str, Any]) -> str:
    """Return a mark as the text of its file."""
    return json.dumps(mark, indent=2) + "\n"


def require_same_fit(text: str, own: dict[str, Any], *, folder: object, mark: object) -> None:
    """Refuse to go on with the state of another fit.

    Parameters
    ----------
    text : str
        The mark that was found.
    own : dict
        That of the fit that is to go on.
    folder, mark : path or str
        Where the state lies and where its mark, for the error.

    Raises
    ------
    CannotResume
        The mark cannot be read, or names other settings or pictures.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CannotResume(f"{mark} cannot be read ({error}); fit without resuming") from error
    differing = _differences(found, own)
    if differing:
        raise CannotResume(
            f"{folder} belongs to another fit: {', '.join(differing)}; give the same settings "
            f"and pictures, or start afresh without resuming"
        )


def warn_discarded(folder: object) -> None:
    """Say that the state of an interrupted fit goes, since nobody asked to go on with it."""
    warnings.warn(
        f"the interrupted fit in {folder} is discarded, since resuming was not asked for",
        Discarded,
        stacklevel=5,
    )


def _differences(found: dict[str, Any], own: dict[str, Any]) -> list[str]:
    there, here = found.get("settings", {}), own["settings"]
    names = [
        f"{name} was {there.get(name)!r} and is {here[name]!r}"
        for name in here
        if there.get(name) != here[name]
    ]
    return names + (["the pictures differ"] if found.get("data") != own["data"] else [])
