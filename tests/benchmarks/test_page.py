from __future__ import annotations

import json
import re

import pytest

from quality.figures import beside, over_seeds, verdict, with_spread
from quality.kept import Result
from quality.page import as_json, page
from quality.rows import NOTES, ROWS, Goal, Row
from quality.run import Runner

from .conftest import make_row
from .test_kept import make_result

ALL = list(ROWS.values())


def cases_of(row: Row) -> tuple[str, ...]:
    return row.cases


def result(row: str, case: str, seed: int, auroc: float, **others: object) -> Result:
    measured = {"auroc": auroc, "tpr": 0.5, "fpr": 0.02}
    key = f"{row}-{case}-{seed}"
    return make_result(key, row=row, case=case, seed=seed, measured=measured, **others)


def line_of(text: str, *words: str) -> list[str]:
    """Return the cells of the one line of a table that begins with these."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    (found,) = [cells for cells in lines if cells[: len(words)] == list(words)]
    return found


def test_a_row_of_classes_is_the_mean_over_them_and_then_over_seeds() -> None:
    row = make_row("many", ("x", "y"))
    values = {("x", 0): 0.9, ("y", 0): 0.8, ("x", 1): 1.0, ("y", 1): 0.9}
    results = [result("many", case, seed, value) for (case, seed), value in values.items()]
    text = page(results, [row], cases_of)
    cells = line_of(text, row.title, "AUROC")
    assert cells[3:6] == ["0.9000 ± 0.0707", "2", "met"]
    assert line_of(text, "y")[1] == "0.8500 ± 0.0707"


def test_a_seed_that_lacks_a_class_is_not_counted() -> None:
    row = make_row("many", ("x", "y"))
    results = [result("many", "x", 0, 0.9), result("many", "y", 0, 0.8)]
    results.append(result("many", "x", 1, 1.0))
    assert over_seeds(results, "auroc", row.cases) == {0: pytest.approx(0.85)}
    assert line_of(page(results, [row], cases_of), row.title, "AUROC")[4] == "1"


@pytest.mark.parametrize(
    ("goal", "value", "said"),
    [
        (Goal("auroc", "", 0.9), 0.9, "met"),
        (Goal("auroc", "", 0.9), 0.8766, "short by 0.0234"),
        (Goal("auroc", "", 0.9), 0.89999, "short by 1.0e-05"),
        (Goal("fpr", "", 0.01, at_most=True, form=".2%"), 0.01, "met"),
        (Goal("fpr", "", 0.01, at_most=True, form=".2%"), 0.0132, "over by 0.32 %"),
        (Goal("ahead", "", 0.0, form="+.4f"), -0.02, "short by 0.0200"),
    ],
)
def test_a_goal_is_met_or_missed_by_so_much(goal: Goal, value: float, said: str) -> None:
    assert verdict(goal, {0: value}) == said
    assert verdict(goal, {}) == "not measured"


def test_one_seed_has_no_spread() -> None:
    assert with_spread({3: 0.5}, ".2f") == "0.50"
    assert with_spread({0: 0.25, 1: -0.25}, "+.2f") == "+0.00 ± 0.35"
    assert with_spread({}, ".2f") == "–"


def test_other_scores_stand_beside_the_detectors_own() -> None:
    given = {"baselines": {"pca": 0.6}, "other_scores": {"code": 0.7}}
    results = [result("one", "all", seed, 0.9, **given) for seed in (0, 1)]
    assert beside(results, "baselines", ["all"]) == {"pca": {0: 0.6, 1: 0.6}}
    row = make_row("one")
    text = page(results, [row], cases_of)
    assert line_of(text, row.title, "baseline")[2:] == [
        "`pca`",
        "0.6000 ± 0.0000",
        "0.9000 ± 0.0000",
    ]
    assert line_of(text, row.title, "same network")[3] == "0.7000 ± 0.0000"


def test_a_limit_that_is_refused_says_why() -> None:
    refused = make_result().rates[0].model_copy(update={"refused": "it needs 99 scores"})
    row = make_row("one")
    text = page([result("one", "all", 0, 0.9, rates=[refused])], [row], cases_of)
    assert line_of(text, row.title, "`r`")[-1] == "refused: it needs 99 scores"
    assert "Of 0 lines" in text


def tables(text: str) -> list[list[str]]:
    return [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]


@pytest.mark.parametrize("seeds", [0, 1, 3])
def test_every_table_of_the_whole_page_is_well_formed(seeds: int) -> None:
    results = [
        result(row.name, case, seed, 0.9, baselines=dict.fromkeys(row.baselines, 0.5))
        for row in ALL
        for case in row.cases
        for seed in range(seeds)
    ]
    text = page(results, ALL, cases_of)
    assert len(tables(text)) == (6 if seeds else 2)
    for lines in tables(text):
        assert len({line.count("|") for line in lines}) == 1
    for row in ALL:
        for goal in row.goals:
            measured = line_of(text, row.title, goal.title)[5]
            assert (measured == "not measured") is (
                seeds == 0 or goal.measure in ("ahead", "pixel_auroc")
            )


def test_every_note_is_used_and_stands_under_its_number() -> None:
    text = page([], ALL, cases_of)
    used = {int(number) for number in re.findall(r"<sup>(\d+)</sup>", text)}
    assert used == set(range(1, len(NOTES) + 1))
    for number in used:
        assert f"\n{number}. " in text


def test_a_quick_page_says_that_its_figures_are_none() -> None:
    assert "QUICK" in page([], ALL, cases_of, quick=True)
    assert "QUICK" not in page([], ALL, cases_of)


def test_the_file_beside_the_page_holds_every_result_in_one_order() -> None:
    results = [result("one", "all", seed, 0.9) for seed in (0, 1)]
    content = json.loads(as_json(results))
    assert [Result.model_validate(entry) for entry in content["results"]] == results
    assert content["seconds"] == 8
    assert as_json(results[::-1]) == as_json(results)


def test_the_time_is_that_of_all_fits_together(runner: Runner) -> None:
    results = [result("one", "all", seed, 0.9, seconds=1800.0) for seed in range(3)]
    text = page(results, [make_row("one")], runner.cases)
    assert "3 fits in 1 h 30 min, one after the other, on: a machine." in text
