from __future__ import annotations

import pytest

from residua.errors import BadLabels
from residua.evaluation.truth import default_truth, truth_of

LABELS = ["good", "scratch", "good", "dent"]


def test_what_is_not_named_normal_is_anomalous() -> None:
    assert truth_of(LABELS, normal=["good"]).tolist() == [False, True, False, True]


def test_what_is_not_named_anomalous_is_normal() -> None:
    assert truth_of(LABELS, anomalous=["dent"]).tolist() == [False, False, False, True]


def test_both_may_be_named_if_they_name_all() -> None:
    truth = truth_of(LABELS, normal=["good"], anomalous=["dent", "scratch"])
    assert truth.tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        (None, {"normal": ["good"]}, "have no classes"),
        (LABELS, {}, "no class is named"),
        (LABELS, {"normal": ["god"]}, "did you mean 'good'"),
        (LABELS, {"normal": ["good"], "anomalous": ["good", "dent"]}, "name it once"),
        (LABELS, {"normal": ["good"], "anomalous": ["dent"]}, "'scratch' is named neither"),
    ],
)
def test_names_that_do_not_fit_are_refused(labels: list, names: dict, said: str) -> None:
    with pytest.raises(BadLabels, match=said):
        truth_of(labels, **names)


def test_a_data_set_knows_its_anomalous_classes() -> None:
    labels = ["Free", "Blowhole", "Free"]
    assert default_truth("magnetic-tile", labels).tolist() == [False, True, False]


def test_a_folders_class_good_is_normal() -> None:
    assert default_truth("parts", LABELS).tolist() == [False, True, False, True]


def test_nothing_is_known_of_other_classes() -> None:
    assert default_truth("parts", ["cat", "dog"]) is None
    assert default_truth("parts", None) is None
    assert default_truth("parts", ["good", "good"]) is None
