"""A drift of the scores in words: what has moved, by how much, what it may mean, what to do."""

from __future__ import annotations

from math import comb

from residua.scoring.drift import DriftState

# Shares of pairs so near to one half are of samples with much the same middle.
_BALANCED = 0.05


def words(state: DriftState) -> str:
    """Say what has moved, by how much, what it may mean and what to do."""
    if state.p_value is None or state.distance is None:
        return (
            f"Too few scores to tell: {state.every - state.until_look:,} of the {state.every:,} "
            f"that the first comparison with calibration needs."
        )
    samples = f"the latest {state.compared:,} scores and the {state.calibration:,} of calibration"
    figures = (
        f"distance {state.distance:.2f} of at most 1, p-value {state.p_value:.2g} where this look "
        f"allows {state.level:.2g}"
    )
    if state.since is None:
        return f"No drift shows between {samples} ({figures}).{_caveat(state)}"
    raised = f"Drift since {state.since:%Y-%m-%d %H:%M %Z}"
    if not state.shown:
        return (
            f"{raised}, though the latest look no longer shows it between {samples} ({figures}). "
            f"Look at the pictures of that time, then reset the alarm."
        )
    moved, means = _moved(state)
    return (
        f"{raised}: {moved} ({figures}). {means} Look at the latest pictures. Where they are good, "
        f"recalibrate on such pictures; else mend the cause and reset the alarm."
    )


def _moved(state: DriftState) -> tuple[str, str]:
    """Say what has moved and by how much, and what that may mean."""
    assert state.higher is not None
    assert state.middle is not None
    middles = f"the middle one is {state.middle:.4g}, in calibration {state.calibration_middle:.4g}"
    if abs(state.higher - 0.5) < _BALANCED:
        return (
            f"the latest {state.compared:,} scores spread otherwise than those of calibration, "
            f"about much the same middle; {middles}",
            "There may be two kinds of pictures where there was one, such as two lamps, cameras or "
            "products, or a part of them has changed.",
        )
    if state.direction == "higher":
        return (
            f"the latest {state.compared:,} scores are higher than those of calibration in "
            f"{state.higher:.0%} of all pairs; {middles}",
            "More pictures are anomalous, or light, camera, position or the product itself have "
            "changed, and good pictures are flagged more often than was promised.",
        )
    return (
        f"the latest {state.compared:,} scores are lower than those of calibration in "
        f"{1 - state.higher:.0%} of all pairs; {middles}",
        "The pictures have become plainer, as out of focus, in less light or behind dirt, or the "
        "product has changed; anomalies may pass.",
    )


def _caveat(state: DriftState) -> str:
    """Say where the greatest distance there is could not have raised the alarm."""
    assert state.level is not None
    # Two of all paths lead along the edges.
    least = 2 / comb(state.calibration + state.compared, state.compared)
    if least <= state.level:
        return ""
    return (
        f" But with {state.calibration:,} of calibration no drift could have been shown, however "
        f"great; recalibrate on more pictures."
    )
