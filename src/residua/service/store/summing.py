"""The state of the reviews: counts of the tables, and the quality that follows."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, func, select

from residua.service.schemas import ReviewSummary
from residua.service.store.quality import Verdicts, quality_of_all, quality_of_random
from residua.service.store.tables import CONTENTS, PICTURES, USAGE


def summary_of(
    connection: Connection, model: str | None, *, max_bytes: int | None
) -> ReviewSummary:
    """Sum up one model, or all where it is None; see `ReviewStore.summary`."""
    of_model = [] if model is None else [PICTURES.c.model == model]
    groups = (PICTURES.c.anomalous, PICTURES.c.correct, PICTURES.c.came_up)
    rows = connection.execute(
        select(*groups, func.count()).where(*of_model).group_by(*groups)
    ).all()
    kept: Counter[bool] = Counter()
    by_order: dict[str, Counter[tuple[bool, bool]]] = {}
    for anomalous, correct, order, count in rows:
        kept[anomalous] += count
        if correct is not None:
            by_order.setdefault(order, Counter())[anomalous, correct] += count
    everything = Verdicts.of(sum(by_order.values(), Counter()))
    at_random = Verdicts.of(by_order.get("random", Counter()))
    uncertain = Verdicts.of(by_order.get("uncertain", Counter()))
    total, held = connection.execute(select(USAGE.c.size, USAGE.c.held)).one()
    return ReviewSummary(
        model=model,
        kept=kept.total(),
        flagged=kept[True],
        waiting=kept.total() - everything.reviewed,
        size=total if model is None else _size_of(connection, model),
        full=max_bytes is not None and held + _usual_size(connection) > max_bytes,
        random=quality_of_random(
            at_random, flagged=kept[True], passed=kept[False], otherwise=everything - at_random
        ),
        all=quality_of_all(everything, passed=kept[False], uncertain=uncertain.reviewed),
    )


def _size_of(connection: Connection, model: str) -> int:
    used = select(PICTURES.c.content).where(PICTURES.c.model == model)
    total = connection.scalar(select(func.sum(CONTENTS.c.size)).where(CONTENTS.c.digest.in_(used)))
    return int(total or 0)


def _usual_size(connection: Connection) -> int:
    """Return the bytes of a content of late: reviewed ones never fill a store to the last byte."""
    late = (
        select(CONTENTS.c.size)
        .join_from(PICTURES, CONTENTS)
        .order_by(PICTURES.c.id.desc())
        .limit(100)
        .subquery()
    )
    return max(1, int(connection.scalar(select(func.avg(late.c.size))) or 0))
