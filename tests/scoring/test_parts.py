from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from residua.errors import ConfigurationError
from residua.scoring.errors import ImageScore
from residua.scoring.names import MAX_CODE
from residua.scoring.parts import (
    MAX_DIRECTIONS,
    MAX_REFERENCES,
    CodeDistance,
    Mahalanobis,
    NearestNeighbours,
    NormalisedError,
    RelativeError,
    ScorePart,
    Seen,
    Usual,
    content_of,
)
from residua.scoring.score import PARTS

SIDE, CODE = 16, 6
ERRORS = [name for name in PARTS if not PARTS[name]().needs_code]
DISTANCES = [name for name in PARTS if PARTS[name]().needs_code]


def normal_codes(n: int = 400, width: int = CODE, seed: int = 0) -> NDArray[np.float32]:
    """Codes whose directions are correlated and of unequal spread."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n, width)) @ (rng.normal(size=(width, width)) + 2 * np.eye(width))
    return (mixed * np.linspace(0.1, 10, width) + 3).astype(np.float32)


def usual(codes: NDArray[np.float32] | None = None) -> Usual:
    error_map = np.linspace(0.001, 0.02, SIDE * SIDE).reshape(SIDE, SIDE)
    return Usual(normal_codes() if codes is None else codes, error_map, 0.1)


def fitted(name: str, codes: NDArray[np.float32] | None = None) -> ScorePart:
    part = PARTS[name]()
    part.fit(usual(codes), np.random.default_rng(0))
    return part


def seen(x: torch.Tensor, x_hat: torch.Tensor, latent: NDArray[np.float32] | None = None) -> Seen:
    codes = normal_codes(len(x)) if latent is None else latent
    return Seen(x, x_hat, torch.from_numpy(codes), *ImageScore()(x, x_hat))


def code_alone(latent: NDArray[np.float32]) -> Seen:
    x = torch.zeros(len(latent), 1, SIDE, SIDE)
    return seen(x, x, latent)


def noise(n: int, strength: float = 1.0, channels: int = 1) -> torch.Tensor:
    drawn = torch.rand(n, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return 0.5 + strength * (drawn - 0.5)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize(
    ("level", "rebuilt"), [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.5, 0.4)]
)
def test_pictures_without_content_have_finite_numbers_that_are_not_negative(
    name: str, level: float, rebuilt: float
) -> None:
    x, x_hat = (torch.full((3, 1, SIDE, SIDE), value) for value in (level, rebuilt))
    found = fitted(name)(seen(x, x_hat))
    assert found.shape == (3,)
    assert found.dtype == torch.float64
    assert torch.isfinite(found).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("name", PARTS)
def test_what_is_usual_and_what_is_not_are_both_above_zero(name: str) -> None:
    found = fitted(name)(seen(noise(8), noise(8) * 0.9))
    assert (found > 0).all()


@pytest.mark.parametrize("name", PARTS)
def test_where_nothing_is_usual_numbers_stay_finite(name: str) -> None:
    part = PARTS[name]()
    codes = np.full((10, CODE), 0.3, np.float32)
    part.fit(Usual(codes, np.zeros((SIDE, SIDE)), 0.0), np.random.default_rng(0))
    for latent in (codes, codes + 1e-6, normal_codes(10)):
        assert torch.isfinite(part(seen(noise(10), noise(10) * 0.9, latent))).all()


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_worse_reconstruction_gives_a_higher_number(name: str, channels: int) -> None:
    x, part = noise(5, channels=channels), fitted(name)
    worse = [part(seen(x, x * share)) for share in (0.99, 0.9, 0.5)]
    assert (worse[0] < worse[1]).all()
    assert (worse[1] < worse[2]).all()


@pytest.mark.parametrize("name", ERRORS)
def test_errors_do_not_look_at_the_code(name: str) -> None:
    part, x = fitted(name), noise(5)
    found = [part(seen(x, x * 0.9, codes)) for codes in (normal_codes(5), 9 * normal_codes(5))]
    assert torch.equal(*found)


@pytest.mark.parametrize("name", DISTANCES)
def test_a_code_farther_from_the_normal_ones_gives_a_higher_number(name: str) -> None:
    codes = normal_codes()
    part, centre = fitted(name, codes), codes.mean(0)
    far = [part(code_alone(centre + share * (codes[:50] - centre))) for share in (3, 9, 27)]
    assert (far[0] < far[1]).all()
    assert (far[1] < far[2]).all()


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_look_at_nothing_but_the_code(name: str) -> None:
    part = fitted(name)
    found = [part(seen(noise(5), x_hat)) for x_hat in (noise(5), 0 * noise(5))]
    assert torch.equal(*found)


def test_content_is_the_mean_step_across_and_down() -> None:
    stripes = torch.zeros(1, 1, 8, 8)
    stripes[..., ::2] = 1
    assert float(content_of(stripes)) == 1
    assert float(content_of(stripes.mT)) == 1
    assert float(content_of(torch.full((1, 3, 8, 8), 0.7))) == 0
    chequers = (stripes + stripes.mT) % 2
    assert float(content_of(chequers)) == 2


def test_of_equal_errors_the_one_in_the_plainer_picture_weighs_more() -> None:
    x = torch.cat([noise(1, strength) for strength in (0.0, 0.1, 1.0)])
    found = fitted("relative")(seen(x, x - 0.1))
    assert found[0] > found[1] > found[2]


def test_a_relative_error_is_the_error_by_content_and_a_tenth_of_the_usual_one() -> None:
    x, part = noise(4), RelativeError()
    part.fit(usual(), np.random.default_rng(0))
    taken = seen(x, x - 0.2)
    torch.testing.assert_close(part(taken), taken.error / (content_of(x) + 0.1 * 0.1))


def test_of_equal_errors_the_one_in_a_small_spot_is_worse() -> None:
    x = torch.full((2, 1, SIDE, SIDE), 0.5)
    x_hat = x.clone()
    x_hat[0] += 0.02
    x_hat[1, 0, :2, :4] += 0.02 * SIDE * SIDE / 8
    taken, part = seen(x, x_hat), fitted("worst")
    assert float(taken.error[0]) == pytest.approx(float(taken.error[1]), rel=1e-4)
    worst = round(0.05 * SIDE * SIDE)  # a twentieth of the pixels
    assert float(part(taken)[1] / part(taken)[0]) == pytest.approx(SIDE * SIDE / worst, rel=1e-3)
    relative = fitted("relative")(taken)
    assert float(relative[1] / relative[0]) == pytest.approx(1, rel=1e-3)


def test_an_error_where_all_is_usually_rebuilt_weighs_more() -> None:
    x, part = torch.zeros(2, 1, SIDE, SIDE), NormalisedError()
    part.fit(usual(), np.random.default_rng(0))
    x_hat = x.clone()
    x_hat[0, 0, 0, 0] = x_hat[1, 0, -1, -1] = 0.5  # the best and the worst rebuilt pixel
    found = part(seen(x, x_hat))
    assert float(found[0] / found[1]) == pytest.approx(
        (0.02 + 0.1 * 0.0105) / (0.001 + 0.1 * 0.0105)
    )


def test_the_usual_error_map_itself_counts_less_than_one() -> None:
    part = fitted("normalised")
    assert isinstance(part, NormalisedError)
    usual_map = torch.from_numpy(usual().error_map).float()[None]
    x = torch.zeros(1, 1, SIDE, SIDE)
    at_usual = Seen(x, x, torch.zeros(1, CODE), usual_map, torch.zeros(1, dtype=torch.float64))
    assert 0.8 < float(part(at_usual)) < 1


def test_mahalanobis_is_scikit_learns_with_the_shrunk_covariance() -> None:
    codes = normal_codes()
    reference = LedoitWolf().fit(codes.astype(np.float64))
    for latent in (codes, normal_codes(50, seed=1) * 2):
        found = fitted("mahalanobis", codes)(code_alone(latent))
        expected = np.sqrt(reference.mahalanobis(latent.astype(np.float64)))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("k", [1, 5, 12])
def test_knn_is_scikit_learns_on_whitened_codes(k: int) -> None:
    codes, latent = normal_codes().astype(np.float64), normal_codes(50, seed=1)
    # Any square root of the precision will do: distances are the same.
    root = np.linalg.cholesky(LedoitWolf().fit(codes).precision_)
    reference = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(codes @ root)
    expected = reference.kneighbors(latent @ root)[0].mean(1)
    part = NearestNeighbours(k)
    part.fit(usual(), np.random.default_rng(0))
    np.testing.assert_allclose(part(code_alone(latent)).numpy(), expected, rtol=1e-9)


def test_angular_knn_is_scikit_learns_on_directions_of_whitened_codes() -> None:
    codes, latent = normal_codes().astype(np.float64), normal_codes(50, seed=1)
    root = np.linalg.cholesky(LedoitWolf().fit(codes).precision_)
    centre = codes.mean(0)

    def directions(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        white = (rows - centre) @ root
        return white / np.sqrt(np.square(white).sum(1, keepdims=True) + 1)

    reference = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(directions(codes))
    part = NearestNeighbours(angular=True)
    part.fit(usual(), np.random.default_rng(0))
    found = part(code_alone(latent)).numpy()
    np.testing.assert_allclose(
        found, reference.kneighbors(directions(latent))[0].mean(1), rtol=1e-7
    )


def test_angular_knn_does_not_see_the_length_of_a_code() -> None:
    codes, latent = normal_codes(), normal_codes(30, seed=1)
    part = NearestNeighbours(angular=True)
    part.fit(usual(codes), np.random.default_rng(0))
    centre = codes.mean(0, dtype=np.float64)
    long, longer = ((centre + k * (latent - centre)).astype(np.float32) for k in (100, 300))
    np.testing.assert_allclose(part(code_alone(longer)), part(code_alone(long)), rtol=1e-3)


def test_knn_of_fewer_codes_than_neighbours_takes_all_there_are() -> None:
    codes = normal_codes(3)
    found = fitted("knn", codes)(code_alone(normal_codes(4, seed=1)))
    assert torch.isfinite(found).all()
    assert found.shape == (4,)


def test_a_kept_code_is_at_no_distance_from_itself() -> None:
    codes = normal_codes(50)
    part = NearestNeighbours(1)
    part.fit(usual(codes), np.random.default_rng(0))
    scale = float(fitted("mahalanobis", codes)(code_alone(codes)).mean())
    np.testing.assert_allclose(part(code_alone(codes)), 0, atol=1e-6 * scale)


def test_of_many_codes_knn_keeps_a_seeded_draw() -> None:
    codes = normal_codes(MAX_REFERENCES + 500)
    kept = []
    for seed in (0, 0, 1):
        part = NearestNeighbours()
        part.fit(usual(codes), np.random.default_rng(seed))
        kept.append(part.references)
    assert kept[0].shape == (MAX_REFERENCES, CODE)
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0], kept[2])


@pytest.mark.parametrize("k", [0, -3])
def test_no_neighbour_at_all_is_refused(k: int) -> None:
    with pytest.raises(ConfigurationError, match=f"k is {k}; at least 1"):
        NearestNeighbours(k)


@pytest.mark.parametrize("name", DISTANCES)
def test_turning_moving_and_enlarging_the_code_changes_no_distance(name: str) -> None:
    # Exactly so: the shrunk covariance turns and grows with its codes.
    codes, latent = normal_codes(), normal_codes(30, seed=1)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(CODE, CODE)))[0]
    before = fitted(name, codes)(code_alone(latent))

    def other(part: NDArray[np.float32]) -> NDArray[np.float32]:
        return (7 * part @ turn - 5).astype(np.float32)

    after = fitted(name, other(codes))(code_alone(other(latent)))
    np.testing.assert_allclose(after, before, rtol=1e-4)


@pytest.mark.parametrize("name", DISTANCES)
def test_skewing_the_code_changes_distances_little(name: str) -> None:
    # Only so far as covariances are shrunk: to shrink and to skew do not commute.
    rng = np.random.default_rng(2)
    codes = rng.normal(size=(2_000, CODE)).astype(np.float32)
    latent = 2 * rng.normal(size=(30, CODE)).astype(np.float32)
    skew = np.diag(np.linspace(0.5, 2, CODE)) + 0.2 * rng.normal(size=(CODE, CODE))
    before = fitted(name, codes)(code_alone(latent))
    after = fitted(name, (codes @ skew).astype(np.float32))(
        code_alone((latent @ skew).astype(np.float32))
    )
    np.testing.assert_allclose(after, before, rtol=0.06)


def test_no_direction_counts_more_for_being_drawn_larger() -> None:
    codes = np.random.default_rng(0).normal(size=(2_000, 2)).astype(np.float32)
    codes *= np.array([1, 5], np.float32)
    steps = np.array([[3, 0], [0, 15]], np.float32)
    found = fitted("mahalanobis", codes)(code_alone(steps))
    assert float(found[0] / found[1]) == pytest.approx(1, rel=0.05)


def test_of_wide_codes_the_directions_of_most_variance_are_looked_at() -> None:
    width = MAX_DIRECTIONS + 50
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(600, width)).astype(np.float32)
    codes[:, :4] *= 30
    part = Mahalanobis()
    part.fit(usual(codes), np.random.default_rng(0))
    assert part.whitening.shape == (width, MAX_DIRECTIONS)
    strange = np.zeros((2, width), np.float32)
    strange[0, 0], strange[1, 1] = 30 * 5, 30 * 10
    found = part(code_alone(strange))
    assert 3 < float(found[0]) < float(found[1])


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("name", DISTANCES)
def test_fewer_codes_than_directions_give_finite_distances(name: str, n: int) -> None:
    codes = normal_codes(n, MAX_DIRECTIONS + 10)
    assert torch.isfinite(fitted(name, codes)(code_alone(codes))).all()


@pytest.mark.parametrize("name", DISTANCES)
def test_wide_codes_that_have_collapsed_give_finite_distances(name: str) -> None:
    codes = np.ones((20, MAX_DIRECTIONS + 10), np.float32)
    strange = np.concatenate([codes[:1], codes[:1] + 1])
    assert torch.isfinite(fitted(name, codes)(code_alone(strange))).all()


@pytest.mark.parametrize("name", DISTANCES)
def test_a_code_that_is_no_bottleneck_is_refused(name: str) -> None:
    codes = np.zeros((3, MAX_CODE + 1), np.float32)
    with pytest.raises(ConfigurationError, match=r"the code has 4,097 numbers.*latent_dim"):
        fitted(name, codes)


@pytest.mark.parametrize(
    ("codes", "collapsed"),
    [
        (np.full((9, 4), 0.7), True),
        (np.zeros((9, 4)), True),
        (np.full((9, 4), 0.7) + 1e-7 * np.arange(9)[:, None], True),
        (np.eye(9, 4), False),
        (1e-3 * np.eye(9, 4), False),
    ],
)
def test_a_code_has_collapsed_where_all_pictures_have_the_same(
    codes: NDArray[np.float64], collapsed: bool
) -> None:
    assert usual(codes.astype(np.float32)).collapsed is collapsed


def test_only_distances_need_a_code() -> None:
    assert {name for name in PARTS if issubclass(PARTS[name], CodeDistance)} == set(DISTANCES)  # type: ignore[arg-type]
