"""The kept models of a refinement on labelled pictures, after the search has ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from residua.errors import BadLabels
from residua.evaluation.ranking import rank_metrics
from residua.evaluation.scored import score_source
from residua.evaluation.truth import known_truth
from residua.images.resolve import resolve_source
from residua.refinement.result import Refinement, Step, Tested
from residua.refinement.study import RESULT
from residua.writing import write_text


def measure_steps(
    refinement: Refinement,
    folder: Path,
    data: Any,
    *,
    normal: Sequence[str] | None = None,
    anomalous: Sequence[str] | None = None,
) -> Refinement:
    """Measure each step's model on labelled pictures, which have no part in what was chosen.

    Parameters
    ----------
    refinement : Refinement
    folder : Path
        Where its models lie; ``refinement.json`` there is written anew.
    data : whatever `residua.images.resolve_source` takes
    normal, anomalous : sequence of str or None
        Classes; see `residua.evaluation.truth.truth_of`.

    Raises
    ------
    BadLabels
        It is not known which pictures are anomalous.
    InputError
        All are of one kind.
    """
    source = resolve_source(data, prefer="test")
    truth = known_truth(data, source.labels, normal=normal, anomalous=anomalous)
    if truth is None:
        raise BadLabels(
            "it is not known which test pictures are anomalous; name the normal or the anomalous "
            "classes"
        )
    steps = []
    for step in refinement.steps:
        scored = score_source(folder / step.bundle, source, truth=truth)
        assert scored.anomalous is not None
        auroc = rank_metrics(scored.anomalous, scored.scores)["auroc"]
        found = Tested(
            auroc=auroc.value,
            low=auroc.low,
            high=auroc.high,
            accuracy=float((scored.flagged == scored.anomalous).mean()),
            mean_error=float(scored.mse.mean()),
        )
        steps.append(Step.model_validate({**step.model_dump(), "tested": found}))
    measured = refinement.model_copy(update={"steps": steps})
    write_text(folder / RESULT, measured.model_dump_json(indent=2) + "\n")
    return measured
