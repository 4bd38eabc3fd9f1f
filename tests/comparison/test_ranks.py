from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from residua.comparison.leaderboard import Comparison, Row
from residua.comparison.methods import METHODS
from residua.comparison.ranks import Fit, Result, is_noise, over_seeds, ranked_rows
from residua.errors import OutputError
from residua.evaluation.estimate import Estimate
from residua.images.preprocess import InputSpec

TRUTH = np.repeat([False, True], 150)


def scores(separation: float, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(separation * TRUTH)


def result(name: str, separations: list[float], seed: int = 0, **changes: object) -> Result:
    fits = [
        Fit(
            **{
                "scores": scores(separation, seed + number),
                "n_train": 10,
                "in_pictures": False,
                "fit_seconds": 1.0 + number,
                "score_seconds": 0.6,
                "memory_mb": 5.0 + number,
                "notes": ["slow"],
                **changes,
            }
        )
        for number, separation in enumerate(separations)
    ]
    return Result(METHODS[name], list(range(len(fits))), fits, "8 × 8 × 1", [])


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return ranked_rows(
        TRUTH,
        [result("pca", [0.5, 0.5], 10), result("knn", [2.0, 2.0], 20), result("lof", [2, 2], 30)],
    )


@pytest.fixture
def comparison(rows: list[Row]) -> Comparison:
    spec = InputSpec(height=8, width=8, channels=1)
    return Comparison(
        protocol="all [of] it",
        spec=spec,
        flat=spec,
        n_trusted=10,
        n_normal=150,
        n_anomalous=150,
        seeds=[0, 1],
        rows=rows,
        left_out={"conv": "too <small>"},
        memory="peak",
        versions={},
    )


def test_the_best_comes_first_and_the_clearly_worse_is_beyond_noise(rows: list[Row]) -> None:
    assert {row.method for row in rows[:2]} == {"knn", "lof"}
    assert rows[2].method == "pca"
    assert [row.within_noise for row in rows] == [True, True, False]
    assert rows[0].behind.value == rows[0].behind.high == 0
    assert rows[2].behind.value == pytest.approx(rows[0].auroc.value - rows[2].auroc.value)
    assert rows[2].behind.low > 0


def test_a_row_gives_mean_spread_time_and_the_greatest_memory(rows: list[Row]) -> None:
    row = rows[2]
    assert row.fit_seconds == 1.5
    assert row.score_seconds == pytest.approx(2.0)
    assert row.memory_mb == 6.0
    assert row.notes == ["slow"]
    assert row.auroc.spread is not None
    assert row.auroc.low < row.auroc.value < row.auroc.high


def test_memory_that_was_not_measured_is_not_guessed() -> None:
    (row,) = ranked_rows(TRUTH, [result("pca", [1.0], memory_mb=None)])
    assert row.memory_mb is None
    assert row.auroc.spread is None


def test_the_interval_and_the_spread_over_seeds() -> None:
    found = over_seeds([estimate(0.8, 0.7, 0.9), estimate(0.9, 0.9, 1.0)])
    assert (found.value, found.low, found.high) == pytest.approx((0.85, 0.8, 0.95))
    assert found.spread == pytest.approx(np.std([0.8, 0.9], ddof=1))


@pytest.mark.parametrize(
    ("behind", "noise"),
    [
        ([estimate(0.1, 0.05, 0.2)], False),
        ([estimate(0.1, -0.01, 0.2)], True),
        ([estimate(0.3, 0.2, 0.4), estimate(-0.01, -0.02, 0.1)], True),
        ([estimate(0.3, 0.2, 0.4), estimate(0.1, 0.01, 0.2)], False),
    ],
)
def test_noise_is_an_interval_that_holds_0_or_seeds_that_disagree(
    behind: list[Estimate], noise: bool
) -> None:
    assert is_noise(behind) is noise


def test_the_verdict_names_the_best_and_what_is_within_noise(comparison: Comparison) -> None:
    best, second = (row.method for row in comparison.rows[:2])
    assert comparison.verdict().startswith(f"{best} ranks best")
    assert comparison.verdict().endswith(f"within noise of it: {second}")
    alone = comparison.model_copy(update={"rows": [comparison.rows[0], comparison.rows[2]]})
    assert "every other method is beyond noise" in alone.verdict()
    assert "of one method" in comparison.model_copy(update={"rows": comparison.rows[:1]}).verdict()


def test_the_terminal_shows_every_row_and_what_is_left_out(comparison: Comparison) -> None:
    console = Console(width=220, record=True, file=io.StringIO())
    console.print(comparison.table())
    text = console.export_text()
    assert all(row.auroc.text() in text for row in comparison.rows)
    assert "all [of] it" in text
    assert "left out: conv: too <small>" in text
    assert text.count("≈ ") == 1


def test_a_narrow_terminal_cuts_no_figure_off(comparison: Comparison) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(comparison.table())
    text = console.export_text()
    assert "…" not in text
    for row in comparison.rows:
        assert f"{row.auroc.low:.4f}" in text
        assert f"{row.fpr_at_95_tpr.value:.4f}" in text


def test_a_method_that_ranks_worse_than_chance_is_named(comparison: Comparison) -> None:
    assert not any("Worse than chance" in remark for remark in comparison._remarks())
    rows = ranked_rows(TRUTH, [result("pca", [-1.0]), result("knn", [1.0])])
    remarks = comparison.model_copy(update={"rows": rows})._remarks()
    assert any("Worse than chance: pca." in remark for remark in remarks)


def test_a_notebook_shows_the_leaderboard_escaped(comparison: Comparison) -> None:
    page = comparison._repr_html_()
    assert page.count("<tr>") == 4
    assert "too &lt;small&gt;" in page


def test_markdown_has_one_line_a_row(comparison: Comparison) -> None:
    lines = comparison.markdown().split("\n")
    widths = {line.count("|") for line in lines[: 2 + len(comparison.rows)]}
    assert len(widths) == 1


def test_what_is_saved_is_what_is_read(comparison: Comparison, tmp_path: Path) -> None:
    folder = comparison.save(tmp_path / "out")
    text = (folder / "comparison.json").read_text(encoding="utf-8")
    assert Comparison.model_validate_json(text) == comparison
    table = (folder / "comparison.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 1 + len(comparison.rows)
    assert table[0].startswith("rank,method")
    assert "auroc_low" in table[0]


def test_a_folder_that_cannot_be_made_is_an_output_error(
    comparison: Comparison, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        comparison.save(tmp_path / "file" / "out")
