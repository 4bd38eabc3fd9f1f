from __future__ import annotations

import pytest
import torch

from residua.errors import ConfigurationError
from residua.models import build_model

SHAPES = [(16, 16, 1), (20, 9, 3), (64, 8, 1), (8, 40, 2)]


@pytest.mark.parametrize("masks", [2, 3, 4, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_masks_hide_each_patch_once_and_about_equally_many(
    shape: tuple[int, int, int], masks: int
) -> None:
    hidden = build_model("masked", shape, options={"masks": masks}).hidden
    assert hidden.sum(0).eq(1).all()
    counts = hidden.sum(1)
    assert float(counts.max() - counts.min()) <= 2


@pytest.mark.parametrize("masks", [2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_rebuilt_of_a_patch_owes_nothing_to_the_patch(
    shape: tuple[int, int, int], masks: int
) -> None:
    height, width, channels = shape
    model = build_model("masked", shape, options={"masks": masks}).eval()
    x = torch.rand(1, channels, height, width)
    rows, columns, side = *model.grid, model.patch
    with torch.inference_mode():
        before = model(x).x_hat
        for row in range(rows):
            for column in range(columns):
                place = (
                    ...,
                    slice(row * side, (row + 1) * side),
                    slice(column * side, (column + 1) * side),
                )
                other = x.clone()
                other[place] = 1 - other[place]
                after = model(other).x_hat
                torch.testing.assert_close(after[place], before[place], rtol=0, atol=1e-6)
                assert not torch.allclose(after, before)


def test_the_loss_in_training_is_that_of_hidden_patches_drawn_anew() -> None:
    model = build_model("masked", (16, 16, 1))
    x = torch.rand(4, 1, 16, 16)
    losses = {float(model.training_losses(x)["loss"].detach()) for _ in range(3)}
    assert len(losses) == 3


def test_patches_and_pictures_are_each_others_inverse() -> None:
    model = build_model("masked", (12, 20, 3), options={"patch": 4})
    x = torch.rand(2, 3, 12, 20)
    model.decoder = torch.nn.Identity()
    model.latent_dim = model.count * 3 * 16
    torch.testing.assert_close(model.decode(model._patches(x).flatten(1)), x)


def test_its_code_is_smaller_than_the_picture() -> None:
    for shape in [(8, 8, 1), (28, 28, 1), (128, 128, 3), (1024, 1024, 1)]:
        height, width, channels = shape
        with torch.device("meta"):
            assert build_model("masked", shape).latent_dim * 2 <= height * width * channels


def test_a_code_that_the_patches_cannot_share_is_refused_with_one_that_they_can() -> None:
    with pytest.raises(ConfigurationError, match=r"49 patches.* such as 147"):
        build_model("masked", (28, 28, 1), latent_dim=100)
    assert build_model("masked", (28, 28, 1), latent_dim=147).latent_dim == 147


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 3}, "patch is 3; .* power of two"),
        ({"patch": 16}, "patch is 16; .* below the longer side of 16"),
        ({"masks": 1}, "masks is 1; .* from 2 to 64"),
        ({"features": 50}, "features is 50, heads 4"),
        ({"layers": 0}, "layers 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build_model("masked", (16, 16, 1), options=options)
