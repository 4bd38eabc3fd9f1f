"""The rows of the table: pictures, settings, and the figures that are wanted of them.

A row may set nothing of the detector but the seed, the size of pictures that are files, and the
epochs; or name the model that works on features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from quality import protocols
from quality.measure import AHEAD


@dataclass(frozen=True)
class Goal:
    """A figure that is wanted of a row."""

    measure: str
    """Name of the measured figure."""
    title: str
    """What it is, in words."""
    bound: float
    at_most: bool = False
    """Whether the bound is the greatest value wanted, and not the least."""
    form: str = ".4f"
    """How the figure is written, as Python's format specification."""
    reference: str = "–"
    """Figures of others to compare with."""
    notes: tuple[str, ...] = ()
    """Names from `NOTES`."""

    def short_by(self, value: float) -> float:
        """Return by how much a value misses the bound; 0 where it does not."""
        return max(0.0, value - self.bound if self.at_most else self.bound - value)


@dataclass(frozen=True)
class Row:
    """One protocol with one detector."""

    name: str
    title: str
    protocol: str
    """What is normal, what is trained on and what is tested, in a sentence."""
    pictures: protocols.PicturesOf
    goals: tuple[Goal, ...]
    cases: tuple[str, ...] = ("all",)
    """A row of several cases is measured by the mean over them."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    features: bool = False
    """Whether the detector rebuilds the features of the backbone."""
    baselines: tuple[str, ...] = ()
    """Names from `quality.baselines.BASELINES`."""

    @property
    def words(self) -> str:
        """The protocol with what is set of the detector."""
        own = [f"{name}={value}" for name, value in self.settings.items()]
        own += ['model="features"'] * self.features
        return "; ".join([self.protocol, *(f"`{part}`" for part in own)])

    def parameters(self, seed: int, backbone: Any, *, quick: bool) -> dict[str, Any]:
        """Return the detector's parameters that are not its defaults."""
        own = dict(self.settings)
        if self.features:
            own |= {"model": "features", "model_options": {"backbone": str(backbone)}}
        if quick:
            own |= {"epochs": 2, "on_failed_fit": "warn"}
        return {**own, "random_state": seed}


def _share(measure: str, title: str, bound: float, **others: Any) -> Goal:
    return Goal(measure, title, bound, form=".2%", **others)


_AUROC = "AUROC"
_TILES = (
    "70 % of the 952 sound tiles train, drawn by the seed; the other 286 and 392 defective ones "
    "are tested; masks are compared at the detector's own input size"
)
_OBJECTS = (
    "30 pictures of each class split 70/15/15 by the seed; the background class is left out of "
    "the first two parts, which train, and merged whole into the test part"
)
_OWN_TILES = "linear reconstruction of MobileNetV2's patches 0.77"

_ROWS = (
    Row(
        "mnist-fashion",
        "MNIST normal, Fashion-MNIST anomalous",
        "MNIST's 60,000 training pictures; its 10,000 test pictures against Fashion-MNIST's",
        protocols.against("mnist", "fashion-mnist"),
        (
            Goal("auroc", _AUROC, 0.9998),
            _share("tpr", "Fashion-MNIST flagged", 0.998, reference="98.1 %", notes=("report-a",)),
            _share("fpr", "MNIST test flagged (false)", 0.01, at_most=True),
        ),
    ),
    Row(
        "fashion-mnist",
        "Fashion-MNIST normal, MNIST anomalous",
        "the same the other way round, where the anomalous pictures are the simpler ones",
        protocols.against("fashion-mnist", "mnist"),
        (
            Goal(
                "auroc",
                _AUROC,
                0.999,
                reference="the first source report's network 0.005",
                notes=("report-a-turned",),
            ),
        ),
    ),
    Row(
        "magnetic-tile-scratch",
        "magnetic tiles, network from scratch",
        _TILES,
        protocols.tiles,
        (
            Goal(
                "auroc", "image AUROC", 0.90, reference="PatchCore about 0.98", notes=("patchcore",)
            ),
            Goal("pixel_auroc", "pixel AUROC", 0.90),
        ),
        settings={"image_size": 96, "epochs": 60},
        baselines=("gradient energy", "pca"),
    ),
    Row(
        "magnetic-tile-features",
        "magnetic tiles, features of a backbone",
        _TILES,
        protocols.tiles,
        (
            Goal(
                "auroc",
                "image AUROC",
                0.90,
                reference=f"{_OWN_TILES}; PatchCore about 0.98",
                notes=("sketch", "patchcore"),
            ),
            Goal(
                "pixel_auroc",
                "pixel AUROC",
                0.90,
                reference="linear reconstruction of MobileNetV2's patches 0.75",
                notes=("sketch",),
            ),
        ),
        features=True,
        baselines=("features-pca", "features-knn"),
    ),
    Row(
        "caltech101-features",
        "Caltech-101, background anomalous, features of a backbone",
        _OBJECTS,
        protocols.objects,
        (
            Goal(
                "auroc",
                _AUROC,
                0.96,
                reference="linear reconstruction of the embedding 0.949, its cosine 5-NN 0.943",
                notes=("sketch",),
            ),
        ),
        features=True,
        baselines=("features-pca", "features-knn"),
    ),
    Row(
        "caltech101-scratch",
        "Caltech-101, background anomalous, network from scratch",
        _OBJECTS,
        protocols.objects,
        (
            Goal(
                "auroc",
                _AUROC,
                0.75,
                reference="the second source report about 0.65; gradient energy alone 0.684",
                notes=("report-b", "sketch"),
            ),
            Goal(AHEAD, "AUROC less the best baseline's", 0.0, form="+.4f"),
        ),
        # As many epochs as the default takes here would take half an hour for each seed.
        settings={"image_size": 96, "epochs": 60},
        baselines=("gradient energy", "pca"),
    ),
    Row(
        "mnist-one-class",
        "MNIST, one digit normal",
        "a digit's training pictures; all 10,000 test pictures; mean of the ten digits",
        protocols.one_class("mnist", {digit: digit for digit in protocols.DIGITS}),
        (
            Goal(
                "auroc",
                _AUROC,
                0.985,
                reference="MemAE 0.975; OCGAN 0.975; ARNet 0.983",
                notes=("memae", "ocgan", "arnet"),
            ),
        ),
        settings={"epochs": 30},
        cases=protocols.DIGITS,
    ),
    Row(
        "fashion-one-class",
        "Fashion-MNIST, one article normal",
        "the same with the ten articles of Fashion-MNIST",
        protocols.one_class("fashion-mnist", dict(protocols.ARTICLES)),
        (
            Goal(
                "auroc",
                _AUROC,
                0.945,
                reference="ARNet 0.939; ESAD 0.940",
                notes=("arnet", "esad"),
            ),
        ),
        settings={"epochs": 30},
        cases=tuple(protocols.ARTICLES),
    ),
)
ROWS: Mapping[str, Row] = MappingProxyType({row.name: row for row in _ROWS})
"""In the order in which they are measured: what is quick and tells much comes first."""

NOTES: Mapping[str, str] = MappingProxyType(
    {
        "report-a": (
            "The first source report, which flags outside mean ± 3 standard deviations and states "
            "no false-positive rate ([reproduction](reproduction.md))."
        ),
        "report-a-turned": (
            "Its network with cross-entropy, measured while the goals were set; on fewer pictures "
            "it stands in [the comparison](comparison.md)."
        ),
        "report-b": (
            "From the operating point that the second source report prints, a true-positive rate "
            "of 0.517 at a false-positive rate of 0.180; its AUROC of 1.0 contradicts that "
            "([reproduction](reproduction.md)). One split of 484 test pictures, 256 × 256."
        ),
        "sketch": (
            "Measured while the goals were set, on one split; not by this command. Where the "
            "baselines below have the same method, theirs are the figures to compare with."
        ),
        "patchcore": (
            "Roth et al., CVPR 2022. Published pictures of up to 400 pixels, of which these are "
            "copies of at most 160; 80 % of the sound tiles train; a larger backbone."
        ),
        "memae": (
            "Gong et al., ICCV 2019. Trains on two thirds of a digit's pictures, and about 30 % of "
            "its test pictures are anomalous."
        ),
        "ocgan": ("Perera et al., CVPR 2019, with the published training and test parts as here."),
        "arnet": (
            "Ye, Huang et al., attribute restoration, 2019 (arXiv 1911.10676). Trains on pictures "
            "from which colour and orientation are erased; published parts."
        ),
        "esad": (
            "Huang et al., ESAD, 2020 (arXiv 2012.04905), a method that can learn from labelled "
            "anomalies too; none is used here."
        ),
    }
)
