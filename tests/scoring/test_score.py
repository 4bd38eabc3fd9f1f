from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from residua.errors import ConfigurationError, UnknownName
from residua.scoring.errors import ImageScore
from residua.scoring.names import MAX_CODE, SCORES, SURPRISE
from residua.scoring.parts import NearestNeighbours, Seen, Usual
from residua.scoring.score import PARTS, Observe, PictureScore, picture_score

SIDE, CODE, COUNT = 12, 4, 80
TRAINING, VALIDATION = np.arange(50), np.arange(50, COUNT)


class Pictures:
    """Pictures with reconstructions and codes, all drawn at random; says which rows were seen."""

    def __init__(self, seed: int = 0, unit: float = 1.0) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.x = torch.rand(COUNT, 1, SIDE, SIDE, generator=draw)
        wrong = torch.rand(COUNT, 1, 1, 1, generator=draw) + 0.2
        noise = torch.randn(COUNT, 1, SIDE, SIDE, generator=draw)
        self.x_hat = self.x + 0.1 * wrong * noise
        self.latent = torch.randn(COUNT, CODE, generator=draw)
        self.seen: list[NDArray[np.int64]] = []

    def observe(self, rows: NDArray[np.int64]) -> Iterator[tuple[torch.Tensor, ...]]:
        self.seen.append(rows)
        for start in range(0, len(rows), 16):
            part = rows[start : start + 16]
            yield self.x[part], self.x_hat[part], self.latent[part]

    def scores(self, score: PictureScore) -> NDArray[np.float64]:
        found: NDArray[np.float64] = score(self.x, self.x_hat, self.latent)[1].numpy()
        return found


class Scaled(torch.nn.Module):
    """The error in another unit."""

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.error, self.unit = ImageScore(), unit

    def forward(self, x: torch.Tensor, x_hat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        error_map, error = self.error(x, x_hat)
        return self.unit * error_map, self.unit * error


def fitted(
    name: str = SURPRISE,
    pictures: Pictures | None = None,
    validation: NDArray[np.int64] = VALIDATION,
    error: torch.nn.Module | None = None,
) -> PictureScore:
    score = picture_score(score=name, code_size=CODE)
    if error is not None:
        score.error = error
    score.fit((pictures or Pictures()).observe, TRAINING, validation, 0)  # type: ignore[arg-type]
    return score


def test_every_score_that_is_described_can_be_built() -> None:
    assert {SURPRISE, *PARTS} == set(SCORES)
    assert [picture_score(score=name).name for name in SCORES] == list(SCORES)


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_finite_float64_beside_the_error_map(name: str) -> None:
    pictures = Pictures()
    error_map, scores = fitted(name)(pictures.x, pictures.x_hat, pictures.latent)
    assert torch.equal(error_map, ImageScore()(pictures.x, pictures.x_hat)[0])
    assert (scores.shape, scores.dtype) == ((COUNT,), torch.float64)
    assert torch.isfinite(scores).all()


@pytest.mark.parametrize("name", SCORES)
def test_a_picture_has_the_same_score_alone_and_in_a_batch(name: str) -> None:
    pictures, score = Pictures(), fitted(name)
    alone = [
        score(pictures.x[i : i + 1], pictures.x_hat[i : i + 1], pictures.latent[i : i + 1])[1]
        for i in range(5)
    ]
    np.testing.assert_allclose(torch.cat(alone), pictures.scores(score)[:5], rtol=1e-6, atol=1e-6)


def test_a_score_of_one_part_is_that_part() -> None:
    pictures = Pictures()
    by_hand = ImageScore()(pictures.x, pictures.x_hat)[1]
    assert np.array_equal(pictures.scores(fitted("error")), by_hand)


def test_normal_pictures_have_about_no_surprise_on_a_scale_of_standard_deviations() -> None:
    scores = Pictures().scores(fitted())
    assert abs(scores[VALIDATION].mean()) < 0.6
    assert 0.3 < scores[VALIDATION].std() < 1.5


@pytest.mark.parametrize("strange", ["error", "code"])
def test_a_picture_that_is_strange_in_one_way_only_is_surprising(strange: str) -> None:
    score, pictures = fitted(), Pictures(seed=1)
    if strange == "error":
        pictures.x_hat = pictures.x + 5 * (pictures.x_hat - pictures.x)
    else:
        pictures.latent = pictures.latent + 40
    assert np.median(pictures.scores(score)) > Pictures().scores(score)[VALIDATION].max()


def test_surprise_is_the_soft_maximum_of_its_parts() -> None:
    pictures, score = Pictures(), fitted()
    seen = Seen(
        pictures.x,
        pictures.x_hat,
        pictures.latent,
        *ImageScore()(pictures.x, pictures.x_hat),
    )
    levels = [
        (np.log(part(seen).numpy()) - float(place)) / float(spread)
        for part, place, spread in zip(score.parts, score.place, score.spread, strict=True)
    ]
    expected = np.log(np.mean(np.exp(levels), axis=0))
    np.testing.assert_allclose(pictures.scores(score), expected, rtol=1e-9, atol=1e-9)
    assert (pictures.scores(score) <= np.max(levels, axis=0) + 1e-12).all()
    assert (pictures.scores(score) >= np.mean(levels, axis=0) - 1e-12).all()


@pytest.mark.parametrize("error_map", ["squared", "absolute"])
@pytest.mark.parametrize("name", ["relative", "worst", "normalised_relative"])
def test_contrast_alone_moves_a_relative_score_neither_way(name: str, error_map: str) -> None:
    pictures, score = Pictures(), picture_score(error_map, "mean", name)
    score.fit(pictures.observe, TRAINING, VALIDATION, 0)  # type: ignore[arg-type]
    floor = next(part for part in score.parts).floor
    floor.zero_()  # what is added to the content of a plain picture is all that is left
    before = pictures.scores(score)
    pictures.x, pictures.x_hat = pictures.x / 4, pictures.x_hat / 4
    np.testing.assert_allclose(pictures.scores(score), before, rtol=1e-5)


@pytest.mark.parametrize("unit", [255.0**2, 1e-3])
def test_surprise_has_no_unit_and_so_none_of_the_error(unit: float) -> None:
    expected = Pictures().scores(fitted())
    found = Pictures().scores(fitted(error=Scaled(unit)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_usual_comes_from_training_and_its_scale_from_validation() -> None:
    pictures = Pictures()
    fitted(pictures=pictures)
    assert [rows.tolist() for rows in pictures.seen] == [TRAINING.tolist(), VALIDATION.tolist()]
    pictures = Pictures()
    fitted("knn", pictures)
    assert [rows.tolist() for rows in pictures.seen] == [TRAINING.tolist()]


def test_the_scale_is_that_of_the_validation_pictures() -> None:
    pictures, score = Pictures(), fitted()
    logarithms = np.log(pictures.scores(fitted("relative"))[VALIDATION])
    assert float(score.place[0]) == pytest.approx(logarithms.mean())
    n = len(VALIDATION)
    variance = (logarithms.var() * n + 4 * 0.3**2) / (n + 4)  # 4 pictures' worth of a common one
    assert float(score.spread[0]) == pytest.approx(variance**0.5)


@pytest.mark.parametrize("name", SCORES)
def test_two_validation_pictures_are_enough_for_finite_scores(name: str) -> None:
    pictures = Pictures()
    for few in (VALIDATION[:2], VALIDATION[[0, 0]]):
        score = fitted(name, validation=few)
        assert np.isfinite(pictures.scores(score)).all()
        assert (score.spread > 0.1).all()


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("latent", [0.0, 0.5])
def test_a_collapsed_code_and_perfect_copies_give_finite_scores(name: str, latent: float) -> None:
    pictures = Pictures()
    pictures.latent, pictures.x_hat = torch.full((COUNT, CODE), latent), pictures.x
    score = fitted(name, pictures)
    assert np.isfinite(pictures.scores(score)).all()
    assert np.isfinite(Pictures().scores(score)).all()


def test_fitting_returns_what_is_usual() -> None:
    pictures = Pictures()
    score = picture_score("squared", "mean", SURPRISE)
    usual = score.fit(pictures.observe, TRAINING, VALIDATION, 0)  # type: ignore[arg-type]
    assert isinstance(usual, Usual)
    np.testing.assert_allclose(usual.codes, pictures.latent[TRAINING])
    maps = (pictures.x - pictures.x_hat)[TRAINING].square().mean((0, 1))
    np.testing.assert_allclose(usual.error_map, maps, rtol=1e-5)


def test_codes_are_not_gathered_where_no_part_looks_at_them() -> None:
    observe: Observe = Pictures().observe  # type: ignore[assignment]
    usual = picture_score(score="relative").fit(observe, TRAINING, VALIDATION, 0)
    assert usual.codes.shape == (len(TRAINING), 1)


@pytest.mark.parametrize("name", SCORES)
def test_a_restored_score_gives_the_same_numbers(name: str) -> None:
    pictures, score = Pictures(seed=1), fitted(name)
    other = picture_score(score=name, code_size=CODE)
    other.restore({key: value.clone() for key, value in score.state_dict().items()})
    assert np.array_equal(pictures.scores(other), pictures.scores(score))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda state: state.pop("spread"), "has other numbers"),
        (lambda state: state.update(further=torch.zeros(1)), "has other numbers"),
        (lambda state: state.update(spread=torch.ones(3)), "spread .* not of its kind"),
        (
            lambda state: state.update({"parts.0.floor": torch.ones(1)}),
            "floor .* not of its kind",
        ),
    ],
)
def test_the_numbers_of_another_score_are_refused(change: Any, error: str) -> None:
    state = dict(fitted().state_dict())
    change(state)
    with pytest.raises(ValueError, match=error):
        picture_score(score=SURPRISE, code_size=CODE).restore(state)


def test_a_score_takes_arguments() -> None:
    (part,) = picture_score(score="knn(7)").parts
    assert isinstance(part, NearestNeighbours)
    assert part.k == 7


@pytest.mark.parametrize("name", ["knnn", "suprise", "surprised"])
def test_an_unknown_score_offers_the_nearest(name: str) -> None:
    with pytest.raises(UnknownName, match=r"did you mean '(knn|surprise)'"):
        picture_score(score=name)


@pytest.mark.parametrize("text", ["knn(0)", "knn(k='x')", "error(3)", "surprise(2)"])
def test_arguments_that_a_score_does_not_take_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        picture_score(score=text)


def test_of_a_code_as_wide_as_a_picture_surprise_takes_the_errors_alone() -> None:
    narrow = picture_score(score=SURPRISE, code_size=MAX_CODE)
    wide = picture_score(score=SURPRISE, code_size=MAX_CODE + 1)
    assert narrow.needs_code
    assert not wide.needs_code
    kinds = [[type(part) for part in score.parts] for score in (narrow, wide)]
    assert kinds[1] == [kind for kind in kinds[0] if not kind.needs_code]
    assert wide.joins


@pytest.mark.parametrize("name", ["knn", "mahalanobis", "knn(3)"])
def test_distances_of_a_code_as_wide_as_a_picture_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"this network's has 9,000: choose a smaller"):
        picture_score(score=name, code_size=9_000)
