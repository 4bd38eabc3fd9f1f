"""What may be said of a model that rebuilds features, and of which x_hat is a view of the code."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector
from residua.errors import ResiduaWarning
from residua.evaluation.evaluate import Evaluation, evaluate
from residua.evaluation.scored import ScoredSet, score_source
from residua.images.source import ArraySource
from residua.report.fitted import fitted_section
from residua.report.page.gallery import gallery_of
from residua.report.recipe import recipe_of
from residua.report.sections import FigureBlock, Section, TableBlock
from residua.report.seeing import seeing_section
from residua.summary import facts


@pytest.fixture(scope="module")
def found(blobs: NDArray[np.uint8], backbone: Path) -> AutoencoderDetector:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        return AutoencoderDetector(
            "features",
            model_options={"backbone": str(backbone)},
            image_size=64,
            epochs=2,
            precision="float32",
            on_failed_fit="warn",
        ).fit(blobs[:80])


@pytest.fixture(scope="module")
def scored(found: AutoencoderDetector, blobs: Any, stripes: Any) -> ScoredSet:
    source = ArraySource(np.concatenate([blobs[80:110], stripes]))
    return score_source(found, source, truth=np.arange(50) >= 30)


@pytest.fixture(scope="module")
def evaluation(found: AutoencoderDetector, scored: ScoredSet) -> Evaluation:
    return evaluate(scored, model=found, n_resamples=50)


def test_no_quality_of_rebuilt_pixels_is_measured(evaluation: Evaluation) -> None:
    assert evaluation.rebuilding is None
    assert "rebuilds features" in evaluation.unavailable["rebuilding"]


def test_what_it_sees_is_no_reconstruction(found: AutoencoderDetector, scored: ScoredSet) -> None:
    section = seeing_section(found, scored)
    names = {block.name: block for block in section.blocks if isinstance(block, FigureBlock)}
    assert "differences" not in names
    assert "features" in section.intro
    view = names["reconstructions"]
    assert view.title == "What the codes stand for"
    assert "No score depends on it" in view.how_to_read
    assert "view of code" in view.display.plot().svg()
    assert "rebuilt" not in view.display.title


def test_a_model_of_pixels_has_its_reconstructions(
    detector: AutoencoderDetector, blobs: Any, stripes: Any
) -> None:
    source = ArraySource(np.concatenate([blobs[:20], stripes]))
    scored = score_source(detector, source)
    names = [
        block.name
        for block in seeing_section(detector, scored).blocks
        if isinstance(block, FigureBlock)
    ]
    assert names[:3] == ["differences", "heat-maps", "reconstructions"]
    assert gallery_of(detector, scored, most=4, budget=10**6).rebuilt == "reconstruction"


def test_the_record_of_the_fit_speaks_of_features(
    found: AutoencoderDetector, scored: ScoredSet, evaluation: Evaluation
) -> None:
    section: Section = fitted_section(scored, evaluation)
    table = next(b for b in section.blocks if isinstance(b, TableBlock) and b.name == "rebuilding")
    assert all("features" in str(row[0]) for row in table.rows)
    assert "not smaller" not in table.note
    assert "The score is surprise: errors of the feature maps" in section.intro
    said = facts(found.manifest_)
    assert "of standardised features" in said["mean squared error"]
    assert "PCA" not in said["mean squared error"]
    assert "descriptor" in said["score"]


def test_the_gallery_calls_it_a_view_of_the_code(
    found: AutoencoderDetector, scored: ScoredSet
) -> None:
    assert gallery_of(found, scored, most=4, budget=10**6).rebuilt == "view of the code"


def test_the_recipe_names_the_backbone(found: AutoencoderDetector, backbone: Path) -> None:
    recipe = recipe_of(found.manifest_)
    assert "--model features" in recipe.command
    assert f"--backbone {backbone}" in recipe.command
    assert "--reduction" not in recipe.command
    assert "model_options" not in recipe.command
