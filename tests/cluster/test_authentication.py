"""When Ray shows a token, against a Ray that notes what it was told when it was asked."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from residua.cluster.authentication import as_before, asks_for_token, throwaway_token
from residua.cluster.session import _way_to
from residua.errors import ClusterUnavailable

HERE, THERE = "10.0.0.1:6379", "10.0.0.2:6379"


class Refused(Exception):
    """What Ray raises where a token lacks."""


class FakeRay:
    """Ray's library, of which ``asking`` are the clusters that ask for a token."""

    def __init__(self, asking: set[str]) -> None:
        self.asking = asking
        self.told: list[str | None] = []
        self.read = 0
        self.exceptions = SimpleNamespace(AuthenticationError=Refused)
        self._raylet = SimpleNamespace(
            GcsClient=self.look,
            Config=SimpleNamespace(initialize=lambda _: None),
            AuthenticationTokenLoader=SimpleNamespace(
                instance=lambda: SimpleNamespace(reset_cache=self.reset)
            ),
        )

    def reset(self) -> None:
        self.read += 1

    def look(self, *, address: str) -> None:
        self.told.append(os.environ.get("RAY_AUTH_MODE"))
        if address in self.asking:
            raise Refused


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a token, on the machine that noted a cluster at HERE."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("ray._private.utils.read_ray_address", lambda: HERE)


def test_no_token_is_shown_to_find_out_whether_one_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    ray = FakeRay({HERE})
    assert asks_for_token(ray, HERE)
    assert not asks_for_token(ray, THERE)
    assert ray.told == ["disabled", "disabled"]
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert ray.read == 4  # before each question, and after it


def test_a_ray_that_knows_no_tokens_asks_for_none() -> None:
    assert not asks_for_token(SimpleNamespace(exceptions=SimpleNamespace()), HERE)


@pytest.mark.parametrize(
    ("mode", "asking", "address", "way"),
    [
        (None, set(), HERE, HERE),
        (None, {HERE}, HERE, "auto"),
        (None, {THERE}, THERE, "asks for a token"),
        ("disabled", {HERE}, HERE, "asks for a token"),
        ("token", {THERE}, THERE, THERE),
        ("token", set(), THERE, "takes no token"),
    ],
)
def test_a_token_is_shown_by_leave_of_its_user_alone(
    mode: str | None, asking: set[str], address: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    ray: Any = FakeRay(asking)
    if " " not in way:
        assert _way_to(ray, address) == way
        return
    with pytest.raises(ClusterUnavailable, match=way):
        _way_to(ray, address)


def test_what_ray_changes_for_a_cluster_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    with as_before(FakeRay(set())):
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="of the cluster")
    assert "RAY_AUTH_MODE" not in os.environ
    assert os.environ["RAY_AUTH_TOKEN"] == "mine"


@pytest.mark.parametrize("has", ["nothing", "a file", "a variable", "no wish"])
def test_a_cluster_made_here_has_a_token_of_its_own_where_the_user_has_none(
    has: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has == "a file":
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("mine")
    elif has == "a variable":
        monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    elif has == "no wish":
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    before = os.environ.get("RAY_AUTH_TOKEN")
    tokens = []
    for _ in range(2):
        with throwaway_token(FakeRay(set())):
            tokens.append(os.environ.get("RAY_AUTH_TOKEN"))
    if has == "nothing":
        assert len(set(tokens)) == 2
        assert all(token and len(token) == 64 for token in tokens)
    else:
        assert tokens == [before, before]
    assert os.environ.get("RAY_AUTH_TOKEN") == before
