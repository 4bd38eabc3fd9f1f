"""Manifests that are no JSON, too much of it, or say what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from reliability.hostile_bundles.case import Case, put
from residua.bundle import MANIFEST

_ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202egnp.live\r\n"


def _edit(change: Callable[[dict[str, Any]], object], folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def _set(place: str, value: Any, folder: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        *path, last = place.split(".")
        for key in path:
            manifest = manifest[key]
        manifest[last] = value

    _edit(change, folder)


def _text(before: str, after: str, folder: Path) -> None:
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    assert before in text
    (folder / MANIFEST).write_text(text.replace(before, after, 1), encoding="utf-8")


def _long_history(folder: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["history"] = manifest["history"][:1] * 100_000

    _edit(change, folder)


CASES: tuple[Case, ...] = (
    Case("JSON nested deeply", partial(put, MANIFEST, b"[" * 1_000_000)),
    Case("JSON of two names", partial(_text, '"seed"', '"seed": 1, "seed"')),
    Case("JSON with NaN", partial(_text, '"map_ceiling": ', '"map_ceiling": NaN, "x": ')),
    Case("JSON with infinity", partial(_set, "map_ceiling", float("inf"))),
    Case("JSON with 1e999", partial(_text, '"map_ceiling": ', '"map_ceiling": 1e999, "x": ')),
    Case(
        "JSON with a number of a million digits",
        partial(_text, '"seed": ', f'"seed": {"9" * 10**6}'),
    ),
    Case("a manifest of 100 MB", partial(put, MANIFEST, b" " * 10**8)),
    Case("a history of 100,000 epochs", _long_history),
    Case("pictures of 10⁹ × 10⁹", partial(_set, "input.height", 10**9)),
    Case("a name of a million letters", partial(_set, "x" * 1_000_000, 1)),
    Case("pictures of -8 rows", partial(_set, "input.height", -8)),
    Case("a schema of tomorrow", partial(_set, "schema_version", 99)),
    Case("a list for a name", partial(_set, "model.name", ["conv"])),
    Case("codes that steer a terminal", partial(_set, "model.package", _ESCAPES), "never"),
    Case("a network that is not known", partial(_set, "model.name", "os.system"), "load"),
    Case("a code of 10⁹ numbers", partial(_set, "model.latent_dim", 10**9), "load"),
    Case(
        "a layer of 10¹² channels",
        partial(_set, "settings.model_options.first_channels", 10**12),
        "load",
    ),
    Case("a score that is no text of one", partial(_set, "settings.score", "(" * 10_000), "load"),
    Case("a score that is code", partial(_set, "settings.score", "knn(__import__('os'))"), "load"),
)
