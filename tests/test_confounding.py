from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from residua.confounding import FEWEST, describe, first_sound, fooled_by
from residua.images.simple import Outcome, simple_families

HELD_OUT = np.arange(10, 70)


def textured(n: int = 80, side: int = 16, channels: int = 1) -> NDArray[np.uint8]:
    """Pictures of one texture, each with some noise of its own."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 193, (1, side, side, channels))
    return (texture + rng.integers(0, 64, (n, side, side, channels))).astype(np.uint8)


def scoring(score: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A graph that scores pictures (B, H, W, C) by a function of them."""
    return lambda images: (score(images.double()), None, None, None)


def content(images: torch.Tensor) -> torch.Tensor:
    return images.diff(dim=1).abs().mean((1, 2, 3)) + images.diff(dim=2).abs().mean((1, 2, 3))


def fooled_names(score: Any, pixels: NDArray[np.uint8] | None = None) -> set[str]:
    pixels = textured() if pixels is None else pixels
    return {outcome.family for outcome in fooled_by(scoring(score), pixels, HELD_OUT, 0)}


def test_a_score_of_content_is_fooled_by_everything_plain() -> None:
    assert fooled_names(content) == {
        "constant",
        "gradient",
        "light line on black",
        "dark line on white",
    }


def test_a_score_that_finds_the_plain_strange_is_not_fooled() -> None:
    assert fooled_names(lambda images: -content(images)) == set()


def test_a_score_that_ranks_the_plain_among_the_normal_is_not_fooled() -> None:
    draw = torch.Generator().manual_seed(0)
    assert fooled_names(lambda x: torch.rand(len(x), generator=draw, dtype=torch.float64)) == set()


def test_what_the_normal_pictures_hold_does_not_fool() -> None:
    lines = np.concatenate(
        [
            next(f.images for f in simple_families(textured(2), seed) if f.name.startswith("light"))
            for seed in range(1, 11)
        ]
    )
    names = fooled_names(lambda x: x.mean((1, 2, 3)), lines)
    assert "light line on black" not in names


def test_normal_pictures_that_lose_detail_are_another_matter() -> None:
    assert not any("blurred" in name or "contrast" in name for name in fooled_names(content))


def test_a_rank_among_few_normal_pictures_is_not_taken() -> None:
    few = HELD_OUT[: FEWEST - 1]
    assert fooled_by(scoring(content), textured(), few, 0) == []
    assert fooled_by(scoring(content), textured(), HELD_OUT[:FEWEST], 0) != []


def test_pictures_that_are_not_held_out_have_no_part() -> None:
    pixels = textured()
    pixels[~np.isin(np.arange(80), HELD_OUT)] = 0
    seen: list[torch.Tensor] = []
    fooled_by(scoring(lambda x: (seen.append(x), content(x))[1]), pixels, HELD_OUT, 0)
    normal = torch.cat(seen)[: len(HELD_OUT)]
    assert (normal.flatten(1).std(1) > 0).all()


def test_of_large_pictures_no_more_are_read_than_fit() -> None:
    pixels = np.broadcast_to(textured(1, 128, 3), (400, 128, 128, 3))
    sizes: list[torch.Size] = []
    fooled_by(scoring(lambda x: (sizes.append(x.shape), content(x))[1]), pixels, np.arange(400), 0)
    assert max(size.numel() for size in sizes) <= 2_000_000
    foreign = 9 + 8 + 8 + 8
    assert sum(size[0] for size in sizes) <= 6_000_000 // (128 * 128 * 3) + foreign


def outcome(name: str) -> Outcome:
    return Outcome(name, True, False, 9, 0.0, 1.0)


def test_the_warning_names_what_fools_and_the_score_that_is_not_fooled() -> None:
    said = describe("error", [outcome("constant"), outcome("gradient")], "surprise")
    assert "the score 'error' follows how much there is in a picture" in said
    assert "constant and gradient pictures" in said
    assert said.endswith("fit with --score 'surprise'")


def test_where_no_score_helps_the_warning_names_another_way_out() -> None:
    said = describe("error", [outcome("constant")], None)
    assert "no other score" in said
    assert "latent_dim or another model" in said


def test_the_first_score_that_nothing_fools_is_offered() -> None:
    tried: list[str] = []

    def fooled(name: str) -> list[Outcome]:
        tried.append(name)
        return [] if name in "bc" else [outcome("constant")]

    assert first_sound(["a", "b", "c"], fooled) == "b"
    assert tried == ["a", "b"]
    assert first_sound(["x"], fooled) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_seed_gives_the_same_outcomes(channels: int) -> None:
    pixels = textured(80, channels=channels)
    first, again = (fooled_by(scoring(content), pixels, HELD_OUT, 3) for _ in range(2))
    assert first == again
