from __future__ import annotations

import inspect
import re

import residua.errors as errors
from residua.errors import MissingExtra, ResiduaError, ResiduaWarning, UnknownName


def defined(base: type) -> dict[str, type]:
    members = vars(errors).items()
    return {name: cls for name, cls in members if inspect.isclass(cls) and issubclass(cls, base)}


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^    ((?:[│├└─ ]*))(\w+)\b", line)
        if not found:
            continue
        depth, name = len(found[1]), found[2]
        while stack and stack[-1][0] >= depth:
            stack.pop()
        parents[name] = stack[-1][1] if stack else ""
        stack.append((depth, name))
    classes = defined(ResiduaError) | defined(ResiduaWarning)
    assert set(parents) == set(classes)
    for name, cls in classes.items():
        assert parents[name] in ("", cls.__mro__[1].__name__), name


def test_every_error_and_warning_says_what_it_is() -> None:
    for name, cls in (defined(ResiduaError) | defined(ResiduaWarning)).items():
        assert cls.__doc__, name


def test_errors_are_of_pythons_kinds_too() -> None:
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.ConfigurationError, ValueError)
    assert issubclass(errors.MissingExtra, ImportError)
    assert issubclass(ResiduaWarning, UserWarning)


def test_an_unknown_name_offers_the_near_ones_or_lists_all() -> None:
    near = str(UnknownName.among("model", "cnv", ["conv", "seed-mnist"]))
    far = str(UnknownName.among("model", "xyz", ["conv", "seed-mnist"]))
    assert near == "no model is called 'cnv'; did you mean 'conv'?"
    assert far == "no model is called 'xyz'; known are 'conv', 'seed-mnist'"


def test_a_missing_package_names_the_extra_that_brings_it() -> None:
    assert "pip install 'residua[train]'" in str(MissingExtra.of("torch", "train"))
