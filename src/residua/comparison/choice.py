"""Which methods are compared: by name, or as detectors that somebody built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from residua.catalogue import COMPARED
from residua.comparison.adapters import PYOD_PREFIX, check_detector, pyod_detector, seeded
from residua.comparison.methods import METHODS, Method, all_methods, network_methods
from residua.errors import ConfigurationError, UnknownName

Methods = Sequence[str | Any] | Mapping[str, Any]


def chosen_methods(methods: Methods | None) -> list[Method]:
    """Return each method named, and each object as a method, under names that differ.

    Parameters
    ----------
    methods : sequence of str or detectors, mapping of names to either, or None
        None: every method that has a name, and of the networks those of
        `residua.catalogue.COMPARED`.

    Raises
    ------
    UnknownName, ConfigurationError, MissingExtra
        A method that does not exist, is no detector, or is not installed.
    """
    if methods is None:
        networks = network_methods()
        return [*METHODS.values(), *(networks[name] for name in COMPARED)]
    named = (
        list(methods.items())
        if isinstance(methods, Mapping)
        else [(m if isinstance(m, str) else type(m).__name__, m) for m in methods]
    )
    chosen: dict[str, Method] = {}
    for name, method in named:
        if isinstance(method, str):
            chosen.setdefault(name, _by_name(name, method))
            continue
        check_detector(method, name)
        unique, number = name, 2
        while unique in chosen:
            unique, number = f"{name}-{number}", number + 1
        chosen[unique] = _of_object(unique, method)
    if not chosen:
        raise ConfigurationError("methods is empty; name at least one, or leave it out for all")
    return list(chosen.values())


def _by_name(name: str, method: str) -> Method:
    if method.startswith(PYOD_PREFIX):
        return _of_object(name, pyod_detector(method))
    # The networks import torch, which the other methods do without.
    known = METHODS if method in METHODS else all_methods()
    if method not in known:
        raise UnknownName.among("method", method, known)
    return replace(known[method], name=name)


def _of_object(name: str, detector: Any) -> Method:
    what = type(detector)
    return Method(
        name=name,
        title=what.__name__,
        what=f"{what.__module__}.{what.__qualname__} as it was given",
        source=what.__module__.partition(".")[0],
        build=lambda circumstances: seeded(detector, circumstances.seed),
    )
