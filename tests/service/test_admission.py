from __future__ import annotations

import pytest

from residua.errors import RequestTooLarge, TooBusy
from residua.service.admission import Admission
from residua.service.settings import Limits


def test_a_full_queue_refuses_before_the_body_is_read_and_says_when_to_come_again() -> None:
    admission = Admission(Limits(queue=3))
    admission.check_room()
    with admission.hold_pictures(3), pytest.raises(TooBusy) as refused:
        admission.check_room()
    assert 1 <= refused.value.retry_after <= 60
    admission.check_room()


def test_a_request_that_does_not_fit_beside_the_others_is_refused_whole() -> None:
    admission = Admission(Limits(queue=3))
    with admission.hold_pictures(2):
        with pytest.raises(TooBusy), admission.hold_pictures(2):
            pass
        assert admission.pictures == 2
    assert admission.pictures == 0


def test_a_request_that_could_never_fit_is_too_large_not_too_busy() -> None:
    with pytest.raises(RequestTooLarge), Admission(Limits(queue=3)).hold_pictures(4):
        pass


def test_bytes_are_counted_until_they_are_released() -> None:
    admission = Admission(Limits(bytes_in_flight=100))
    admission.hold_bytes(60)
    with pytest.raises(TooBusy):
        admission.hold_bytes(41)
    admission.release_bytes(60)
    admission.hold_bytes(100)
    assert admission.bytes == 100


def test_pictures_are_released_when_a_request_fails() -> None:
    admission = Admission(Limits(queue=3))
    with pytest.raises(ZeroDivisionError), admission.hold_pictures(3):
        raise ZeroDivisionError
    assert admission.pictures == 0


def test_the_time_to_come_again_follows_how_many_wait_and_how_fast_they_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("residua.service.admission.time.monotonic", lambda: clock[0])
    admission = Admission(Limits(queue=100))
    for _ in range(3):
        clock[0] += 1.0
        with admission.hold_pictures(10):
            pass
    with admission.hold_pictures(100), pytest.raises(TooBusy) as refused:
        admission.check_room()
    assert refused.value.retry_after == 10
