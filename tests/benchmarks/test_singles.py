from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from quality.protocols import Pictures
from quality.singles import single_scores
from residua import AutoencoderDetector
from residua.errors import ResiduaWarning
from residua.images.source import ArraySource


@pytest.mark.parametrize("score", ["error", "relative", "mahalanobis"])
def test_a_single_score_is_that_of_a_detector_which_gives_no_other(
    detector: AutoencoderDetector,
    blobs: NDArray[np.uint8],
    stripes: NDArray[np.uint8],
    score: str,
) -> None:
    test = np.concatenate([blobs[:20], stripes])
    found = single_scores(
        detector, Pictures(ArraySource(blobs), ArraySource(test), np.arange(40) >= 20)
    )
    alone = AutoencoderDetector(**{**detector.get_params(), "scoring": score})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        wanted = alone.fit(blobs).anomaly_scores(test)
    assert found[score] == pytest.approx(wanted, rel=1e-4)
