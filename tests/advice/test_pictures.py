from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from residua.advice.border import error_at_border
from residua.advice.files import odd_shapes, unreadable_files
from residua.advice.plain import colour_against_grey, constant_pictures
from residua.images.source import FileSource, PillowSource


def test_error_at_the_border_advises_to_cut_it(study_of: Any, noise: Any) -> None:
    flags = np.arange(60) < 20
    border = np.where(flags, 0.85, 0.4)
    study = study_of(noise(60), scores=np.where(flags, 2.0, 0.5), border=border)
    found = error_at_border(study)
    assert found.severity == "advice"
    assert found.numbers["times_denser"] > 1.5
    assert "--resize crop" not in found.action  # the pictures are square: it would do nothing
    assert len(found.pictures) == 8
    assert all(picture.heat_map for picture in found.pictures)


def test_wide_pictures_are_advised_to_be_cropped(study_of: Any, noise: Any) -> None:
    wide = np.concatenate([noise(60), noise(60, seed=1)], axis=2)
    found = error_at_border(study_of(wide, border=np.full(60, 0.9)))
    assert "--resize crop" in found.action


def test_error_spread_over_the_picture_is_fine(study_of: Any, noise: Any) -> None:
    assert error_at_border(study_of(noise(60), border=np.full(60, 0.44))).severity == "fine"


def test_constant_pictures_are_found_with_what_becomes_of_them(study_of: Any, noise: Any) -> None:
    images = noise(30)
    images[:3] = 128
    found = constant_pictures(study_of(images, scores=np.full(30, 0.1)))
    assert (found.severity, found.numbers["constant"]) == ("advice", 3)
    assert found.numbers["constant_unflagged"] == 3


def test_pictures_with_contrast_are_fine(study_of: Any, noise: Any) -> None:
    assert constant_pictures(study_of(noise(30))).severity == "fine"


def test_colour_pictures_for_a_grey_model_are_found(study_of: Any, noise: Any) -> None:
    found = colour_against_grey(study_of(noise(30, channels=3)))
    assert found.severity == "advice"
    assert found.numbers["colour_share"] == 1


def test_grey_pictures_for_a_grey_model_are_fine(study_of: Any, noise: Any) -> None:
    assert colour_against_grey(study_of(noise(30))).severity == "fine"


def test_grey_pictures_among_colour_are_found(study_of: Any, noise: Any) -> None:
    images = noise(30, channels=3)
    images[:4] = images[:4, :, :, :1]
    found = colour_against_grey(study_of(images, spec={"channels": 3}))
    assert (found.severity, found.numbers["grey"]) == ("advice", 4)


def test_colour_pictures_for_a_colour_model_are_fine(study_of: Any, noise: Any) -> None:
    study = study_of(noise(30, channels=3), spec={"channels": 3})
    assert colour_against_grey(study).severity == "fine"


def test_unreadable_files_are_counted_by_cause(study_of: Any, noise: Any, tmp_path: Path) -> None:
    paths = []
    for number, image in enumerate(noise(8)):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    paths[2].write_bytes(paths[2].read_bytes()[:60])
    paths.append(tmp_path / "missing.png")
    found = unreadable_files(study_of(FileSource(paths)))
    assert (found.severity, found.numbers["unreadable"]) == ("warning", 2)
    assert {row["cause"] for row in found.table} == {"DamagedImage", "UnreadableFile"}


def test_readable_files_are_fine(study_of: Any, noise: Any) -> None:
    assert unreadable_files(study_of(noise(8))).severity == "fine"


def test_odd_shapes_and_small_pictures_are_found(study_of: Any, noise: Any) -> None:
    images = [Image.fromarray(image) for image in noise(18)]
    images += [Image.new("L", (64, 16), 90), Image.new("L", (6, 6), 90)]
    found = odd_shapes(study_of(PillowSource(images)))
    assert found.severity == "advice"
    assert (found.numbers["odd_aspect"], found.numbers["too_small"]) == (1, 1)
    assert "--resize" in found.action


def test_pictures_of_the_models_size_are_fine(study_of: Any, noise: Any) -> None:
    assert odd_shapes(study_of(noise(18))).severity == "fine"
