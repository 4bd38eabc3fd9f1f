"""The page in a real browser: its numbers are Python's, and it can be used without a mouse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from residua.evaluation.scored import ScoredSet
from residua.evaluation.verdicts import Confusion, verdict_metrics

NAMES = {
    "recall": "tpr",
    "false_positive_rate": "fpr",
    "precision": "precision",
    "f1": "f1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
}


def thresholds(scored: ScoredSet) -> list[float]:
    """At scores, just beside them, between them, and beyond all."""
    ordered = np.sort(scored.scores)
    picked = ordered[[0, 1, len(ordered) // 2, -2, -1]].tolist()
    beside = [float(np.nextafter(x, side)) for x in picked for side in (-np.inf, np.inf)]
    return [*picked, *beside, float(ordered.mean()), scored.threshold.upper, -1.0, 0.0, 1e9]


def numbers_in_python(scored: ScoredSet, threshold: float) -> dict[str, float | None]:
    limits = scored.threshold.model_copy(update={"upper": threshold})
    flagged = limits.is_anomalous(scored.scores)
    assert scored.anomalous is not None
    counts = Confusion.of(scored.anomalous, flagged)
    figures, _ = verdict_metrics(counts, n_resamples=10, seed=0)
    expected: dict[str, float | None] = {"flagged": int(flagged.sum())}
    expected |= counts.model_dump()
    for name, short in NAMES.items():
        expected[short] = figures[name].value if name in figures else None
    return expected


def same(found: dict[str, Any], expected: dict[str, float | None]) -> bool:
    return {name: found[name] for name in expected} == expected


def test_the_pages_numbers_are_pythons_at_every_threshold(
    browser: Any, page: Path, scored: ScoredSet
) -> None:
    browser.open(page)
    for threshold in thresholds(scored):
        found = browser.run(f"window.residua.at({threshold!r})")
        assert same(found, numbers_in_python(scored, threshold)), threshold


def test_limits_on_both_sides_are_counted_as_in_python(
    browser: Any, bundle: Path, scored: ScoredSet, write_page: Any, two_sided: Any, tmp_path: Path
) -> None:
    both = two_sided(scored)
    page = write_page(tmp_path / "both.html", bundle, both)
    browser.open(page)
    assert both.threshold.lower is not None
    for threshold in [*thresholds(both), both.threshold.lower]:
        found = browser.run(f"window.residua.at({threshold!r})")
        assert same(found, numbers_in_python(both, threshold)), threshold


def test_a_threshold_in_the_address_shows_its_numbers(
    browser: Any, page: Path, scored: ScoredSet
) -> None:
    threshold = float(np.median(scored.scores))
    browser.open(page, hash=f"#threshold={threshold!r}")
    shown = browser.run(
        "Object.fromEntries([...document.querySelectorAll('[data-count]')]"
        ".map((one) => [one.dataset.count, one.dataset.value]))"
    )
    expected = numbers_in_python(scored, threshold)
    values = {name: float(shown[name]) if shown[name] else None for name in expected}
    assert values == expected


def test_a_step_with_the_arrow_key_passes_one_score(
    browser: Any, page: Path, scored: ScoredSet
) -> None:
    browser.open(page)
    before = browser.run("window.residua.at(threshold).flagged")
    browser.run("document.getElementById('live-slide').focus()")
    browser.press("ArrowRight")
    now = browser.run("threshold")
    above = np.unique(scored.scores[scored.scores > scored.threshold.upper])
    assert now == above[0]
    assert browser.run("window.residua.at(threshold).flagged") < before
    browser.run("new Promise((done) => setTimeout(done, 400))")
    assert browser.run("location.hash") == f"#threshold={now!r}"
    browser.press("ArrowLeft")
    assert browser.run("window.residua.at(threshold).flagged") == before


def test_moving_the_threshold_marks_the_gallery(
    browser: Any, page: Path, scored: ScoredSet
) -> None:
    browser.open(page)
    count = (
        "[...document.querySelectorAll('#gallery-cards li')]"
        ".filter((one) => one.querySelector('button.flagged')).length"
    )
    shown = browser.run("cards.length")
    assert browser.run(count) == min(int(scored.flagged.sum()), shown)
    browser.run("move(1e9)")
    assert browser.run(count) == 0
    browser.run("move(-1e9)")
    assert browser.run(count) == shown


def test_the_gallery_is_sorted_and_filtered(browser: Any, page: Path, scored: ScoredSet) -> None:
    browser.open(page)
    browser.run(
        "tools.elements.which.value = 'all'; tools.elements.order.value = 'low';"
        "tools.dispatchEvent(new Event('input'))"
    )
    scores = browser.run("shown.map((card) => card.score)")
    assert scores == sorted(scores)
    browser.run("tools.elements.label.value = 'mixed'; tools.dispatchEvent(new Event('input'))")
    assert set(browser.run("shown.map((card) => card.label)")) == {"mixed"}
    browser.run("tools.elements.which.value = 'missed'; tools.dispatchEvent(new Event('input'))")
    missed = scored.anomalous & ~scored.flagged & (np.array(scored.labels) == "mixed")
    assert browser.run("shown.length") == int(missed.sum())


def test_pictures_are_opened_and_closed_by_keyboard(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.run("shown[0].button.focus()")
    browser.press("ArrowRight")
    assert browser.run("document.activeElement === shown[1].button")
    browser.press("Enter")
    assert browser.run("byId('large').open")
    assert browser.run("byId('large-title').textContent === shown[1].id")
    browser.press("ArrowLeft")
    assert browser.run("byId('large-title').textContent === shown[0].id")
    browser.press("Escape")
    assert not browser.run("byId('large').open")
    assert browser.run("document.activeElement === shown[0].button")


def test_nothing_is_asked_of_the_network_and_nothing_fails(browser: Any, page: Path) -> None:
    browser.events.clear()
    browser.open(page)
    methods = [event["method"] for event in browser.events]
    assert "Runtime.exceptionThrown" not in methods
    assert "Log.entryAdded" not in methods
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]


@pytest.mark.parametrize("width", [1280, 800, 400])
def test_no_width_scrolls_sideways(browser: Any, page: Path, width: int) -> None:
    browser.open(page, width=width)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")


def test_the_reader_chooses_light_or_dark(browser: Any, page: Path) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    browser.open(page)
    light = browser.run(background)
    browser.open(page, dark=True)
    dark = browser.run(background)
    assert light != dark
    browser.run("document.getElementById('theme').click()")
    assert browser.run(background) == light
    browser.open(page, hash="#theme=dark")
    assert browser.run(background) == dark


def test_hostile_names_run_nothing(
    browser: Any, bundle: Path, scored: ScoredSet, write_page: Any, tmp_path: Path
) -> None:
    evil = "</script><img src=x onerror='window.evil=1'><script>window.evil=1</script>"
    ids = [f"{evil}{number}" for number in range(len(scored))]
    page = write_page(tmp_path / "evil.html", bundle, replace(scored, ids=ids))
    browser.open(page)
    browser.run("shown[0].button.click()")
    assert browser.run("byId('large-title').textContent").startswith("</script><img")
    assert browser.run("window.evil") is None
