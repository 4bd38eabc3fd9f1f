from __future__ import annotations

import hashlib
import inspect
from pathlib import Path

import pytest

from residua import AutoencoderDetector
from residua.bundle import open_bundle
from residua.manifest import Manifest
from residua.report.recipe import DEFAULTS, Recipe, recipe_of


@pytest.fixture
def manifest(bundle: Path) -> Manifest:
    return open_bundle(bundle).manifest


def changed(manifest: Manifest, **settings: object) -> Recipe:
    altered = manifest.settings.model_copy(update=settings)
    return recipe_of(manifest.model_copy(update={"settings": altered}))


def test_the_defaults_are_the_detectors() -> None:
    parameters = inspect.signature(AutoencoderDetector).parameters
    for setting, value in DEFAULTS.items():
        name = {"seed": "random_state", "score": "scoring"}.get(setting, setting)
        assert parameters[name].default == value, setting


def test_every_setting_has_a_default(manifest: Manifest) -> None:
    assert set(type(manifest.settings).model_fields) == set(DEFAULTS)


def test_the_python_lines_build_the_same_detector(manifest: Manifest) -> None:
    lines = recipe_of(manifest).python.split(".fit(")[0]
    scope: dict[str, object] = {}
    exec(lines, scope)
    built = scope["detector"]
    assert built.epochs == manifest.settings.epochs == 12
    assert built.precision == "float32"
    assert built.threshold == manifest.settings.threshold


def test_the_command_names_what_was_changed_and_nothing_else(manifest: Manifest) -> None:
    first, second = recipe_of(manifest, bundle=None, training="good/", data=["new/"]).command.split(
        "\n"
    )
    assert first == "residua fit good/ -o model.residua --epochs 12 --precision float32"
    assert second == "residua report model.residua new/"


def test_words_that_a_shell_would_read_are_quoted(manifest: Manifest) -> None:
    recipe = changed(manifest, threshold="mad(4)", image_size=(64, 48), value_range=(0.0, 2.5))
    assert "--threshold 'mad(4)'" in recipe.command
    assert "--size 64x48" in recipe.command
    assert "--value-range 0.0 2.5" in recipe.command
    assert "'my parts/'" in recipe_of(manifest, training="my parts/").command


def test_settings_without_an_option_send_the_reader_to_python(manifest: Manifest) -> None:
    recipe = changed(manifest, validation_fraction=0.2)
    assert recipe.command.startswith("# set from Python only, so use that: validation_fraction")
    assert "validation_fraction=0.2" in recipe.python


def test_the_facts_hold_seed_versions_and_checksums(manifest: Manifest, bundle: Path) -> None:
    facts = recipe_of(manifest, bundle=bundle).facts
    assert facts["seed"] == "0"
    assert facts["threads"].startswith(f"{manifest.threads} thread")
    assert facts["SHA-256 of the training pixels"] == manifest.data.fingerprint
    digest = hashlib.sha256((bundle / "SHA256SUMS").read_bytes()).hexdigest()
    assert digest in facts.values()
    assert facts["version of residua"] == manifest.versions["residua"]


def test_of_many_files_only_the_first_are_written_out(manifest: Manifest) -> None:
    last = recipe_of(manifest, data=[f"{n}.png" for n in range(100)]).command.split("\n")[-1]
    assert "4.png" in last
    assert "5.png" not in last
    assert "…" in last
