"""What a store promises, over SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import update

from residua.errors import ConfigurationError, NoSuchPicture
from residua.service.store.pictures import NewPicture
from residua.service.store.store import ReviewStore
from residua.service.store.tables import DRIFT

Picture = Callable[..., NewPicture]
Sums = Callable[[ReviewStore], tuple[tuple[int, int], tuple[int, int]]]


def keep(store: ReviewStore, *pictures: NewPicture, max_bytes: int | None = None) -> list[int]:
    ids = store.keep(pictures, max_bytes=max_bytes)
    assert None not in ids
    return ids  # type: ignore[return-value]


def judge(store: ReviewStore, id: int, correct: bool = True, order: str = "random") -> None:
    store.judge(id, correct=correct, reviewer="eva", order=order)  # type: ignore[arg-type]


def test_a_kept_picture_comes_back_as_it_was(store: ReviewStore, picture: Picture) -> None:
    before = datetime.now(UTC)
    (id,) = keep(store, picture(b"\x00\xff", score=0.1 + 0.2, lower=-0.25, p_value=1 / 3))
    kept = store.get(id)
    assert (kept.model, kept.revision, kept.name) == ("part", "0123456789ab", "line/1.png")
    assert (kept.score, kept.lower, kept.p_value) == (0.1 + 0.2, -0.25, 1 / 3)
    assert (kept.verdict, kept.truth, kept.correct) == ("anomalous", None, None)
    assert (kept.width, kept.height, kept.size) == (16, 12, 2)
    assert before <= kept.created <= datetime.now(UTC)
    assert store.content(id) == ("image/png", b"\x00\xff")


def test_numbers_of_numpy_are_taken(store: ReviewStore, picture: Picture) -> None:
    (id,) = keep(
        store,
        picture(
            score=np.float32(0.5),
            margin=np.float32(2),
            anomalous=np.bool_(False),
            width=np.int64(7),
        ),
    )
    kept = store.get(id)
    assert (kept.score, kept.verdict, kept.width) == (0.5, "normal", 7)


def test_a_number_that_is_none_is_refused_and_an_infinite_margin_is_not(picture: Picture) -> None:
    assert picture(margin=float("inf")).margin == float("inf")
    for wrong in ({"score": float("nan")}, {"p_value": float("inf")}, {"margin": -1.0}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            picture(**wrong)


def test_an_infinite_margin_comes_last(store: ReviewStore, picture: Picture) -> None:
    never, unsure = keep(store, picture(margin=float("inf")), picture(b"2", margin=0.5))
    assert [kept.id for kept in store.queue(order="uncertain").items] == [unsure, never]


def test_equal_contents_are_stored_once(store: ReviewStore, picture: Picture, sums: Sums) -> None:
    first, second = keep(store, picture(b"same", name="a"), picture(b"same", name="b"))
    (third,) = keep(store, picture(b"same", name="c"))
    assert store.summary().size == 4
    store.remove(first)
    store.remove(third)
    assert store.content(second) == ("image/png", b"same")
    store.remove(second)
    assert sums(store) == ((0, 0), (0, 0))


def test_a_number_is_never_given_again(store: ReviewStore, picture: Picture) -> None:
    (id,) = keep(store, picture())
    store.remove(id)
    assert keep(store, picture())[0] > id


def test_nothing_to_keep_is_nothing_kept(store: ReviewStore) -> None:
    assert store.keep([], max_bytes=1) == []


@pytest.mark.parametrize("id", [12345, 0, -1, 2**63 - 1, 2**63, -(2**63) - 1, 10**30])
def test_an_unknown_number_is_named(store: ReviewStore, id: int) -> None:
    for call in (
        lambda: store.get(id),
        lambda: store.content(id),
        lambda: store.judge(id, correct=True, reviewer=None, order="random"),
        lambda: store.withdraw(id),
        lambda: store.history(id),
        lambda: store.remove(id),
    ):
        with pytest.raises(NoSuchPicture, match=str(id)):
            call()


def test_each_order_puts_its_own_first(store: ReviewStore, picture: Picture) -> None:
    margins = [3.0, 1.0, 2.0, 1.0]
    ids = keep(store, *(picture(bytes([n]), margin=m) for n, m in enumerate(margins)))
    items = store.queue(order="uncertain").items
    assert [kept.id for kept in items] == [ids[1], ids[3], ids[2], ids[0]]
    assert [kept.id for kept in store.queue(order="latest").items] == ids[::-1]
    assert store.queue(order="latest", limit=2).waiting == 4
    assert [kept.id for kept in store.queue(order="latest", limit=2).items] == [ids[3], ids[2]]
    assert store.queue(limit=0).items == []


def test_the_random_order_is_one_for_all_and_not_that_of_arrival(
    store: ReviewStore, picture: Picture
) -> None:
    ids = keep(store, *(picture(bytes([n])) for n in range(40)))
    order = [kept.id for kept in store.queue(order="random").items]
    assert order != ids  # by chance once in 40!
    assert sorted(order) == ids
    assert order == [kept.id for kept in store.queue(order="random").items]
    judge(store, order[0])
    assert [kept.id for kept in store.queue(order="random").items] == order[1:]


def test_a_queue_is_of_one_model_or_all(store: ReviewStore, picture: Picture) -> None:
    part, lid = keep(store, picture(), picture(b"2", model="lid"))
    assert [kept.id for kept in store.queue(model="lid").items] == [lid]
    assert store.queue(model="lid").waiting == 1
    assert store.queue(model="else").waiting == 0
    assert {kept.id for kept in store.queue().items} == {part, lid}


@pytest.mark.parametrize(
    ("anomalous", "correct", "truth"),
    [
        (True, True, "anomalous"),
        (True, False, "normal"),
        (False, True, "normal"),
        (False, False, "anomalous"),
    ],
)
def test_a_judgement_says_what_the_picture_is(
    store: ReviewStore, picture: Picture, anomalous: bool, correct: bool, truth: str
) -> None:
    (id,) = keep(store, picture(anomalous=anomalous))
    kept = store.judge(id, correct=correct, reviewer="eva", order="uncertain")
    assert (kept.truth, kept.correct, kept.reviewed_by) == (truth, correct, "eva")
    assert kept.reviewed is not None
    assert kept == store.get(id)
    assert store.queue().waiting == 0
    for said in ("normal", "anomalous"):
        assert len(store.reviewed(truth=said)) == (said == truth)  # type: ignore[arg-type]


def test_the_later_of_two_reviewers_counts_and_both_are_remembered(
    store: ReviewStore, picture: Picture
) -> None:
    (id,) = keep(store, picture())
    store.judge(id, correct=True, reviewer="eva", order="random")
    store.judge(id, correct=False, reviewer=None, order="latest")
    assert (store.get(id).correct, store.get(id).reviewed_by) == (False, None)
    said = [(one.reviewer, one.correct, one.order) for one in store.history(id)]
    assert said == [("eva", True, "random"), (None, False, "latest")]


def test_a_withdrawn_review_waits_again_and_stays_in_the_history(
    store: ReviewStore, picture: Picture, sums: Sums
) -> None:
    (id,) = keep(store, picture(b"12345"))
    judge(store, id)
    assert sums(store)[0] == (5, 5)
    kept = store.withdraw(id, reviewer="tom")
    assert (kept.truth, kept.correct, kept.reviewed_by, kept.reviewed) == (None, None, None, None)
    assert store.queue().waiting == 1
    assert [(one.reviewer, one.correct) for one in store.history(id)] == [
        ("eva", True),
        ("tom", None),
    ]
    assert sums(store) == ((5, 0), (5, 0))
    store.withdraw(id)
    assert len(store.history(id)) == 2


def test_a_removed_picture_takes_its_reviews_along(
    store: ReviewStore, picture: Picture, sums: Sums
) -> None:
    (id,) = keep(store, picture())
    judge(store, id)
    store.remove(id)
    with pytest.raises(NoSuchPicture):
        store.history(id)
    assert sums(store) == ((0, 0), (0, 0))
    with store._database.reading() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM residua_reviews").scalar()
    assert left == 0


def test_room_is_made_by_the_oldest_that_nobody_reviewed(
    store: ReviewStore, picture: Picture
) -> None:
    reviewed, oldest, newer = keep(store, *(picture(bytes([n]) * 10) for n in range(3)))
    judge(store, reviewed)
    (new,) = keep(store, picture(b"n" * 10), max_bytes=30)
    with pytest.raises(NoSuchPicture):
        store.get(oldest)
    assert {store.get(id).id for id in (reviewed, newer, new)} == {reviewed, newer, new}


def test_nothing_is_removed_for_a_picture_that_would_not_fit_anyway(
    store: ReviewStore, picture: Picture
) -> None:
    reviewed, waiting = keep(store, picture(b"r" * 20), picture(b"w" * 5))
    judge(store, reviewed)
    ids = store.keep([picture(b"x" * 11), picture(b"y" * 10), picture(b"z")], max_bytes=30)
    assert ids[0] is None
    assert ids[1] is not None
    assert ids[2] is None  # those of the same call are not given up for one another
    with pytest.raises(NoSuchPicture):
        store.get(waiting)
    assert store.summary().size == 30


def test_a_content_that_is_there_takes_no_room(store: ReviewStore, picture: Picture) -> None:
    (reviewed,) = keep(store, picture(b"r" * 30))
    judge(store, reviewed)
    for lowered in (30, 10):
        given = [picture(b"r" * 30, name="again"), picture(b"o")]
        same, other = store.keep(given, max_bytes=lowered)
        assert same is not None
        assert store.get(same).name == "again"
        assert other is None


def test_a_full_store_says_so(store: ReviewStore, picture: Picture) -> None:
    ids = keep(store, *(picture(bytes([n]) * 10) for n in range(3)))
    assert not store.summary(max_bytes=35).full
    for id in ids:
        judge(store, id)
    assert store.keep([picture(b"n" * 10)], max_bytes=35) == [None]
    assert store.summary(max_bytes=35).full
    assert not store.summary(max_bytes=40).full
    assert not store.summary().full


def test_what_is_too_old_goes_unless_it_is_reviewed(store: ReviewStore, picture: Picture) -> None:
    reviewed, waiting = keep(store, picture(b"1"), picture(b"2"))
    judge(store, reviewed)
    month = timedelta(days=30)
    now = datetime.now(UTC)
    assert store.retain(now=now, max_age=month, max_bytes=None) == 0
    assert store.retain(now=now + month, max_age=month, max_bytes=None) == 1
    with pytest.raises(NoSuchPicture):
        store.get(waiting)
    assert store.get(reviewed).truth == "anomalous"


def test_what_is_too_many_goes_the_oldest_first(store: ReviewStore, picture: Picture) -> None:
    ids = keep(store, *(picture(bytes([n]) * 10) for n in range(5)))
    judge(store, ids[0])
    removed = store.retain(now=datetime.now(UTC), max_age=None, max_bytes=30)
    assert removed == 2
    assert [kept.id for kept in store.queue(order="latest").items] == [ids[4], ids[3]]
    assert store.retain(now=datetime.now(UTC), max_age=None, max_bytes=0) == 2
    assert store.summary().kept == 1


def test_one_call_of_retention_does_a_bounded_amount_of_work(
    store: ReviewStore, picture: Picture
) -> None:
    keep(store, *(picture(n.to_bytes(2)) for n in range(700)))
    later = datetime.now(UTC) + timedelta(days=1)
    removed = [
        store.retain(now=later, max_age=timedelta(hours=1), max_bytes=None) for _ in range(3)
    ]
    assert removed == [500, 200, 0]


def test_a_summary_counts_one_model_or_all(store: ReviewStore, picture: Picture) -> None:
    ids = keep(
        store,
        picture(b"11"),
        picture(b"22", anomalous=False),
        picture(b"33", anomalous=False),
        picture(b"11", model="lid"),
    )
    judge(store, ids[0])
    judge(store, ids[1], correct=False)
    store.judge(ids[2], correct=True, reviewer=None, order="uncertain")
    part = store.summary("part")
    assert (part.model, part.kept, part.flagged, part.waiting, part.size) == ("part", 3, 1, 0, 6)
    assert (part.all.true_positives, part.all.false_negatives) == (1, 1)
    assert (part.all.true_negatives, part.all.false_positives) == (1, 0)
    assert (part.random.true_positives, part.random.false_negatives) == (1, 1)
    assert part.random.true_negatives == 0
    every = store.summary()
    assert (every.model, every.kept, every.flagged, every.waiting, every.size) == (None, 4, 2, 1, 6)
    assert store.summary("else").kept == 0


def test_reviewed_pictures_are_chosen_by_model_truth_order_and_revision(
    store: ReviewStore, picture: Picture
) -> None:
    ids = keep(
        store,
        picture(b"0", fitted_upper=0.25),
        picture(b"1", model="lid"),
        picture(b"2", revision="other"),
        picture(b"3"),
        picture(b"4"),
    )
    judge(store, ids[0], correct=False)
    judge(store, ids[1])
    judge(store, ids[2], correct=False, order="latest")
    judge(store, ids[3])
    assert list(store.reviewed().ids) == ids[:4]
    assert list(store.reviewed("part").ids) == [ids[0], ids[2], ids[3]]
    assert list(store.reviewed("part", truth="normal").ids) == [ids[0], ids[2]]
    assert list(store.reviewed(sample="random").ids) == [ids[0], ids[1], ids[3]]
    assert list(store.reviewed(revision="other").ids) == [ids[2]]
    (found,) = store.reviewed("part", truth="normal", sample="random")
    assert (found.record.truth, found.content, found.fitted_upper) == ("normal", b"0", 0.25)


def test_what_changes_while_reviewed_pictures_are_read_is_left_out(
    store: ReviewStore, picture: Picture
) -> None:
    ids = keep(store, *(picture(bytes([n])) for n in range(4)))
    for id in ids:
        judge(store, id)
    reviewed = store.reviewed(truth="anomalous")
    store.remove(ids[0])
    store.withdraw(ids[1])
    judge(store, ids[2], correct=False)
    assert [one.record.id for one in reviewed] == [ids[3]]
    assert [record.id for record in reviewed.records()] == [ids[3]]
    assert len(reviewed) == 4


def test_records_are_read_without_contents_in_parts(store: ReviewStore, picture: Picture) -> None:
    ids = keep(store, *(picture(n.to_bytes(2)) for n in range(201)))
    for id in ids:
        judge(store, id)
    assert [record.id for record in store.reviewed().records()] == ids


HOSTILE = [
    "a\x00b",
    "lone \udc80",
    "\ud83d",
    "😀" * 3,
    "x" * 10_000,
    "😀" * 10_000,
    "‮gpj.exe",
    "\n",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_taken_and_can_be_shown(
    store: ReviewStore, picture: Picture, text: str
) -> None:
    (id,) = keep(store, picture(model=text, revision=text, name=text, media_type=text))
    kept = store.judge(id, correct=True, reviewer=text, order="random")
    for stored in (kept.model, kept.revision, kept.name, kept.media_type, kept.reviewed_by):
        assert stored is not None
        assert stored.encode()
        assert stored.isprintable()
        assert 0 < len(stored) <= 500
    assert len(store.reviewed(text, revision=text)) == 1
    assert store.summary(text).kept == 1
    store.save_drift_state(text, text, text, {"seen": text})
    assert store.drift_state(text, text, text) == {"seen": text}


def test_the_state_of_drift_is_one_record_a_station(store: ReviewStore) -> None:
    assert store.drift_state("part", "r", "a") is None
    store.save_drift_state("part", "r", "a", {"scores": [0.5, 1e-300]})
    store.save_drift_state("part", "r", "b", {})
    store.save_drift_state("part", "r", "a", {"scores": [0.25]})
    assert store.drift_state("part", "r", "a") == {"scores": [0.25]}
    assert store.drift_state("part", "r", "b") == {}
    assert store.drift_state("part", "ra", "") is None


def test_records_of_drift_of_long_gone_revisions_are_removed(store: ReviewStore) -> None:
    def written(*ago: tuple[str, str, str, int]) -> None:
        for model, revision, station, days in ago:
            store.save_drift_state(model, revision, station, {})
            with store._database.writing() as connection:
                connection.execute(
                    update(DRIFT)
                    .where(DRIFT.c.revision == revision)
                    .values(saved=datetime.now(UTC) - timedelta(days=days))
                )

    written(
        ("part", "recent", "a", 89),
        ("part", "elsewhere", "b", 91),
        ("lid", "other", "a", 91),
        ("part", "gone", "a", 91),
    )
    store.save_drift_state("part", "now", "a", {"seen": 1})
    assert store.drift_state("part", "gone", "a") is None
    assert store.drift_state("part", "recent", "a") == {}
    assert store.drift_state("part", "elsewhere", "b") == {}
    assert store.drift_state("lid", "other", "a") == {}
    assert store.drift_state("part", "now", "a") == {"seen": 1}
