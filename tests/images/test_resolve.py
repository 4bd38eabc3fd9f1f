from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import DatasetUnavailable, EmptySource, InputError, UnreadableFile
from residua.images import resolve
from residua.images.datasets import DATASETS
from residua.images.resolve import Part, resolve_source
from residua.images.source import ArraySource, FileSource, PillowSource


def save_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (12, 9), 128).save(path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    """A folder in the MVTec AD layout: two pictures to train on, three to test on."""
    root = tmp_path / "bottle"
    for name in ("train/good/0", "train/good/1", "test/good/0", "test/crack/0", "test/crack/1"):
        save_picture(root / f"{name}.png")
    save_picture(root / "ground_truth/crack/0_mask.png")
    save_picture(root / "ground_truth/crack/1_mask.png")
    return root


@pytest.mark.parametrize(("prefer", "count"), [(None, 1797), ("train", 1200), ("test", 597)])
def test_a_name_means_the_data_set_and_the_preferred_split_of_it(
    here: Path, prefer: Part | None, count: int
) -> None:
    assert len(resolve_source("digits", prefer=prefer)) == count


@pytest.fixture
def five_tiles(monkeypatch: pytest.MonkeyPatch) -> ArraySource:
    """Five pictures, two of them sound, in the place of the magnetic tiles."""
    labels = ["Free", "Crack", "Free", "Fray", "Break"]
    source = ArraySource(np.zeros((5, 9, 9), np.uint8), labels=labels)
    tiles = replace(DATASETS["magnetic-tile"], open=lambda split: source)
    monkeypatch.setattr(resolve, "DATASETS", {"magnetic-tile": tiles})
    return source


def test_a_data_set_without_splits_is_tested_whole(here: Path, five_tiles: ArraySource) -> None:
    assert resolve_source("magnetic-tile", prefer="test") is five_tiles
    assert resolve_source("magnetic-tile") is five_tiles


def test_a_fit_leaves_out_the_classes_that_are_known_to_be_anomalous(
    here: Path, five_tiles: ArraySource
) -> None:
    trusted = resolve_source("magnetic-tile", prefer="train")
    assert list(trusted.ids) == ["0", "2"]
    assert list(trusted.labels or ()) == ["Free", "Free"]


def test_a_name_of_a_data_set_that_is_not_there_says_how_to_get_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESIDUA_DATA", str(here))
    with pytest.raises(DatasetUnavailable, match="'magnetic-tile' is not on disk"):
        resolve_source("magnetic-tile")


def test_a_folder_wins_over_a_data_set_of_its_name(here: Path) -> None:
    save_picture(here / "mnist/mine.png")
    source = resolve_source("mnist", prefer="train")
    assert list(source.ids) == ["mine.png"]


def test_a_file_wins_over_a_data_set_of_its_name(here: Path) -> None:
    Image.new("L", (12, 9)).save(here / "digits", "PNG")
    assert len(resolve_source("digits")) == 1


def test_an_empty_folder_does_not_fall_back_to_the_data_set_of_its_name(here: Path) -> None:
    (here / "digits").mkdir()
    with pytest.raises(EmptySource):
        resolve_source("digits")


def test_a_path_object_never_means_a_data_set(here: Path) -> None:
    with pytest.raises(UnreadableFile, match="does not exist"):
        resolve_source(Path("digits"))


@pytest.mark.parametrize("as_given", [str, Path])
@pytest.mark.parametrize(
    ("prefer", "labels"),
    [
        ("train", ["good"] * 2),
        ("test", ["crack"] * 2 + ["good"]),
        (None, ["good"] * 2 + ["crack"] * 2 + ["good"]),
    ],
)
def test_the_mvtec_layout_gives_the_preferred_part(
    mvtec: Path, as_given: Callable[[Path], str | Path], prefer: Part | None, labels: list[str]
) -> None:
    assert list(resolve_source(as_given(mvtec), prefer=prefer).labels or ()) == labels


def test_the_preferred_test_part_keeps_its_masks(mvtec: Path) -> None:
    source = resolve_source(mvtec, prefer="test")
    assert [source.mask(index) is not None for index in range(3)] == [True, True, False]


def test_a_plain_folder_is_taken_whole_whatever_is_preferred(tmp_path: Path) -> None:
    save_picture(tmp_path / "train/cat/0.png")
    save_picture(tmp_path / "other/cat/0.png")
    assert len(resolve_source(tmp_path, prefer="train")) == 2


@pytest.mark.parametrize(("text", "nearest"), [("minst", "'mnist'"), ("surface", "'surfaces'")])
def test_an_unknown_text_offers_the_nearest_data_set(here: Path, text: str, nearest: str) -> None:
    with pytest.raises(UnreadableFile, match=f"'{text}' is no file, folder or data set here") as e:
        resolve_source(text)
    assert f"did you mean {nearest}" in str(e.value)


def test_a_missing_path_is_named_without_talk_of_data_sets(here: Path) -> None:
    with pytest.raises(UnreadableFile, match="no/such does not exist") as error:
        resolve_source("no/such")
    assert "data set" not in str(error.value)


def test_a_source_passes_through() -> None:
    source = ArraySource(np.zeros((2, 9, 9), np.uint8))
    assert resolve_source(source, prefer="test") is source


def test_arrays_pictures_and_lists_of_paths_become_their_sources(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    assert isinstance(resolve_source(np.zeros((2, 9, 9), np.uint8), prefer="train"), ArraySource)
    assert isinstance(resolve_source([Image.new("L", (9, 9))], prefer="test"), PillowSource)
    assert isinstance(resolve_source([tmp_path / "a.png"], prefer="test"), FileSource)


def test_what_holds_no_pictures_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be read from a int"):
        resolve_source(7)
