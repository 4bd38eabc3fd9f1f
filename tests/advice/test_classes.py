from __future__ import annotations

from typing import Any

import numpy as np

from residua.advice.false_positives import classes_behind_false_positives
from residua.advice.lookalikes import anomalous_lookalikes
from residua.advice.missed import missed_anomalies

LABELS = ["a"] * 100 + ["b"] * 100 + ["bad"] * 40
TRUTH = np.array([label == "bad" for label in LABELS])


def scores_with_flags(flagged: Any) -> Any:
    return np.where(flagged, 2.0, 0.5)


def test_a_class_with_most_false_positives_is_named(study_of: Any, noise: Any) -> None:
    flags = np.zeros(240, bool)
    flags[:30] = flags[100:102] = True
    study = study_of(noise(240), labels=LABELS, anomalous=TRUTH, scores=scores_with_flags(flags))
    found = classes_behind_false_positives(study)
    assert found.severity == "advice"
    assert [row["class"] for row in found.table if row["accused"]] == ["a"]
    assert found.numbers["accused_share_of_false_positives"] == 30 / 32
    assert {picture.id for picture in found.pictures} <= {str(i) for i in range(30)}


def test_false_positives_spread_by_size_accuse_no_class(study_of: Any, noise: Any) -> None:
    flags = np.zeros(240, bool)
    flags[:7] = flags[100:106] = True
    study = study_of(noise(240), labels=LABELS, anomalous=TRUTH, scores=scores_with_flags(flags))
    assert classes_behind_false_positives(study).severity == "fine"


def test_a_small_class_is_not_accused_by_chance(study_of: Any, noise: Any) -> None:
    labels = ["big"] * 195 + ["small"] * 5
    flags = np.zeros(200, bool)
    flags[:12] = flags[195:196] = True
    study = study_of(
        noise(200), labels=labels, anomalous=np.zeros(200), scores=scores_with_flags(flags)
    )
    assert classes_behind_false_positives(study).severity == "fine"


def test_without_truth_false_positives_cannot_be_told(study_of: Any, noise: Any) -> None:
    assert not classes_behind_false_positives(study_of(noise(20))).made


def test_missed_clusters_are_told_apart(study_of: Any, noise: Any) -> None:
    images = noise(240)
    dark, light = noise(20, seed=1) // 16, 255 - noise(20, seed=2) // 16
    images[200:220], images[220:] = dark, light
    study = study_of(
        images, labels=LABELS, anomalous=TRUTH, scores=scores_with_flags(np.zeros(240, bool))
    )
    found = missed_anomalies(study)
    assert found.severity == "warning"
    clusters = [row for row in found.table if "cluster" in row]
    assert [row["pictures"] for row in clusters] == [20, 20]
    assert found.table[0] == {
        "class": "bad",
        "pictures": 40,
        "missed": 40,
        "missed_share": 1.0,
        "mean_score": 0.5,
    }


def test_found_anomalies_are_fine(study_of: Any, noise: Any) -> None:
    study = study_of(noise(240), labels=LABELS, anomalous=TRUTH, scores=scores_with_flags(TRUTH))
    found = missed_anomalies(study)
    assert (found.severity, found.made) == ("fine", True)
    assert found.numbers["missed"] == 0


def test_anomalous_pictures_beside_a_normal_class_are_found_with_the_class(
    study_of: Any, noise: Any
) -> None:
    images = noise(240)
    images[200:220] = images[100:120] ^ 1
    study = study_of(images, labels=LABELS, anomalous=TRUTH)
    found = anomalous_lookalikes(study)
    assert found.severity == "advice"
    assert found.numbers["lookalikes"] >= 20
    assert {row["class"] for row in found.table[:20]} == {"b"}
    assert found.pictures[0].position - found.pictures[1].position == 100


def test_anomalous_pictures_far_from_normal_ones_are_fine(study_of: Any, noise: Any) -> None:
    images = noise(240) // 4
    images[200:] = 255 - noise(40, seed=3) // 8
    found = anomalous_lookalikes(study_of(images, labels=LABELS, anomalous=TRUTH))
    assert (found.severity, found.made) == ("fine", True)
