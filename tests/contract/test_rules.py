"""What every threshold rule must satisfy."""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import IdenticalScores, NoSpread
from residua.scoring.thresholds import RULES, Threshold, build_rule

NORMAL = np.random.default_rng(0).gamma(4, 1, 500)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_read_from_its_own_text_sets_the_same_limits(name: str) -> None:
    rule = build_rule(name)
    limits = rule.fit(NORMAL)
    assert limits == build_rule(limits.rule).fit(NORMAL)


@pytest.mark.parametrize("name", RULES)
def test_limits_survive_json(name: str) -> None:
    limits = build_rule(name).fit(NORMAL)
    assert Threshold.model_validate_json(limits.model_dump_json()) == limits


@pytest.mark.parametrize("name", RULES)
def test_most_normal_scores_pass_and_a_huge_one_does_not(name: str) -> None:
    limits = build_rule(name).fit(NORMAL)
    assert limits.is_anomalous(NORMAL).mean() < 0.05
    assert limits.is_anomalous([1e6]).all()


@pytest.mark.parametrize("name", RULES)
def test_identical_scores_flag_none_of_themselves(name: str) -> None:
    same = np.full(500, 0.3)
    if name == "tail":
        with pytest.raises(IdenticalScores, match="conformal"):
            build_rule(name).fit(same)
        return
    with pytest.warns(NoSpread, match=r"all 500 calibration scores are 0\.3"):
        limits = build_rule(name).fit(same)
    assert not limits.is_anomalous(same).any()
    assert limits.is_anomalous([0.4]).all()


@pytest.mark.parametrize("name", RULES)
def test_limits_record_what_they_were_fitted_on(name: str) -> None:
    limits = build_rule(name).fit(NORMAL)
    assert limits.n_normal == 500
    assert limits.normal_mean == pytest.approx(NORMAL.mean())
    assert limits.normal_std == pytest.approx(NORMAL.std(ddof=1))
