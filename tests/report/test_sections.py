from __future__ import annotations

import numpy as np
import pytest

from residua.report.apart import rule_name
from residua.report.figures import ROCDisplay
from residua.report.sections import (
    FigureBlock,
    TableBlock,
    TextBlock,
    figure_or_reason,
    legible,
    percent,
)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("percentile(90)", "90th percentile"),
        ("percentile(99.5)", "99.5th percentile"),
        ("percentile(82)", "82nd percentile"),
        ("percentile(11)", "11th percentile"),
        ("conformal(0.01)", "conformal, 1\N{NARROW NO-BREAK SPACE}%"),
        ("tail(0.001)", "extrapolated tail, 0.1\N{NARROW NO-BREAK SPACE}%"),
        ("best_f1", "best F1 by labels"),
        ("zscore(3, two_sided=False)", "mean + 3 s"),
        ("zscore(2.5, two_sided=True)", "mean ± 2.5 s"),
        ("mad(3.5)", "median + 3.5 MAD"),
        ("best", "best"),
    ],
)
def test_rules_are_named_in_words(rule: str, name: str) -> None:
    assert rule_name(rule) == name


def test_a_figure_that_cannot_be_drawn_becomes_its_reason() -> None:
    def make() -> ROCDisplay:
        return ROCDisplay.from_predictions(np.zeros(3, bool), np.arange(3.0))

    block = figure_or_reason("roc", "ROC curve", "", make)
    assert isinstance(block, TextBlock)
    assert "all 3 pictures are normal" in block.text


def test_a_figure_that_can_be_drawn_is_one() -> None:
    block = figure_or_reason(
        "roc", "ROC", "", lambda: ROCDisplay.from_predictions([False, True], [0.1, 0.2])
    )
    assert isinstance(block, FigureBlock)


def test_a_table_writes_numbers_for_people() -> None:
    table = TableBlock("t", "T", "", ("a", "b"), [(1234, 0.5)], {"b": ".1%"})
    assert table.written("a", 1234) == "1,234"
    assert table.written("b", 0.5) == "50.0\N{NARROW NO-BREAK SPACE}%"
    assert table.written("a", None) == "–"
    assert table.written("a", True) == "yes"


def test_a_column_of_numbers_and_blanks_is_one_of_numbers() -> None:
    table = TableBlock("t", "T", "", ("a", "b", "c"), [(1, "x", None), (None, "y", None)])
    assert [table.is_number(column) for column in range(3)] == [True, False, False]


def test_stray_bytes_and_controls_are_made_legible() -> None:
    assert legible("a\0b\x1bc\udcffd\n") == "a\\x00b\\x1bc\\xffd\n"


def test_shares_are_percentages_of_few_digits() -> None:
    assert percent(0.123456, 3) == "12.3\N{NARROW NO-BREAK SPACE}%"
    assert percent(1.0) == "100\N{NARROW NO-BREAK SPACE}%"
