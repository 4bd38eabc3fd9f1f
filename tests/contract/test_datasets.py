"""What every registered data set must do; those not on disk are skipped, never downloaded."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from residua.errors import ConfigurationError, UnknownDataset
from residua.images.datasets import DATASETS, Dataset, load_dataset
from residua.images.published import data_home
from residua.images.source import ImageSource

SPLITS = [(name, split) for name, dataset in DATASETS.items() for split in dataset.splits]


@cache
def loaded(name: str, split: str | None) -> ImageSource:
    if not DATASETS[name].on_disk():
        pytest.skip(f"{name} is not on disk in {data_home()}; RESIDUA_DATA names another folder")
    return load_dataset(name, split)


@pytest.fixture(params=list(DATASETS))
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def dataset(name: str) -> Dataset:
    return DATASETS[name]


@pytest.fixture
def source(name: str) -> ImageSource:
    return loaded(name, None)


def test_it_is_registered_under_its_name(name: str, dataset: Dataset) -> None:
    assert dataset.name == name


def test_it_says_what_it_is_and_under_which_terms(dataset: Dataset) -> None:
    assert all((dataset.title, dataset.size, dataset.licence))
    assert dataset.homepage.startswith("http")


def test_it_has_the_pictures_that_it_announces(dataset: Dataset, source: ImageSource) -> None:
    assert len(source) == (len(source) if dataset.n_images is None else dataset.n_images)
    assert len(source) > 0


def test_every_picture_has_a_label(source: ImageSource) -> None:
    assert source.labels is not None
    assert len(source.labels) == len(source)
    assert all(isinstance(label, str) and label for label in source.labels)
    assert len(set(source.labels)) > 1


def test_every_picture_has_an_id_of_its_own(source: ImageSource) -> None:
    assert len(source.ids) == len(source)
    assert len(set(source.ids)) == len(source)


def test_batches_are_bytes_of_the_suggested_spec(source: ImageSource) -> None:
    spec = source.suggest_spec()
    wanted = np.array([len(source) - 1, 0, len(source) // 2])
    (batch,) = source.batches(spec, 3, wanted, workers=1)
    assert batch.failures == ()
    assert batch.indices.tolist() == wanted.tolist()
    assert (batch.images.dtype, batch.images.shape) == (np.uint8, (3, *spec.shape))
    assert all(image.std() > 0 for image in batch.images)


def test_marked_defects_are_masks_of_bool(source: ImageSource) -> None:
    if not source.has_masks:
        assert source.mask(len(source) - 1) is None
        return
    mask = source.mask(len(source) - 1)
    assert mask is not None
    assert mask.dtype == np.bool_
    assert 0 < mask.sum() < mask.size


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_every_split_loads(name: str, split: str) -> None:
    source = loaded(name, split)
    assert len(source) > 0
    assert source.labels is not None
    assert len(source.labels) == len(source)


def test_its_splits_together_are_the_whole(name: str, dataset: Dataset) -> None:
    if not dataset.splits or dataset.n_images is None:
        return
    assert sum(len(loaded(name, split)) for split in dataset.splits) == dataset.n_images


def test_an_unknown_split_is_refused_naming_those_there_are(dataset: Dataset) -> None:
    with pytest.raises(ConfigurationError, match="has no split 'holiday'") as error:
        dataset.load("holiday")
    assert all(split in str(error.value) for split in dataset.splits)


def test_an_unknown_option_is_refused_by_name(dataset: Dataset) -> None:
    with pytest.raises(ConfigurationError, match=r"does not take the options colour"):
        dataset.load(colour="red")


def test_an_unknown_data_set_offers_the_nearest(name: str) -> None:
    with pytest.raises(UnknownDataset, match=f"did you mean .*'{name}'"):
        load_dataset(name + "x")
