"""What the table says of a row: figures over its seeds, and whether they reach the goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from quality.kept import Result
from quality.rows import Goal


def over_seeds(results: Sequence[Result], measure: str, cases: Sequence[str]) -> dict[int, float]:
    """Return a measured figure by seed: the mean over the cases.

    A seed of which a case is still missing is left out: the mean over the others is another figure.
    """
    return _complete({(r.seed, r.case): r.measured for r in results}, measure, cases)


def beside(
    results: Sequence[Result], kind: str, cases: Sequence[str]
) -> dict[str, dict[int, float]]:
    """Return the AUROC of each ``"baselines"`` or ``"other_scores"`` by name and by seed."""
    given = {(r.seed, r.case): getattr(r, kind) for r in results}
    names = dict.fromkeys(name for values in given.values() for name in values)
    return {name: _complete(given, name, cases) for name in names}


def with_spread(values: Mapping[int, float], form: str) -> str:
    """Write the mean with the standard deviation over seeds; of one seed the figure alone."""
    found = list(values.values())
    if not found:
        return "–"
    if len(found) == 1:
        return written(found[0], form)
    # A deviation has no sign.
    return f"{written(mean(found), form)} ± {written(stdev(found), form.removeprefix('+'))}"


def written(value: float, form: str) -> str:
    """Write a figure; a percent sign stands apart."""
    return f"{value:{form}}".replace("%", " %")


def verdict(goal: Goal, values: Mapping[int, float]) -> str:
    """Say whether the mean over seeds reaches the goal, or by how much it does not."""
    if not values:
        return "not measured"
    short = goal.short_by(mean(values.values()))
    if short == 0:
        return "met"
    # Rounding must not hide that it is short.
    amount = written(short, goal.form.removeprefix("+"))
    if not float(amount.removesuffix(" %")):
        amount = f"{short:.1e}"
    return f"{'over' if goal.at_most else 'short'} by {amount}"


def _complete(
    given: Mapping[tuple[int, str], Mapping[str, float]], name: str, cases: Sequence[str]
) -> dict[int, float]:
    figures: dict[int, float] = {}
    for seed in sorted({seed for seed, _ in given}):
        found = [given.get((seed, case), {}).get(name) for case in cases]
        values = [value for value in found if value is not None]
        if len(values) == len(cases):
            figures[seed] = mean(values)
    return figures
