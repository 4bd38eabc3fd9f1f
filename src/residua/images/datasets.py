"""The registered data sets: one record each, and the two that need no download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from residua.errors import (
    ConfigurationError,
    MissingExtra,
    UnknownDataset,
    nearest_names,
)
from residua.images.published import (
    CALTECH_IMAGES,
    FASHION_MNIST,
    MNIST,
    TILE_COUNTS,
    TILE_HOME,
    caltech_there,
    open_caltech,
    open_tiles,
    tile_folders,
)
from residua.images.source import ArraySource, ImageSource
from residua.images.surfaces import DEFECTS, generate_surfaces


@dataclass(frozen=True)
class Dataset:
    """A registered data set."""

    name: str
    title: str
    n_images: int | None
    """Pictures in all; None: as many as are asked for."""
    shape: str
    """Size and colour of the pictures, in words."""
    size: str
    """Size of the files on disk, in words."""
    licence: str
    homepage: str
    splits: tuple[str, ...]
    """Names of its published parts; empty: it comes as a whole."""
    anomalous: tuple[str, ...]
    """Classes that are no trusted pictures; a fit leaves them out."""
    is_there: Callable[[], bool]
    open: Callable[..., ImageSource]
    """Takes the split and options; fetches what is not there."""

    def on_disk(self) -> bool:
        """Say whether it can be loaded without a download."""
        return self.is_there()

    def load(self, split: str | None = None, **options: Any) -> ImageSource:
        """Load it, or one of its splits.

        Raises
        ------
        ConfigurationError
            It has no such split or option.
        DatasetUnavailable
            It is not on disk and no mirror answers.
        DatasetCorrupt
            The files are not the published ones.
        """
        if split is not None and split not in self.splits:
            has = f"its splits are {', '.join(self.splits)}" if self.splits else "it has none"
            raise ConfigurationError(f"{self.name!r} has no split {split!r}; {has}")
        try:
            return self.open(split, **options)
        except TypeError as error:
            if not options:
                raise
            raise ConfigurationError(
                f"{self.name!r} does not take the options {', '.join(options)}: {error}"
            ) from error


def load_dataset(name: str, split: str | None = None, **options: Any) -> ImageSource:
    """Load a registered data set.

    Parameters
    ----------
    name : str
        A name from `DATASETS`.
    split : str or None, default=None
        One of its splits; None: all of it.
    **options
        For "surfaces": ``n`` (int), ``size`` ((rows, columns) in pixels), ``channels`` (1 or 3)
        and ``seed`` (int).

    Raises
    ------
    UnknownDataset
        No such name; the nearest are offered.
    ConfigurationError, DatasetUnavailable, DatasetCorrupt
        See `Dataset.load`.

    Examples
    --------
    >>> len(load_dataset("digits", "train"))
    1200
    """
    if name not in DATASETS:
        raise UnknownDataset(f"no data set is called {name!r}; {nearest_names(name, DATASETS)}")
    return DATASETS[name].load(split, **options)


def _digits(split: str | None) -> ImageSource:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise MissingExtra.of("sklearn", "train") from error
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    part = {None: slice(None), "train": slice(1200), "test": slice(1200, None)}[split]
    return ArraySource(images[part], labels=[str(label) for label in digits.target[part]])


def _surfaces(
    split: str | None,
    n: int | None = None,
    size: tuple[int, int] = (128, 128),
    channels: int = 1,
    seed: int = 0,
) -> ImageSource:
    """``n`` sound pictures to train on; half of ``n`` sound and half defective ones to test on."""
    if n is not None and n < 1:
        raise ConfigurationError(f"n is {n}; at least 1 surface is generated")
    if split == "train":
        made = generate_surfaces(n or 512, 0, size=size, seed=seed, channels=channels)
    else:
        count = n or 320
        made = generate_surfaces(
            count - count // 2, count // 2, size=size, seed=seed, channels=channels, stream=1
        )
    return ArraySource(made.images, labels=made.labels, masks=made.masks)


DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        dataset.name: dataset
        for dataset in (
            Dataset(
                name="digits",
                title="handwritten digits (UCI)",
                n_images=1_797,
                shape="8 × 8 grey",
                size="with scikit-learn",
                licence="CC BY 4.0",
                homepage="https://archive.ics.uci.edu/dataset/80",
                splits=("train", "test"),
                anomalous=(),
                is_there=lambda: True,
                open=_digits,
            ),
            Dataset(
                name="surfaces",
                title="machined plates, defects with masks",
                n_images=None,
                shape="any (128 × 128 grey)",
                size="generated",
                licence="Apache-2.0",
                homepage="https://pypi.org/project/residua/",
                splits=("train", "test"),
                anomalous=DEFECTS,
                is_there=lambda: True,
                open=_surfaces,
            ),
            Dataset(
                name="mnist",
                title="handwritten digits (LeCun et al.)",
                n_images=70_000,
                shape="28 × 28 grey",
                size="12 MB",
                licence="CC BY-SA 3.0",
                homepage="http://yann.lecun.com/exdb/mnist/",
                splits=("train", "test"),
                anomalous=(),
                is_there=MNIST.there,
                open=MNIST.open,
            ),
            Dataset(
                name="fashion-mnist",
                title="articles of clothing (Zalando)",
                n_images=70_000,
                shape="28 × 28 grey",
                size="31 MB",
                licence="MIT",
                homepage="https://github.com/zalandoresearch/fashion-mnist",
                splits=("train", "test"),
                anomalous=(),
                is_there=FASHION_MNIST.there,
                open=FASHION_MNIST.open,
            ),
            Dataset(
                name="caltech101",
                title="objects and background (Fei-Fei et al.)",
                n_images=CALTECH_IMAGES,
                shape="about 300 × 200 RGB",
                size="151 MB",
                licence="CC BY 4.0",
                homepage="https://data.caltech.edu/records/mzrjq-6wc02",
                splits=(),
                anomalous=("BACKGROUND_Google",),
                is_there=caltech_there,
                open=open_caltech,
            ),
            Dataset(
                name="magnetic-tile",
                title="tiles, defects with masks (Huang et al.)",
                n_images=sum(TILE_COUNTS.values()),
                shape="up to 400 a side, grey",
                size="14 to 200 MB",
                licence="for research",
                homepage=TILE_HOME,
                splits=(),
                anomalous=tuple(kind for kind in TILE_COUNTS if kind != "Free"),
                is_there=lambda: bool(tile_folders()),
                open=open_tiles,
            ),
        )
    }
)
