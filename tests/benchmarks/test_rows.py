from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from quality import __main__ as command
from quality import protocols
from quality.baselines import BASELINES
from quality.rows import NOTES, ROWS, Row
from quality.singles import no_singles
from residua import AutoencoderDetector
from residua.images.datasets import DATASETS
from residua.images.source import ArraySource

from .conftest import FakeDetector, make_pictures, make_row

ALLOWED = {"random_state", "image_size", "epochs", "model", "model_options"}


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_a_row_sets_nothing_of_the_detector_that_would_be_tuning(row: Row) -> None:
    parameters = row.parameters(3, "weights.onnx", quick=False)
    assert set(parameters) <= ALLOWED
    assert parameters["random_state"] == 3
    assert ("model" in parameters) is row.features
    AutoencoderDetector(**parameters)


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.name)
def test_a_row_names_notes_and_baselines_that_there_are(row: Row) -> None:
    assert {note for goal in row.goals for note in goal.notes} <= set(NOTES)
    assert set(row.baselines) <= set(BASELINES)


def test_rows_are_chosen_by_how_their_names_begin() -> None:
    names = [row.name for row in command.rows_named("magnetic-tile,mnist-fashion")]
    assert names == ["mnist-fashion", "magnetic-tile-scratch", "magnetic-tile-features"]
    with pytest.raises(argparse.ArgumentTypeError, match="no row is called 'cifar'"):
        command.rows_named("cifar")


def test_the_command_measures_once_and_writes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"one": make_row("one"), "two": make_row("two")}
    monkeypatch.setattr(command, "ROWS", rows)
    monkeypatch.setattr("residua.AutoencoderDetector", FakeDetector, raising=False)
    monkeypatch.setattr(command, "single_scores", no_singles)
    places = ["--kept", str(tmp_path / "kept"), "--docs", str(tmp_path / "docs"), "--seeds", "0"]
    assert command.main([*places, "--rows", "one"]) == 0
    assert (tmp_path / "docs" / "quality.md").read_text().count("not measured") == 1
    # The page's own results are enough to go on from.
    (tmp_path / "kept" / "results.jsonl").unlink()
    capsys.readouterr()
    assert command.main(places) == 0
    assert "1 fits to make" in capsys.readouterr().err
    text = (tmp_path / "docs" / "quality.md").read_text()
    assert "not measured" not in text
    assert command.main([*places, "--page"]) == 0
    assert (tmp_path / "docs" / "quality.md").read_text() == text


def test_fewer_pictures_keep_both_sides() -> None:
    found = protocols.fewer(make_pictures(), trusted=30, each_side=20, seed=1)
    assert (len(found.trusted), len(found.test)) == (30, 40)
    assert found.anomalous.sum() == 20


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two data sets of 3 training and 6 test pictures: a, b and c in turn."""

    def load(name: str, split: str) -> ArraySource:
        count = 3 if split == "train" else 6
        level = {"this": 10, "that": 200}[name]
        images = np.full((count, 8, 8), level, np.uint8)
        return ArraySource(images, labels=["abc"[i % 3] for i in range(count)])

    monkeypatch.setattr(protocols, "load_dataset", load)


@pytest.mark.usefixtures("letters")
def test_one_data_set_against_another_trains_on_the_first_alone() -> None:
    found = protocols.against("this", "that")("all", 0)
    assert len(found.trusted) == 3
    assert found.anomalous.tolist() == [False] * 6 + [True] * 6
    assert found.test.labels is not None
    assert found.test.labels[6] == "that/a"


@pytest.mark.usefixtures("letters")
def test_one_class_trains_on_its_own_pictures_and_tests_on_all() -> None:
    found = protocols.one_class("this", {"second": "b"})("second", 0)
    assert found.trusted.labels is not None
    assert list(found.trusted.labels) == ["b"]
    assert found.anomalous.tolist() == [True, False, True] * 2


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("mnist-fashion", (60_000, 10_000, 10_000)),
        ("magnetic-tile-scratch", (666, 286, 392)),
        ("mnist-one-class", (5_923, 980, 9_020)),
    ],
)
def test_published_pictures_give_the_numbers_of_the_protocol(
    name: str, counts: tuple[int, int, int]
) -> None:
    sets = ["magnetic-tile"] if "tile" in name else ["mnist", "fashion-mnist"]
    if not all(DATASETS[each].on_disk() for each in sets):
        pytest.skip(f"{' and '.join(sets)} are not on disk; RESIDUA_DATA names another folder")
    row = ROWS[name]
    found = row.pictures(row.cases[0], 0)
    assert (len(found.trusted), sum(~found.anomalous), sum(found.anomalous)) == counts
