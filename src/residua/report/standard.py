"""The sections that every report has, in the order in which a person wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from residua.advice.finding import Finding
from residua.evaluation.evaluate import Evaluation
from residua.evaluation.scored import ScoredSet
from residua.images.source import ImageSource
from residua.report.advised import advice_section
from residua.report.apart import apart_section
from residua.report.fitted import fitted_section
from residua.report.recipe import Recipe, recipe_section
from residua.report.sections import GalleryBlock, LiveBlock, Section
from residua.report.seeing import seeing_section
from residua.report.verdict import verdict_section


def standard_sections(
    model: Any,
    scored: ScoredSet,
    evaluation: Evaluation,
    findings: Sequence[Finding],
    *,
    recipe: Recipe,
    training: ImageSource | None = None,
    more: Sequence[Section] = (),
) -> list[Section]:
    """Return the sections of a report.

    Parameters
    ----------
    model : path-like, Scorer or AutoencoderDetector
        What scored the pictures.
    scored : ScoredSet
    evaluation : Evaluation
        Of ``scored``.
    findings : sequence of Finding
        Advice; empty: the report has no such section.
    recipe : Recipe
    training : ImageSource or None
        The pictures of the fit, to show those that the advice names.
    more : sequence of Section
        Further sections: right after the verdict where they are ``early``, else before the recipe.
    """
    advice = [advice_section(model, scored, findings, training)] if findings else []
    return [
        verdict_section(scored, evaluation, findings),
        *(section for section in more if section.early),
        Section(
            "threshold",
            "Try another threshold",
            "Drag, or use the arrow keys to step from one score to the next. Nothing here changes "
            "the model; it shows what another threshold would have said of these pictures.",
            [LiveBlock()],
        ),
        Section("gallery", "Flagged pictures", "", [GalleryBlock()]),
        apart_section(scored, evaluation),
        seeing_section(model, scored),
        fitted_section(scored, evaluation),
        *advice,
        *(section for section in more if not section.early),
        recipe_section(recipe),
    ]
