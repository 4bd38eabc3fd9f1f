from __future__ import annotations

from pathlib import Path

import pytest

from residua.errors import ConfigurationError, ForeignPage, NotAllowed, TokenNeeded
from residua.service.access import Caller, Tokens, check_site, hosts_for

READER, ADMIN = "r" * 20, "a" * 20


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# the line\nreader plc {READER}\n\nadmin eva {ADMIN} # she left\n")
    path.chmod(0o600)
    return path


def test_without_a_file_everybody_may_do_everything() -> None:
    tokens = Tokens.read(None)
    assert not tokens.wanted
    assert tokens.caller(None) == Caller("admin", None)


def test_a_token_gives_its_role_and_name(tokens_file: Path) -> None:
    tokens = Tokens.read(tokens_file)
    assert tokens.caller(f"Bearer {READER}") == Caller("reader", "plc")
    assert tokens.caller(f"bearer  {ADMIN}") == Caller("admin", "eva")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {READER}",
        f"Bearer {READER}x",
        READER,
        "Bearer \udce9",
    ],
)
def test_a_missing_or_wrong_token_is_refused(tokens_file: Path, header: str | None) -> None:
    with pytest.raises(TokenNeeded):
        Tokens.read(tokens_file).caller(header)


def test_a_role_reaches_what_is_below_it() -> None:
    Caller("reviewer", "x").require("reader")
    Caller("reviewer", "x").require("reviewer")
    with pytest.raises(NotAllowed, match="needs the role admin"):
        Caller("reviewer", "x").require("admin")


def test_every_token_is_compared_in_constant_time(
    tokens_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("residua.service.access.hmac.compare_digest", compare)
    tokens = Tokens.read(tokens_file)
    tokens.caller(f"Bearer {READER}")
    assert len(compared) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no token"),
        ("reader plc", "has 2 words; write three"),
        (f"Reader plc {READER}", "did you mean 'reader'"),
        ("reader plc short", "needs at least 16"),
        (f"reader plc {READER}\nadmin eva {READER}", "'eva' has the token of 'plc'"),
    ],
)
def test_a_file_that_holds_no_tokens_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=said):
        Tokens.read(path)


def test_a_file_that_everybody_may_read_is_refused(tokens_file: Path) -> None:
    tokens_file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 640"):
        Tokens.read(tokens_file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Tokens.read(tokens_file.with_name("none"))


def test_no_token_is_in_what_is_printed(tokens_file: Path) -> None:
    assert READER not in repr(vars(Tokens.read(tokens_file)))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "here:8000", "origin": "http://evil.example"},
        {"host": "here:8000", "origin": "null"},
        {"host": "here:8000", "origin": "http://[::1"},
        {"host": "here:8000", "origin": "http://here:9000"},
        {"host": "here:8000", "sec-fetch-site": "cross-site"},
        {"host": "here:8000", "sec-fetch-site": "same-site"},
    ],
)
def test_another_sites_page_cannot_have_anything_changed(headers: dict[str, str]) -> None:
    for method in ("POST", "PUT", "DELETE"):
        with pytest.raises(ForeignPage):
            check_site(method, headers, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "here:8000"},
        {"host": "here:8000", "origin": "http://here:8000", "sec-fetch-site": "same-origin"},
        {"host": "here:8000", "sec-fetch-site": "none"},
    ],
)
def test_the_own_page_and_programs_may(headers: dict[str, str]) -> None:
    check_site("POST", headers, None)


def test_a_foreign_name_that_points_here_is_refused() -> None:
    check_site("GET", {"host": "localhost:8000"}, hosts_for("127.0.0.1", ()))
    check_site("GET", {"host": "[::1]:8000"}, hosts_for("127.0.0.1", ()))
    for host in ("evil.example:8000", "", "[::1", "127.0.0.1.evil.example"):
        with pytest.raises(ForeignPage):
            check_site("GET", {"host": host}, hosts_for("127.0.0.1", ()))


def test_which_names_are_allowed_follows_from_the_address() -> None:
    assert hosts_for("0.0.0.0", ()) is None
    for bound in ("localhost", "127.0.0.2"):
        local = hosts_for(bound, ())
        assert local is not None
        assert {bound, "localhost", "127.0.0.1", "::1"} == set(local)
    allowed = hosts_for("0.0.0.0", ("Line-2.example",))
    assert allowed is not None
    check_site("GET", {"host": "LINE-2.example"}, allowed)
    with pytest.raises(ForeignPage):
        check_site("GET", {"host": "other.example"}, allowed)


def test_a_byte_order_mark_is_no_part_of_a_role(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"reader plc {READER}\n", encoding="utf-8-sig")
    path.chmod(0o600)
    assert Tokens.read(path).caller(f"Bearer {READER}").name == "plc"


@pytest.mark.parametrize("name", ["https://here.example/", "here.example:8000", "a/b", "*", ""])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="give a name alone"):
        hosts_for("0.0.0.0", (name,))
