"""Threshold rules by name: fitted on the scores of normal pictures, they say what is anomalous.

None of `RULES` sees an anomaly: what they promise, they promise from normal pictures alone. Those
of `LABELLED_RULES` do, and a threshold of theirs says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from residua.errors import ConfigurationError
from residua.scoring.expressions import build_named
from residua.scoring.rules.base import Rule, Threshold, ThresholdRule
from residua.scoring.rules.conformal import Auto, Conformal
from residua.scoring.rules.labelled import BestF1, LabelledRule, Youden
from residua.scoring.rules.simple import MAD, Percentile, ZScore
from residua.scoring.rules.tails import Tail

__all__ = [
    "LABELLED_RULES",
    "MAD",
    "RULES",
    "Auto",
    "BestF1",
    "Conformal",
    "LabelledRule",
    "Percentile",
    "Rule",
    "Tail",
    "Threshold",
    "ThresholdRule",
    "Youden",
    "ZScore",
    "any_rule",
    "build_rule",
]

RULES: Mapping[str, type[ThresholdRule]] = MappingProxyType(
    {
        "auto": Auto,
        "conformal": Conformal,
        "percentile": Percentile,
        "zscore": ZScore,
        "mad": MAD,
        "tail": Tail,
    }
)
LABELLED_RULES: Mapping[str, type[LabelledRule]] = MappingProxyType(
    {"best_f1": BestF1, "youden": Youden}
)


def build_rule(rule: str | Rule) -> ThresholdRule:
    """Return the rule that a text such as ``"zscore(3, two_sided=True)"`` names.

    Raises
    ------
    UnknownName
        No rule has that name.
    ConfigurationError
        The text cannot be read, or the rule needs labelled anomalies.
    """
    built = any_rule(rule)
    if isinstance(built, ThresholdRule):
        return built
    raise ConfigurationError(
        f"threshold rule '{built}' needs labelled anomalies, which have no part in a fit; fit with "
        f"another rule, then: residua recalibrate BUNDLE NORMAL --anomalous FOLDER "
        f"--threshold {built}"
    )


def any_rule(rule: str | Rule) -> ThresholdRule | LabelledRule:
    """Return the rule that a text names, one that needs labelled anomalies among them.

    Raises
    ------
    UnknownName
        No rule has that name.
    ConfigurationError
        The text cannot be read.
    """
    if isinstance(rule, ThresholdRule | LabelledRule):
        return rule
    known: dict[str, Callable[..., ThresholdRule | LabelledRule]] = {**RULES, **LABELLED_RULES}
    return build_named("threshold rule", str(rule), known)
