from __future__ import annotations

import pytest

import residua
from residua.errors import MissingExtra


def test_the_public_names_are_sorted_and_complete() -> None:
    assert residua.__all__ == sorted(residua.__all__)
    assert set(residua.__all__) == set(residua._HOMES)


@pytest.mark.parametrize("name", residua.__all__)
def test_each_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(residua, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        residua.no_such_thing  # noqa: B018


def test_a_missing_training_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_torch(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(residua, "import_module", without_torch)
    with pytest.raises(MissingExtra, match=r"residua\[train\]"):
        residua.__getattr__("AutoencoderDetector")
