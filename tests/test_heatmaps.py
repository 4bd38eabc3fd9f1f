from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from residua.errors import OutputError
from residua.heatmaps import colourise, overlay, save_overlay


def test_a_larger_error_is_lighter() -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[None]
    lightness = colourise(ramp, 1.0)[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()


def test_the_ceiling_and_above_are_brightest() -> None:
    colours = colourise(np.array([[1.0, 5.0]], np.float32), 1.0)
    assert np.array_equal(colours[0, 0], colours[0, 1])


def test_a_map_without_any_error_and_without_scale_is_dark() -> None:
    assert colourise(np.zeros((2, 2), np.float32), 0.0).max() < 50


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_an_overlay_is_rgb_and_large_enough_to_see(channels: int) -> None:
    image = np.full((28, 20, channels), 128, np.uint8)
    picture = overlay(image, np.zeros((28, 20), np.float32), 1.0)
    assert picture.mode == "RGB"
    assert picture.size == (160, 224)


def test_a_large_picture_is_not_enlarged() -> None:
    image = np.zeros((300, 400, 1), np.uint8)
    assert overlay(image, np.zeros((300, 400), np.float32), 1.0).size == (400, 300)


@pytest.mark.parametrize("name", ["a/b.jpg", "../../up.png", "/etc/absolute.png", ".", "7"])
def test_no_id_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    picture = overlay(np.zeros((8, 8, 1), np.uint8), np.zeros((8, 8), np.float32), 1.0)
    written = save_overlay(tmp_path / "maps", name, picture)
    assert written.resolve().is_relative_to((tmp_path / "maps").resolve())
    assert written.is_file()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("a file")
    picture = overlay(np.zeros((8, 8, 1), np.uint8), np.zeros((8, 8), np.float32), 1.0)
    with pytest.raises(OutputError):
        save_overlay(tmp_path / "maps", "a.png", picture)


def test_long_and_climbing_ids_have_maps_of_their_own(tmp_path: Path) -> None:
    picture = overlay(np.zeros((8, 8, 1), np.uint8), np.zeros((8, 8), np.float32), 1.0)
    names = ["a.png", "../a.png", "x" * 255, "x" * 254 + "y"]
    assert len({save_overlay(tmp_path, name, picture) for name in names}) == 4
