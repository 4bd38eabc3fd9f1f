from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from residua.service.store.texts import storable

any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=600)


@given(any_text)
def test_storable_text_is_short_printable_unicode_and_stays_as_it_is(text: str) -> None:
    stored = storable(text)
    assert len(stored) <= 500
    assert stored.encode().decode() == stored
    assert "\x00" not in stored
    assert storable(stored) == stored


@pytest.mark.parametrize("text", ["line 1/a.png", "Prüfung　二.png", "😀", "", "a\\x00"])
def test_text_that_can_be_printed_is_stored_as_it_is(text: str) -> None:
    assert storable(text) == text


@pytest.mark.parametrize(
    ("text", "stored"),
    [("a\x00b", "a\\x00b"), ("\udc80", "\\udc80"), ("\n", "\\n"), ("‮", "\\u202e")],
)
def test_what_cannot_be_printed_is_written_out(text: str, stored: str) -> None:
    assert storable(text) == stored


def test_what_is_cut_says_so() -> None:
    assert storable("x" * 500) == "x" * 500
    assert storable("x" * 501) == "x" * 499 + "…"
