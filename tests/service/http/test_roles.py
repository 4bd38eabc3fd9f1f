from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOKENS = {role: f"{role}-{'0' * 20}" for role in ("reader", "reviewer", "admin")}
Run = Callable[..., Any]

# What each path asks for, by method.
WANTED = {
    ("GET", "/"): None,
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/openapi.json"): None,
    ("GET", "/problems/{slug}"): None,
    ("GET", "/static/{name}"): None,
    ("GET", "/metrics"): "reader",
    ("GET", "/v1/session"): "reader",
    ("GET", "/v1/models"): "reader",
    ("GET", "/v1/models/{name}"): "reader",
    ("POST", "/v1/models/{name}/score"): "reader",
    ("POST", "/v1/models/{name}/drift/reset"): "admin",
    ("POST", "/v1/models/{name}/recalibration/preview"): "admin",
    ("POST", "/v1/models/{name}/recalibration"): "admin",
    ("GET", "/v1/reviews/queue"): "reviewer",
    ("GET", "/v1/reviews/summary"): "reviewer",
    ("GET", "/v1/reviews/export"): "reviewer",
    ("GET", "/v1/reviews/{id}"): "reviewer",
    ("GET", "/v1/reviews/{id}/picture"): "reviewer",
    ("GET", "/v1/reviews/{id}/views"): "reviewer",
    ("PUT", "/v1/reviews/{id}/judgement"): "reviewer",
    ("DELETE", "/v1/reviews/{id}/judgement"): "reviewer",
    ("DELETE", "/v1/reviews/{id}"): "admin",
}
ORDER = ("reader", "reviewer", "admin")


@pytest.fixture
def guarded(run: Run, tmp_path: Path) -> Any:
    path = tmp_path / "tokens"
    path.write_text("".join(f"{role} {role}-name {token}\n" for role, token in TOKENS.items()))
    path.chmod(0o600)
    return run(tokens=path)


def test_every_route_says_which_role_it_asks_for(guarded: Any) -> None:
    document = guarded.client.get("/openapi.json").json()
    routes = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert routes == set(WANTED) - {
        ("GET", "/"), ("GET", "/static/{name}"), ("GET", "/openapi.json")
    }  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WANTED, ids=" ".join)
def test_a_route_is_open_from_its_role_up(guarded: Any, method: str, path: str) -> None:
    where = path.format(slug="too-busy", name="blobs" if "models" in path else "app.css", id=1)
    body = {"correct": True} if "judgement" in path else {"confirmation": "x"}
    wanted = WANTED[method, path]
    for role in (None, *ORDER):
        headers = {} if role is None else {"Authorization": f"Bearer {TOKENS[role]}"}
        content = {"json": body} if method in ("PUT", "POST") and "score" not in path else {}
        answer = guarded.client.request(method, where, headers=headers, **content)
        if wanted is None or (role is not None and ORDER.index(role) >= ORDER.index(wanted)):
            assert answer.status_code not in (401, 403), answer.text
        elif role is None:
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert answer.json()["type"] == "/problems/token-needed"
        else:
            assert answer.status_code == 403
            assert answer.json()["type"] == "/problems/not-allowed"


def test_a_wrong_token_is_refused_before_the_body_is_read(guarded: Any) -> None:
    answer = guarded.client.post(
        "/v1/models/blobs/score",
        content=b"x" * 1_000_000,
        headers={"Authorization": "Bearer wrong-wrong-wrong-wrong"},
    )
    assert answer.status_code == 401


def test_the_session_says_who_one_is(guarded: Any, run: Run, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKENS['reviewer']}"}
    session = guarded.client.get("/v1/session", headers=headers).json()
    assert (session["role"], session["name"]) == ("reviewer", "reviewer-name")
    session = run(data=tmp_path / "of another").client.get("/v1/session").json()
    assert (session["role"], session["name"], session["keep"]) == ("admin", None, "all")


def test_who_has_no_token_is_told_nothing_else(guarded: Any) -> None:
    for path, content in (
        ("/v1/reviews/1/judgement", b"no json"),
        ("/v1/reviews/one/judgement", b"{}"),
    ):
        assert guarded.client.put(path, content=content).status_code == 401
    assert guarded.client.get("/v1/models?none=1").status_code == 401
    assert guarded.client.get("/v1/nothing").status_code == 401
