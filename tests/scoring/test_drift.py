from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from residua.errors import ConfigurationError, InputError
from residua.scoring import drift
from residua.scoring.drift import DriftWatch
from residua.scoring.drift_words import words
from residua.scoring.kolmogorov_smirnov import distance_between, p_value_of

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def normal(n: int, seed: int = 0, *, mean: float = 0.0, std: float = 1.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, std, n)


def raised_after(watch: DriftWatch, scores: NDArray[np.float64]) -> int | None:
    """Return how many of the scores had come when the alarm was raised."""
    for number, score in enumerate(scores, 1):
        watch.add(score)
        if watch.state.alarm:
            return number
    return None


@pytest.fixture
def quick_p_values(monkeypatch: pytest.MonkeyPatch) -> None:
    # Distances of small samples are few, and each is asked for again and again.
    monkeypatch.setattr(drift, "p_value_of", cache(p_value_of))


@pytest.mark.usefixtures("quick_p_values")
@pytest.mark.parametrize(("window", "every"), [(40, 40), (60, 15)])
def test_a_false_alarm_is_ever_raised_no_more_often_than_the_level_says(
    window: int, every: int
) -> None:
    level, streams, rng = 0.2, 600, np.random.default_rng(1)
    raised = 0
    for _ in range(streams):
        watch = DriftWatch(rng.normal(size=100), level=level, window=window, every=every)
        watch.add(rng.normal(size=50 * every))
        raised += watch.state.alarm
    # Three standard deviations of a count of so many streams, each with the level as its chance.
    assert raised <= streams * level + 3 * np.sqrt(streams * level * (1 - level))
    # And the level is made use of: the first look alone may spend half of it.
    assert raised >= streams * level / 4


@pytest.mark.usefixtures("quick_p_values")
def test_scores_with_ties_raise_no_more_false_alarms() -> None:
    level, streams, rng = 0.2, 300, np.random.default_rng(2)
    raised = 0
    for _ in range(streams):
        watch = DriftWatch(rng.integers(0, 4, 60), level=level, window=40, every=20)
        watch.add(rng.integers(0, 4, 600))
        raised += watch.state.alarm
    assert raised <= streams * level + 3 * np.sqrt(streams * level * (1 - level))


@pytest.mark.parametrize("seed", range(8))
def test_a_shift_by_one_standard_deviation_is_seen_within_300_scores(seed: int) -> None:
    watch = DriftWatch(normal(1_000, seed))
    watch.add(normal(500, seed + 100))
    assert not watch.state.alarm
    watch.add(normal(300, seed + 200, mean=1), at=NOON)
    state = watch.state
    assert (state.alarm, state.since, state.direction) == (True, NOON, "higher")


def test_a_shift_that_was_there_from_the_start_is_seen_at_the_first_look() -> None:
    watch = DriftWatch(normal(1_000))
    assert raised_after(watch, normal(200, 1, mean=-1.5)) == 50
    assert watch.state.direction == "lower"


def test_a_wider_spread_about_the_same_middle_is_seen() -> None:
    watch = DriftWatch(normal(1_000))
    watch.add(normal(500, 1, std=3))
    assert watch.state.alarm
    assert "spread otherwise" in words(watch.state)


def test_a_look_finds_what_the_test_finds_on_the_latest_scores() -> None:
    calibration, scores = normal(120), normal(330, 1, mean=0.1)
    watch = DriftWatch(calibration, level=0.05, window=100, every=40)
    watch.add(scores)
    state = watch.state
    compared = scores[220:320]
    apart = distance_between(compared, calibration)
    assert (state.watched, state.looks, state.compared, state.until_look) == (330, 8, 100, 30)
    assert state.distance == apart.value
    assert state.p_value == p_value_of(apart.steps, 100, 120)
    assert state.level == 0.05 / (8 * 9)
    assert state.middle == np.median(compared)
    assert state.higher == pytest.approx((compared[:, None] > calibration).mean())
    assert not state.shown


def test_an_alarm_stays_when_the_scores_are_normal_again_until_it_is_reset() -> None:
    watch = DriftWatch(normal(300), window=100, every=50)
    watch.add(normal(100, 1, mean=2), at=NOON)
    watch.add(normal(200, 2))
    assert (watch.state.alarm, watch.state.shown, watch.state.since) == (True, False, NOON)
    assert "the latest look no longer shows it" in words(watch.state)
    watch.reset()
    state = watch.state
    assert (state.alarm, state.since, state.looks, state.p_value) == (False, None, 0, None)
    assert state.watched == 0
    watch.add(normal(50, 3))
    assert watch.state.level == 0.01 / 2
    assert not watch.state.alarm


@pytest.mark.parametrize("broken_at", [0, 1, 49, 50, 51, 620, 999])
def test_a_restart_in_the_middle_raises_the_same_alarm_at_the_same_score(broken_at: int) -> None:
    calibration = normal(200)
    scores = np.concatenate([normal(600, 1), normal(400, 2, mean=0.9)])
    whole, first = (DriftWatch(calibration, window=200) for _ in range(2))
    raised = raised_after(whole, scores)
    assert raised is not None
    assert raised > 600
    before = raised_after(first, scores[:broken_at])
    text = first.to_json()
    second = DriftWatch.from_json(calibration[::-1], text, window=200)
    assert second.state == first.state
    if before is None:
        after = raised_after(second, scores[broken_at:])
        assert after is not None
        assert broken_at + after == raised
    else:
        assert before == raised
        assert second.state.since == first.state.since


@given(
    count=st.integers(0, 120),
    cuts=st.lists(st.integers(0, 120), max_size=6),
    every=st.integers(1, 20),
    mean=st.floats(-1, 1),
)
@settings(deadline=None, max_examples=60)
def test_what_is_found_does_not_depend_on_how_scores_are_divided_or_saved(
    count: int, cuts: list[int], every: int, mean: float
) -> None:
    calibration, scores = normal(30), normal(count, 1, mean=mean)
    whole = DriftWatch(calibration, level=0.5, window=20, every=every)
    whole.add(scores, at=NOON)
    parts = DriftWatch(calibration, level=0.5, window=20, every=every)
    for part in np.split(scores, sorted(cuts)):
        parts.add(part, at=NOON)
        parts = DriftWatch.from_json(
            calibration, parts.to_json(), level=0.5, window=20, every=every
        )
    assert parts.state == whole.state
    assert parts.to_json() == whole.to_json()
    assert words(whole.state)


def test_equal_scores_throughout_are_no_drift() -> None:
    watch = DriftWatch(np.full(100, 0.3))
    watch.add(np.full(600, 0.3))
    assert (watch.state.distance, watch.state.p_value, watch.state.alarm) == (0.0, 1.0, False)
    assert watch.state.direction is None


def test_equal_scores_elsewhere_are_drift() -> None:
    watch = DriftWatch(np.full(100, 0.3))
    watch.add(np.full(50, 0.2))
    assert (watch.state.distance, watch.state.higher, watch.state.alarm) == (1.0, 0.0, True)


def test_a_large_calibration_is_compared_in_part_and_always_the_same_part() -> None:
    calibration = normal(5_000)
    one, other = (DriftWatch(c, window=50, every=50) for c in (calibration, calibration[::-1]))
    for watch in (one, other):
        watch.add(normal(50, 1))
    assert one.state.calibration == 500
    assert one.state == other.state


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused_and_nothing_is_taken_in(bad: float) -> None:
    watch = DriftWatch([1.0, 2.0], window=4, every=2)
    before = watch.to_json()
    with pytest.raises(InputError, match="NaN or infinite"):
        watch.add([1.0, 2.0, bad])
    assert watch.to_json() == before
    with pytest.raises(InputError, match="NaN or infinite"):
        DriftWatch([1.0, bad])


def test_no_calibration_scores_are_refused() -> None:
    with pytest.raises(InputError, match="no calibration scores"):
        DriftWatch([])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"level": 0.0}, "level .* is 0.0"),
        ({"level": 1.0}, "level .* is 1.0"),
        ({"window": 1}, "window is 1 scores"),
        ({"window": 2_001}, "2 to 2,000"),
        ({"every": 0}, "after every 0"),
        ({"every": 501}, "1 to the window, 500"),
    ],
)
def test_a_setting_outside_its_range_is_refused(setting: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        DriftWatch([1.0, 2.0], **setting)


def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has no zone"):
        DriftWatch([1.0]).add([1.0], at=datetime(2026, 3, 1))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"calibration": [1.0, 2.5]}, "other calibration scores"),
        ({"level": 0.02}, r"other level \(0.01, now 0.02\)"),
        ({"window": 100}, "other window"),
        ({"every": 25}, "other scores from look to look"),
    ],
)
def test_the_state_of_another_watch_is_refused(other: dict[str, object], said: str) -> None:
    text = DriftWatch([1.0, 2.0]).to_json()
    with pytest.raises(ConfigurationError, match=said):
        DriftWatch.from_json(**{"calibration": [1.0, 2.0], "text": text, **other})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version"),
        ({"latest": []}, "contradict"),
        ({"watched": 3}, "contradict"),
        ({"found": None}, "contradict"),
        ({"more": 1}, "more"),
    ],
)
def test_a_state_that_was_altered_is_refused(change: dict[str, object], said: str) -> None:
    watch = DriftWatch([1.0, 2.0], window=4, every=2)
    watch.add([1.0, 1.5, 2.0, 1.2])
    text = json.dumps(json.loads(watch.to_json()) | change)
    with pytest.raises(ConfigurationError, match=f"{said}.*begin a new watch"):
        DriftWatch.from_json([1.0, 2.0], text, window=4, every=2)
    with pytest.raises(ConfigurationError, match="not readable"):
        DriftWatch.from_json([1.0, 2.0], "{")


def test_too_few_scores_are_said_to_be_too_few() -> None:
    watch = DriftWatch(normal(100))
    watch.add(normal(30, 1))
    assert words(watch.state) == (
        "Too few scores to tell: 30 of the 50 that the first comparison with calibration needs."
    )


def test_a_calibration_that_can_never_show_a_drift_is_said_to_be_too_small() -> None:
    few, enough = DriftWatch([1.0]), DriftWatch([1.0, 2.0, 3.0, 4.0])
    for watch in (few, enough):
        watch.add(normal(50, 1))
    assert "no drift could have been shown" in words(few.state)
    assert "could have been shown" not in words(enough.state)


@pytest.mark.parametrize(
    ("mean", "said"), [(2.0, ("higher", "flagged more often")), (-2.0, ("lower", "may pass"))]
)
def test_the_words_say_what_moved_by_how_much_and_what_to_do(
    mean: float, said: tuple[str, ...]
) -> None:
    watch = DriftWatch(normal(500))
    watch.add(normal(100, 1, mean=mean), at=NOON)
    text = words(watch.state)
    middles = (f"{watch.state.middle:.4g}", f"{watch.state.calibration_middle:.4g}")
    for part in (
        "Drift since 2026-03-01 12:00 UTC",
        *said,
        *middles,
        "of all pairs",
        "recalibrate",
    ):
        assert part in text
