from __future__ import annotations

import subprocess
import sys

import pytest

from residua.scoring.names import SCORES, in_words, is_of_code, unit_of
from residua.scoring.score import PARTS, SURPRISE


def test_every_score_has_a_name_a_description_and_a_unit() -> None:
    assert set(SCORES) == {*PARTS, SURPRISE}
    for name in SCORES:
        assert unit_of(name) != name
        assert SCORES[name] in in_words(name, "squared", "mean")


def test_arguments_are_kept_and_do_not_hide_the_name() -> None:
    assert in_words("knn(10)", "squared", "mean").startswith("knn(10): distance of the code")
    assert unit_of("knn(10)") == unit_of("knn")
    assert is_of_code("knn(10)")
    assert not is_of_code("surprise")


@pytest.mark.parametrize(
    ("score", "named"),
    [
        ("error", "squared, max(2)"),
        ("relative", "squared, max(2)"),
        ("surprise", "squared, max(2)"),
        ("normalised", "squared"),
        ("knn", ""),
    ],
)
def test_only_what_a_score_depends_on_is_named(score: str, named: str) -> None:
    said = in_words(score, "squared", "max(2)")
    assert said == f"{score}: {SCORES[score]}" + (f"; {named}" if named else "")


def test_of_a_wide_code_and_of_features_no_untrue_word_is_said() -> None:
    assert "distance of the code" in in_words("surprise", "squared", "mean", code_size=4_096)
    assert "too wide" in in_words("surprise", "squared", "mean", code_size=4_097)
    for name in SCORES:
        assert "squared" not in in_words(name, "squared", "topk(0.1)", features=True)


def test_names_need_no_torch() -> None:
    program = "import sys, residua.scoring.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
