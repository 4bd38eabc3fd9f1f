from __future__ import annotations

import pytest
from torch import nn

from residua.errors import ConfigurationError
from residua.models import build_model


def test_its_layers_are_those_of_the_report() -> None:
    model = build_model("seed-mnist", (28, 28, 1))
    kinds = [type(layer) for part in (model.encoder, model.decoder) for layer in part]
    assert kinds.count(nn.Conv2d) == 5
    assert kinds.count(nn.MaxPool2d) == 2
    assert kinds.count(nn.Upsample) == 2
    assert model.loss == "bce"


def test_its_code_is_larger_than_the_picture() -> None:
    assert build_model("seed-mnist", (28, 28, 1)).latent_dim == 4 * 28 * 28


def test_weights_start_as_in_keras() -> None:
    first = build_model("seed-mnist", (28, 28, 1)).encoder[0]
    limit = (6 / (9 * (1 + 32))) ** 0.5
    assert float(first.weight.detach().abs().max()) <= limit
    assert not first.bias.detach().any()


def test_sides_that_do_not_halve_twice_are_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigurationError, match=r"multiples of 4.*'conv'"):
        build_model("seed-mnist", (30, 28, 1))


def test_its_code_size_cannot_be_set() -> None:
    with pytest.raises(ConfigurationError, match="3136"):
        build_model("seed-mnist", (28, 28, 1), latent_dim=32)
