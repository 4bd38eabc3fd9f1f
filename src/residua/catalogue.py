"""What the built-in networks are, in words and numbers, without importing them or torch.

Tests hold the numbers of weights to the networks', and the costs to what
``benchmarks/model_cost.py`` has measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SMALL = (28, 28, 1)
"""Height, width and channels of the small pictures to which a card's numbers refer: grey."""
LARGE = (128, 128, 3)
"""Those of the large ones: colour."""
DEFAULT_MODEL = "conv"
"""The network where nobody names one."""
COMPARED = ("conv", "repairing", "seed-mnist", "seed-caltech")
"""Networks that `residua compare` takes where nobody names methods: all would take an hour."""
SEARCHED = ("conv", "repairing", "restoring", "seed-mnist", "seed-caltech")
"""Networks that `residua refine` searches where nobody names one."""


@dataclass(frozen=True)
class ModelCard:
    """A network as `residua models` shows it; times are medians relative to those of ``conv``.

    Numbers are None where they depend on a backbone that the user chooses.
    """

    what: str
    """What it is, in a line."""
    when: str
    """When to choose it, in a line."""
    source: str
    """The paper that it comes from, or the report."""
    weights_small: int | None
    """Trained numbers for `SMALL` pictures."""
    weights_large: int | None
    """Trained numbers for `LARGE` pictures."""
    training_small: float | None
    """Time of a training step on `SMALL` pictures, in steps of ``conv``."""
    training_large: float | None
    """Time of a training step on `LARGE` pictures, in steps of ``conv``."""
    scoring_small: float | None
    """Time to score a `SMALL` picture with ONNX Runtime, in those of ``conv``."""
    scoring_large: float | None
    """Time to score a `LARGE` picture with ONNX Runtime, in those of ``conv``."""


CATALOGUE: Mapping[str, ModelCard] = MappingProxyType(
    {
        "conv": ModelCard(
            what="strided convolutions to a small code, sub-pixel convolutions back",
            when="a start: quick to train and to score, and the measure of all others",
            source="Shi et al., CVPR 2016 (sub-pixel convolutions)",
            weights_small=206_900,
            weights_large=2_595_228,
            training_small=1.00,
            training_large=0.98,
            scoring_small=0.98,
            scoring_large=0.96,
        ),
        "residual": ModelCard(
            what="residual blocks in both halves, several times as deep as conv",
            when="pictures with much structure, thousands of them, and time to train",
            source="He et al., CVPR 2016",
            weights_small=470_260,
            weights_large=3_652_028,
            training_small=3.83,
            training_large=3.34,
            scoring_small=3.52,
            scoring_large=2.78,
        ),
        "denoising": ModelCard(
            what="conv, trained to rebuild clean pictures from noisy ones",
            when="grain, dust or dead pixels are normal and must not raise the score",
            source="Vincent et al., ICML 2008; JMLR 2010",
            weights_small=206_900,
            weights_large=2_595_228,
            training_small=1.03,
            training_large=1.19,
            scoring_small=1.02,
            scoring_large=1.00,
        ),
        "variational": ModelCard(
            what="conv with a code that is drawn near a standard normal distribution",
            when="codes are looked at or measured: they lie smoothly around one centre",
            source="Kingma and Welling, ICLR 2014; Higgins et al., ICLR 2017",
            weights_small=257_092,
            weights_large=3_643_932,
            training_small=1.03,
            training_large=1.04,
            scoring_small=0.98,
            scoring_large=1.02,
        ),
        "adversarial": ModelCard(
            what="conv with codes that a discriminator cannot tell from a standard normal draw",
            when="as variational, where that one's reconstructions are too blurred",
            source="Makhzani et al., 2015",
            weights_small=225_717,
            weights_large=2_628_381,
            training_small=1.23,
            training_large=1.00,
            scoring_small=0.93,
            scoring_large=0.99,
        ),
        "memory": ModelCard(
            what="conv that rebuilds from a few remembered normal codes",
            when="conv rebuilds the anomalies too well; normal pictures come in a few kinds",
            source="Gong et al., ICCV 2019 (MemAE)",
            weights_small=214_900,
            weights_large=2_659_228,
            training_small=1.04,
            training_large=1.03,
            scoring_small=1.08,
            scoring_large=0.88,
        ),
        "masked": ModelCard(
            what="a small transformer that predicts each patch from the others",
            when="something is missing, out of place or too much, in pictures of one layout",
            source="He et al., CVPR 2022 (MAE); Xiao et al., NeurIPS 2021",
            weights_small=202_248,
            weights_large=294_920,
            training_small=2.41,
            training_large=0.51,
            scoring_small=5.47,
            scoring_large=0.83,
        ),
        "restoring": ModelCard(
            what="conv, trained to take synthetic defects out of pictures",
            when="small local defects: scratches, stains, chips",
            source="Zavrtanik et al., ICCV 2021 (DRÆM); Li et al., CVPR 2021 (CutPaste)",
            weights_small=206_900,
            weights_large=2_595_228,
            training_small=1.14,
            training_large=1.20,
            scoring_small=1.01,
            scoring_large=1.02,
        ),
        "repairing": ModelCard(
            what="conv, trained to bring back blocks that were overwritten",
            when="foreign things more than faint marks: what belongs there is known from around",
            source="Pathak et al., CVPR 2016 (context encoders); Li et al., CVPR 2021 (CutPaste)",
            weights_small=206_900,
            weights_large=2_595_228,
            training_small=1.02,
            training_large=1.09,
            scoring_small=1.02,
            scoring_large=0.99,
        ),
        "features": ModelCard(
            what="rebuilds the features of a frozen pretrained network instead of pixels",
            when="photographs of things, where pixels say little; needs a backbone file",
            source="Yang et al., Neurocomputing 2021 (DFR)",
            weights_small=None,
            weights_large=None,
            training_small=None,
            training_large=None,
            scoring_small=None,
            scoring_large=None,
        ),
        "seed-mnist": ModelCard(
            what="the network of the MNIST report: max-pooling, and a code larger than the picture",
            when="to reproduce that report",
            source="the first source report",
            weights_small=74_497,
            weights_large=75_651,
            training_small=1.54,
            training_large=3.02,
            scoring_small=1.77,
            scoring_large=2.48,
        ),
        "seed-caltech": ModelCard(
            what="the network of the Caltech-101 report: transposed convolutions",
            when="to reproduce that report",
            source="the second source report",
            weights_small=309_825,
            weights_large=4_257_923,
            training_small=0.44,
            training_large=0.54,
            scoring_small=0.31,
            scoring_large=0.48,
        ),
    }
)
