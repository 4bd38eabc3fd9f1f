from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from residua import AutoencoderDetector
from residua.errors import CollapsedCode, ConfoundedScore, ResiduaWarning
from residua.graph import ScoringGraph
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource
from residua.images.splits import HeldOut, holdout
from residua.material import Material, material_of
from residua.models import Autoencoder
from residua.normality import calibrate, fitted_score, warn_if_confounded
from residua.scoring.score import PictureScore

DATA = os.environ.get("RESIDUA_DATA")


class Watched:
    """Pictures that remember which rows were asked for."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels, self.rows = pixels, set[int]()
        self.shape, self.ndim = pixels.shape, pixels.ndim

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        self.rows |= set(np.atleast_1d(rows).tolist())
        return self.pixels[rows]


class Constant(Autoencoder):
    """A network that gives all pictures one code and one reconstruction."""

    def __init__(self) -> None:
        super().__init__(1, 16, 16, 8)
        self.weight = torch.nn.Parameter(torch.ones(1))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight.expand(len(x), self.latent_dim)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(latent), 1, 16, 16)


def made(pixels: NDArray[np.uint8], **settings: Any) -> tuple[Material, Autoencoder, HeldOut]:
    """A network with fresh weights, its material, and the pictures' parts."""
    source = ArraySource(pixels)
    material = material_of(AutoencoderDetector(**settings).settings_for(source))
    material.meet(source.suggest_spec())
    torch.manual_seed(0)
    return material, material.build().eval(), holdout(len(pixels), (0.2, 0.1), 0)


def grainy(n: int = 240) -> NDArray[np.uint8]:
    """Levels of grey under grain: the level can be learned, the grain cannot."""
    rng = np.random.default_rng(0)
    level = rng.integers(40, 216, (n, 1, 1))
    grain = rng.normal(0, 30, (n, 16, 16))
    return np.clip(level + grain, 0, 255).astype(np.uint8)


def warnings_of(pixels: Any, **settings: Any) -> list[str]:
    """What a short fit says of confounding."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AutoencoderDetector(**{"epochs": 3, "on_failed_fit": "warn"} | settings).fit(pixels)
    return [str(one.message) for one in caught if issubclass(one.category, ConfoundedScore)]


@pytest.mark.parametrize("score", ["surprise", "normalised", "knn"])
def test_pictures_of_the_calibration_have_no_part_in_the_score(
    score: str, blobs: NDArray[np.uint8]
) -> None:
    pixels = blobs[..., None]
    material, model, parts = made(pixels, scoring=score)
    watched = Watched(pixels)
    fitted = fitted_score(material, model, watched, parts)  # type: ignore[arg-type]
    wanted = set(parts.train.tolist())
    wanted |= set(parts.validation.tolist()) if score == "surprise" else set()
    assert watched.rows == wanted
    # Nor in the search for a score that stands simple pictures.
    watched.rows.clear()
    graph = ScoringGraph(model, fitted).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        warn_if_confounded(graph, material, watched, watched, parts)  # type: ignore[arg-type]
    watched.rows.discard(0)  # whose size was asked for
    assert not watched.rows & set(parts.calibration.tolist()) - {0}


def test_of_many_pictures_a_seeded_draw_says_what_is_usual(blobs: NDArray[np.uint8]) -> None:
    pixels = blobs[..., None]
    material, model, parts = made(pixels)
    watched = Watched(pixels)
    first = fitted_score(material, model, watched, parts, most=20)  # type: ignore[arg-type]
    assert len(watched.rows) == 40
    again = fitted_score(material, model, pixels, parts, most=20)
    assert all(
        torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items()
    )


def test_a_collapsed_code_is_warned_of_and_scores_stay_finite(blobs: NDArray[np.uint8]) -> None:
    pixels = blobs[..., None]
    material, _, parts = made(pixels)
    model = Constant().eval()
    with pytest.warns(CollapsedCode, match=r"the same 8 numbers.*learning rate.*score 'relative'"):
        score = fitted_score(material, model, pixels, parts)
    with torch.inference_mode():
        scores = ScoringGraph(model, score).eval()(torch.from_numpy(pixels))[0]
    assert torch.isfinite(scores).all()


def test_where_the_score_does_not_look_at_the_code_its_collapse_is_no_matter(
    blobs: NDArray[np.uint8],
) -> None:
    material, _, parts = made(blobs[..., None], scoring="relative")
    fitted_score(material, Constant().eval(), blobs[..., None], parts)  # warnings are errors here


def test_calibration_scores_are_those_of_its_pictures_alone(blobs: NDArray[np.uint8]) -> None:
    pixels = blobs[..., None]
    material, model, parts = made(pixels)
    graph = ScoringGraph(model, fitted_score(material, model, pixels, parts)).eval()
    watched = Watched(pixels)
    spec = InputSpec(height=16, width=16, channels=1)
    scores, ceiling = calibrate(graph, watched, parts.calibration, spec)  # type: ignore[arg-type]
    assert watched.rows == set(parts.calibration.tolist())
    with torch.inference_mode():
        expected, maps, _, _ = graph(torch.from_numpy(pixels[parts.calibration]))
    np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-6)
    assert ceiling == pytest.approx(float(np.quantile(maps, 0.999)), rel=1e-5)


def test_an_error_that_follows_the_grain_is_warned_of_and_a_better_score_named() -> None:
    (said,) = warnings_of(grainy(), scoring="error")
    assert "the score 'error' follows how much there is in a picture: constant pictures" in said
    assert "--score '" in said


def test_the_default_score_of_blobs_is_not_warned_of(blobs: NDArray[np.uint8]) -> None:
    assert warnings_of(np.concatenate([blobs, blobs[::-1, ::-1]])) == []


def test_with_few_held_out_pictures_nothing_is_said() -> None:
    assert warnings_of(grainy(100), scoring="error") == []


@pytest.mark.parametrize("n", [6, 8])
def test_a_handful_of_pictures_is_fitted_with_finite_scores(n: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        fitted = AutoencoderDetector(epochs=1, on_failed_fit="warn").fit(pixels)
    plain = np.stack([np.full((8, 8), level, np.uint8) for level in (0, 128, 255)])
    assert np.isfinite(fitted.anomaly_scores(np.concatenate([pixels, plain]))).all()


@pytest.mark.skipif(
    not (DATA and (Path(DATA) / "fashion-mnist").is_dir()),
    reason="Fashion-MNIST is not on disk; RESIDUA_DATA names its folder",
)
def test_the_trap_of_cross_entropy_on_clothes_is_seen() -> None:
    from residua import load_dataset

    clothes = load_dataset("fashion-mnist", "train").take(range(2_000))
    (said,) = warnings_of(
        clothes, model="seed-mnist", loss="bce", error_map="bce", scoring="error", epochs=2
    )
    assert "--score '" in said


def test_a_score_that_learns_nothing_is_shown_no_pictures(
    blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(self: PictureScore, *_: object) -> None:
        raise AssertionError(f"{self.name} was shown pictures")

    monkeypatch.setattr(PictureScore, "fit", fit)
    settings = {"epochs": 1, "on_failed_fit": "warn"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        AutoencoderDetector(scoring="error", **settings).fit(blobs[:40])
        with pytest.raises(AssertionError, match="relative was shown pictures"):
            AutoencoderDetector(scoring="relative", **settings).fit(blobs[:40])
