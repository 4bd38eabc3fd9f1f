from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.advice.finding import Finding, Picture
from residua.errors import ConfigurationError, OutputError
from residua.evaluation.evaluate import Evaluation, evaluate
from residua.evaluation.scored import ScoredSet, score_source
from residua.images.source import ArraySource
from residua.report.page import write
from residua.report.page.write import write_report
from residua.report.sections import Section, TableBlock, TextBlock

HOSTILE = (
    "<script>alert(1)</script>.png",
    "</script><script>alert(2)</script>",
    "\"quoted\" & 'single'.png",
    "\u202egnp.exe",
    "bad\udcff.png",
    "nul\0.png",
    "{{ 7 * 7 }}",
    "=1+1",
)


_IDS = re.compile(r'\bid="([^"]*)"')


@pytest.fixture
def make(bundle: Path, tmp_path: Path) -> Callable[..., Path]:
    def made(scored: ScoredSet, **options: Any) -> Path:
        found = evaluate(scored, model=bundle, n_resamples=100)
        return write_report(
            tmp_path / "report.html",
            title=options.pop("title", "Blobs"),
            model=bundle,
            scored=scored,
            evaluation=found,
            **options,
        )

    return made


def text_of(page: Path) -> str:
    """The page's words, without its scripts, styles, drawings and data."""
    html = page.read_text(encoding="utf-8")
    html = re.sub(r"<(script|style|svg)\b.*?</\1>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", html))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_verdict_counts_what_was_flagged(page: Path, scored: ScoredSet) -> None:
    flagged = int(scored.flagged.sum())
    assert f"{flagged} of 70 pictures are flagged" in text_of(page)
    assert "AUROC" in text_of(page)


def test_scores_csv_has_every_number_to_the_last_digit(page: Path, scored: ScoredSet) -> None:
    rows = rows_of(page.with_suffix("") / "scores.csv")
    assert [float(row["score"]) for row in rows] == scored.scores.tolist()
    assert [row["flagged"] == "true" for row in rows] == scored.flagged.tolist()
    assert [row["truth"] == "true" for row in rows] == scored.anomalous.tolist()
    assert [row["id"] for row in rows] == scored.ids
    assert [row["label"] for row in rows] == scored.labels


def test_evaluation_json_is_the_evaluation(page: Path, bundle: Path, scored: ScoredSet) -> None:
    text = (page.with_suffix("") / "evaluation.json").read_text()
    assert Evaluation.model_validate_json(text) == evaluate(scored, model=bundle, n_resamples=100)


def test_every_figure_is_in_the_page_as_svg_and_as_csv(page: Path) -> None:
    folder = page.with_suffix("")
    names = re.findall(r'id="figure-([\w-]+)"', page.read_text(encoding="utf-8"))
    assert {"roc", "confusion", "heat-maps", "learning-curves", "projection-codes"} <= set(names)
    for name in names:
        assert (folder / f"{name}.svg").read_text().startswith("<?xml")
        assert (folder / f"{name}.csv").read_text()
    listed = json.loads((folder / "contents.json").read_text())
    assert sorted(listed) == sorted(p.name for p in folder.iterdir() if p.name != "contents.json")


def test_nothing_is_fetched_from_anywhere(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in html
    places = re.findall(r'\b(?:src|href|xlink:href|action|data)="([^"]*)"', html)
    outside = [p for p in places if not p.startswith(("#", "data:image/", "report/"))]
    assert outside == []
    assert not re.search(r"@import|url\(\s*[\"']?(?!#)", html)


def test_ids_of_figures_are_unlike_those_of_the_page_and_of_each_other(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    # A glyph may be defined twice within one drawing, both times alike.
    drawings = [set(_IDS.findall(svg)) for svg in re.findall(r"<svg.*?</svg>", html, flags=re.S)]
    others = _IDS.findall(re.sub(r"<svg.*?</svg>", "", html, flags=re.S))
    ids = [*others, *(one for drawing in drawings for one in drawing)]
    assert len(ids) == len(set(ids))


def test_without_labels_the_report_says_what_it_cannot_know(
    make: Callable[..., Path], bundle: Path, blobs: NDArray
) -> None:
    page = make(score_source(bundle, ArraySource(blobs[:30])))
    said = text_of(page)
    assert "It is not known which" in said
    assert "by mistake" in said
    assert "figure-roc" not in page.read_text(encoding="utf-8")
    assert {row["truth"] for row in rows_of(page.with_suffix("") / "scores.csv")} == {""}


def test_with_normal_pictures_alone_every_flag_is_a_false_alarm(
    make: Callable[..., Path], bundle: Path, blobs: NDArray
) -> None:
    scored = score_source(bundle, ArraySource(blobs, labels=["blob"] * len(blobs)))
    page = make(scored.with_truth(np.zeros(len(blobs), bool)))
    said = text_of(page)
    assert "No picture is anomalous, so every flag is a false alarm" in said
    assert "None of these pictures is anomalous" in said
    assert "ROC curve Not drawn" in said


def test_with_anomalous_pictures_alone_nothing_is_said_of_false_alarms(
    make: Callable[..., Path], bundle: Path, stripes: NDArray
) -> None:
    scored = score_source(bundle, ArraySource(stripes)).with_truth(np.ones(len(stripes), bool))
    assert "All of these pictures are anomalous" in text_of(make(scored))


def test_with_nothing_flagged_the_gallery_says_so(
    make: Callable[..., Path], bundle: Path, scored: ScoredSet
) -> None:
    limits = scored.threshold.model_copy(update={"upper": 1e9})
    manifest = scored.manifest.model_copy(update={"threshold": limits})
    page = make(replace(scored, manifest=manifest))
    assert "0 of 70 pictures are flagged" in text_of(page)
    assert "No picture is flagged. These" in text_of(page)


def test_one_picture_is_enough(make: Callable[..., Path], bundle: Path, blobs: NDArray) -> None:
    page = make(score_source(bundle, ArraySource(blobs[:1])))
    assert "1 picture" in text_of(page)


def test_limits_on_both_sides_are_drawn_and_counted(
    make: Callable[..., Path], scored: ScoredSet
) -> None:
    low = float(np.quantile(scored.scores, 0.1))
    limits = scored.threshold.model_copy(update={"lower": low})
    both = replace(scored, manifest=scored.manifest.model_copy(update={"threshold": limits}))
    assert f"{int(both.flagged.sum())} of 70 pictures" in text_of(make(both))


def test_hostile_names_stay_names(
    make: Callable[..., Path], bundle: Path, blobs: NDArray, stripes: NDArray
) -> None:
    pictures = np.concatenate([blobs[: len(HOSTILE)], stripes[: len(HOSTILE)]])
    ids = [*HOSTILE, *(f"b{name}" for name in HOSTILE)]
    labels = [f"<b>{kind}</b>\"'&\u202e" for kind in "nx" for _ in HOSTILE]
    scored = score_source(bundle, ArraySource(pictures, labels=labels, ids=ids))
    scored = scored.with_truth(np.repeat([False, True], len(HOSTILE)))
    page = make(scored, title="<script>alert(3)</script>")
    html = page.read_text(encoding="utf-8")
    assert "alert(1)</script>" not in html
    assert "alert(2)</script>" not in html
    assert "alert(3)</script>" not in html
    assert "<b>n" not in html
    assert "{{ 7 * 7 }}" in html
    assert "\0" not in html
    assert html.count("<script") == 2
    rows = rows_of(page.with_suffix("") / "scores.csv")
    assert rows[0]["id"] == HOSTILE[0]
    assert rows[4]["id"] == "bad\\xff.png"


def test_a_finding_is_shown_with_its_pictures(make: Callable[..., Path], scored: ScoredSet) -> None:
    finding = Finding(
        check="border",
        severity="warning",
        title="Most of the error lies at the border.",
        evidence="83 % of it.",
        action="Crop the pictures, with --resize crop.",
        table=[{"class": "blob", "share": 0.83}],
        pictures=[
            Picture(origin="scored", position=3, id="3", note="a border"),
            Picture(origin="training", position=0, id="0", note="not at hand"),
        ],
    )
    page = make(scored, findings=[finding])
    said = text_of(page)
    assert "Most of the error lies at the border." in said
    assert "a border" in said
    assert "not at hand" not in said
    assert json.loads((page.with_suffix("") / "findings.json").read_text())[0]["check"] == "border"
    assert rows_of(page.with_suffix("") / "advice-1-border.csv") == [
        {"class": "blob", "share": "0.83"}
    ]


def test_further_sections_stand_where_they_ask_to(
    make: Callable[..., Path], scored: ScoredSet
) -> None:
    table = TableBlock("claims", "Claims", "", ("claim", "value"), [("AUROC", 1.0)])
    page = make(
        scored,
        sections=[
            Section("claimed", "Claimed and measured", "", [table], early=True),
            Section("late", "Late", "", [TextBlock("the last word")]),
        ],
    )
    anchors = re.findall(r'<section id="([\w-]+)"', page.read_text(encoding="utf-8"))
    assert anchors[:2] == ["verdict", "claimed"]
    assert anchors[-2:] == ["late", "recipe"]
    assert rows_of(page.with_suffix("") / "claims.csv") == [{"claim": "AUROC", "value": "1.0"}]


def test_two_tables_of_one_name_are_refused(make: Callable[..., Path], scored: ScoredSet) -> None:
    table = TableBlock("sweep", "Mine", "", ("a",), [(1,)])
    with pytest.raises(ConfigurationError, match="'sweep'"):
        make(scored, sections=[Section("mine", "Mine", "", [table])])


def test_what_an_earlier_report_left_is_deleted_and_nothing_else(
    make: Callable[..., Path], scored: ScoredSet
) -> None:
    table = TableBlock("old", "Old", "", ("a",), [(1,)])
    page = make(scored, sections=[Section("old", "Old", "", [table])])
    folder = page.with_suffix("")
    (folder / "mine.txt").write_text("notes")
    assert (folder / "old.csv").exists()
    make(scored)
    assert not (folder / "old.csv").exists()
    assert (folder / "mine.txt").read_text() == "notes"


def test_a_folder_of_other_things_is_left_alone(
    make: Callable[..., Path], scored: ScoredSet, tmp_path: Path
) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "scores.csv").write_text("mine")
    with pytest.raises(OutputError, match="other files"):
        make(scored)
    assert (tmp_path / "report" / "scores.csv").read_text() == "mine"


def test_the_file_must_be_html_in_a_folder_that_exists(scored: ScoredSet, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\.html"):
        write.check_report(tmp_path / "report.pdf")
    with pytest.raises(OutputError, match="does not exist"):
        write.check_report(tmp_path / "none" / "report.html")


def test_a_page_that_would_be_too_large_is_made_to_fit(
    make: Callable[..., Path], scored: ScoredSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = make(scored).stat().st_size
    monkeypatch.setattr(write, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(write, "_LEAST_GALLERY", 150_000)
    page = make(scored)
    assert page.stat().st_size <= 1_000_000 < full
    assert '<img alt="' in page.read_text(encoding="utf-8")
