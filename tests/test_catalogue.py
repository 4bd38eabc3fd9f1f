from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import residua.plugins
from residua.catalogue import CATALOGUE, LARGE, SMALL
from residua.cli import app

MEASURED = Path(__file__).parent.parent / "docs" / "results" / "model-cost.json"
MEASURED_NAMES = [name for name, card in CATALOGUE.items() if card.weights_small is not None]


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))["tables"]
    return found


@pytest.mark.parametrize("name", MEASURED_NAMES)
@pytest.mark.parametrize("what", ["training", "scoring"])
def test_the_costs_of_a_card_are_the_measured_ones(
    name: str, what: str, tables: dict[str, Any]
) -> None:
    for shape, size in ((SMALL, "small"), (LARGE, "large")):
        ratios = tables[" × ".join(map(str, shape))][name][what]
        assert getattr(CATALOGUE[name], f"{what}_{size}") == round(statistics.median(ratios), 2)


def test_the_command_lists_each_network_with_its_advice_and_its_paper() -> None:
    done = CliRunner().invoke(app, ["models"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    text = " ".join(done.stdout.replace("│", " ").split())
    for name, card in CATALOGUE.items():
        assert all(part in text for part in (name, card.what, card.when, card.source)), name


def test_as_json_it_gives_every_number() -> None:
    done = CliRunner().invoke(app, ["models", "--json"])
    records = {record["name"]: record for record in json.loads(done.stdout)}
    assert set(records) >= set(CATALOGUE)
    masked, card = records["masked"], CATALOGUE["masked"]
    assert masked["weights"] == {"28x28x1": card.weights_small, "128x128x3": card.weights_large}
    assert masked["scoring"]["128x128x3"] == card.scoring_large


def test_networks_of_packages_are_listed_behind_the_built_in_ones_that_they_cannot_hide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from importlib.metadata import EntryPoint

    entries = [
        EntryPoint("conv", "elsewhere:Net", residua.plugins.GROUP),
        EntryPoint("theirs", "elsewhere:Net", residua.plugins.GROUP),
    ]
    monkeypatch.setattr(residua.plugins, "entry_points", lambda group: entries)
    done = CliRunner().invoke(app, ["models", "--json"])
    records = json.loads(done.stdout)
    assert [record["name"] for record in records] == [*CATALOGUE, "theirs"]
    assert records[-1]["package"] == "elsewhere"
    shown = CliRunner().invoke(app, ["models"], env={"COLUMNS": "120"})
    assert "elsewhere:Net" in shown.stdout


def test_the_command_imports_nothing_heavy() -> None:
    program = (
        "import sys, residua.cli, typer.testing as t\n"
        "result = t.CliRunner().invoke(residua.cli.app, ['models'])\n"
        "assert result.exit_code == 0, result.output\n"
        "print(sorted({'torch', 'lightning', 'numpy', 'onnxruntime'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
