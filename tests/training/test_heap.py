from __future__ import annotations

import platform

import pytest

from residua.training import heap


def test_limits_are_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    class Library:
        def mallopt(self, parameter: int, value: int) -> None:
            calls.append((parameter, value))

        def malloc_trim(self, pad: int) -> None:
            calls.append("trimmed")

    monkeypatch.setattr(heap, "_glibc", Library)

    def interrupted_training() -> None:
        with heap.freed_memory_kept():
            during.update(call for call in calls if isinstance(call, tuple))
            raise KeyboardInterrupt

    during: dict[int, int] = {}
    with pytest.raises(KeyboardInterrupt):
        interrupted_training()
    after = dict(call for call in calls if isinstance(call, tuple))
    assert during[-4] == 0
    assert all(after[parameter] != during[parameter] for parameter in during)
    assert calls[-1] == "trimmed"


def test_without_glibc_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(heap, "_set", lambda *_: pytest.fail("a limit was set"))
    with heap.freed_memory_kept():
        pass
