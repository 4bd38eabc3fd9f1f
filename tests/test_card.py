from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from residua import AutoencoderDetector
from residua.card import card


def test_a_fitted_detector_shows_itself(detector: AutoencoderDetector) -> None:
    shown = detector._repr_html_()
    assert f"{detector.threshold_.upper:.6g}" in shown
    assert "network" in shown
    assert "<svg" in shown
    assert detector._repr_mimebundle_()["text/html"] == shown


def test_an_unfitted_detector_shows_its_parameters() -> None:
    shown = AutoencoderDetector(latent_dim=7)._repr_html_()
    assert "sk-" in shown
    assert "7" in shown


def test_the_card_is_well_formed(detector: AutoencoderDetector) -> None:
    shown = card(detector.manifest_, detector.calibration_scores_)
    svg = ElementTree.fromstring(shown[shown.index("<svg") : shown.index("</svg>") + 6])
    bars = svg.findall("g/rect")
    assert 1 < len(bars) <= 42
    assert all(float(bar.attrib["height"]) > 0 for bar in bars)


def test_equal_scores_make_a_card(detector: AutoencoderDetector) -> None:
    assert "<rect" in card(detector.manifest_, np.full(5, 0.01))
    assert "<svg" in card(detector.manifest_, np.zeros(5))
