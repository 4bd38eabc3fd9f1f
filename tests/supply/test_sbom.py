"""The bill of materials: valid CycloneDX, complete, with hashes and licences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cyclonedx")
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from supply.installed import closure
from supply.pins import read
from supply.requirements import requirements
from supply.sbom import bill, main


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bill") / "below" / "residua.cdx.json"
    assert main(["--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def content(written: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written.read_text())
    return found


def test_it_is_valid_cyclonedx(written: Path) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(written.read_text()) is None
    assert validator.validate_str('{"bomFormat": "CycloneDX"}') is not None


def test_it_names_everything_that_the_extras_bring_with_hashes_and_licences(
    content: dict[str, Any],
) -> None:
    parts = {part["purl"].partition("@")[0]: part for part in content["components"]}
    assert set(parts) == {f"pkg:pypi/{name}" for name in closure(requirements("all"))}
    for part in parts.values():
        assert part["licenses"]
        (reference,) = part["externalReferences"]
        assert reference["hashes"]
        # The index knows no version with a local part, such as +cpu.
        assert "+" not in part["purl"]
        assert "%2B" not in part["purl"]
    assert parts["pkg:pypi/numpy"]["scope"] == "required"
    assert parts["pkg:pypi/torch"]["scope"] == "optional"


def test_everything_in_it_is_reached_from_the_product(content: dict[str, Any]) -> None:
    edges = {one["ref"]: one.get("dependsOn", []) for one in content["dependencies"]}
    reached, waiting = set(), [content["metadata"]["component"]["bom-ref"]]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += edges[one]
    assert reached == set(edges)
    assert {part["bom-ref"] for part in content["components"]} < reached


def test_what_is_installed_otherwise_than_pinned_is_no_release() -> None:
    pins = read()
    del pins["numpy"]
    with pytest.raises(LookupError, match="numpy"):
        bill(pins, "1.0")
