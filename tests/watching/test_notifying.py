from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.watching.conftest import Server, until

from residua.errors import ConfigurationError
from residua.watching import notifying
from residua.watching.ledger import Call, Entry, Ledger, Outcome
from residua.watching.notices import Notices
from residua.watching.notifying import Channel, NotDelivered, Sender, Webhook, drop_unwanted
from residua.watching.outbox import Delivery, Outbox

BODY = json.dumps({"id": "ä.png", "score": 1.5}, ensure_ascii=False)
DELIVERY = Delivery(1, "key-1", BODY, None, 0)


def put(ledger: Ledger, *keys: str, channel: str = "webhook") -> None:
    calls = [Call(channel, key, json.dumps({"id": key}), None) for key in keys]
    ledger.record([Entry(b"x", b"", None, Outcome.ANOMALOUS, 1.0, "{}", calls)])


def send(webhook: Webhook) -> None:
    webhook.send(DELIVERY, threading.Event())


@pytest.fixture
def channel(
    ledger: Ledger, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Channel]]:
    monkeypatch.setattr(notifying, "_FIRST_PAUSE", 0.05)
    started: list[Channel] = []

    def start(url: str, give_up: float = 3600.0) -> Channel:
        outbox = Outbox(ledger, "webhook")
        started.append(Channel(Webhook(url), outbox, notices, give_up))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_the_notification_is_posted_as_json_with_its_key(server: Server) -> None:
    send(Webhook(f"{server.url}/alarm?line=3"))
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/alarm?line=3")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Idempotency-Key"] == "key-1"
    assert json.loads(request.body) == {"id": "ä.png", "score": 1.5}
    assert "X-Residua-Signature" not in request.headers


def test_the_signature_is_the_hmac_of_the_body(server: Server) -> None:
    send(Webhook(server.url, secret="s3cret"))
    (request,) = server.requests
    expected = hmac.new(b"s3cret", request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Residua-Signature"] == f"sha256={expected}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_to_another_host_is_followed(
    status: int, server: Server, other_server: Server
) -> None:
    server.answer = lambda _: (status, {"Location": f"{other_server.url}/steal"}, b"")
    with pytest.raises(NotDelivered, match="points elsewhere"):
        send(Webhook(server.url, secret="s3cret"))
    assert other_server.requests == []


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_on_the_same_host_is_followed_with_the_same_content(
    status: int, server: Server
) -> None:
    server.answer = lambda request: (
        (status, {"Location": "/there"}, b"") if request.path == "/here" else (204, {}, b"")
    )
    send(Webhook(f"{server.url}/here", secret="s3cret"))
    first, second = server.requests
    assert (second.method, second.path, second.body) == ("POST", "/there", first.body)
    for name in ("Idempotency-Key", "X-Residua-Signature", "Content-Type"):
        assert second.headers[name] == first.headers[name]


def test_a_redirect_that_would_become_a_get_is_a_failure(server: Server) -> None:
    server.answer = lambda _: (302, {"Location": "/there"}, b"")
    with pytest.raises(NotDelivered):
        send(Webhook(server.url))
    assert len(server.requests) == 1


def test_an_answer_that_never_comes_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NotDelivered, match="timed out"):
            send(Webhook(url, timeout=0.2))


def test_the_receiver_may_ask_for_a_pause(server: Server) -> None:
    server.answer = lambda _: (503, {"Retry-After": "7"}, b"")
    with pytest.raises(NotDelivered, match="503") as caught:
        send(Webhook(server.url))
    assert caught.value.wait == 7.0


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "file:///etc/passwd", "http://", "host", "http://h/ x"]
)
def test_an_address_that_is_not_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="wanted an address such as"):
        Webhook(url)


def test_a_webhook_that_fails_first_gets_it_later_under_the_same_key(
    server: Server, ledger: Ledger, channel: Callable[..., Channel], said: list[str]
) -> None:
    server.answer = lambda _: (500 if len(server.requests) < 4 else 200, {}, b"")
    put(ledger, "only")
    channel(server.url)
    until(lambda: Outbox(ledger, "webhook").waiting() == 0)
    assert [request.headers["Idempotency-Key"] for request in server.requests] == ["only"] * 4
    until(lambda: len(said) == 2)
    assert "fails (it answers 500" in said[0]
    assert said[1].endswith("works again")


def test_one_that_is_refused_for_ever_holds_up_no_other(
    server: Server, ledger: Ledger, channel: Callable[..., Channel], said: list[str]
) -> None:
    server.answer = lambda r: (400 if r.headers["Idempotency-Key"] == "bad" else 200, {}, b"")
    put(ledger, "bad", "good-1", "good-2")
    one = channel(server.url)
    until(lambda: Outbox(ledger, "webhook").waiting() == 1)
    put(ledger, "good-3")
    one.wake()
    until(lambda: "good-3" in [r.headers["Idempotency-Key"] for r in server.requests])
    until(lambda: [r.headers["Idempotency-Key"] for r in server.requests].count("bad") >= 3)
    assert len(said) == 1  # though it failed several times, with successes between


def test_what_waits_too_long_is_recorded_as_failed_and_said(
    server: Server, ledger: Ledger, channel: Callable[..., Channel], said: list[str]
) -> None:
    server.answer = lambda _: (500, {}, b"")
    put(ledger, "late")
    channel(server.url, give_up=0.3)
    until(lambda: Outbox(ledger, "webhook").waiting() == 0)
    with ledger.reading() as base:
        ((why,),) = base.execute("SELECT failed FROM outbox").fetchall()
    assert "given up" in why
    until(lambda: any("1 notification given up" in line for line in said))


def test_closing_does_not_wait_for_a_pause(
    server: Server, ledger: Ledger, notices: Notices
) -> None:
    server.answer = lambda _: (503, {"Retry-After": "60"}, b"")
    put(ledger, "a")
    one = Channel(Webhook(server.url), Outbox(ledger, "webhook"), notices, 3600.0)
    until(lambda: Outbox(ledger, "webhook").has_failed)
    begun = time.monotonic()
    one.close()
    assert time.monotonic() - begun < 2
    assert Outbox(ledger, "webhook").waiting() == 1


def test_what_waits_for_a_channel_that_is_no_longer_given_is_said(
    ledger: Ledger, notices: Notices, said: list[str]
) -> None:
    put(ledger, "a", "b", channel="command")
    drop_unwanted(Outbox(ledger, "command"), "command", notices)
    assert said[0].startswith("2 notifications waited for a command")
    assert Outbox(ledger, "command").waiting() == 0


class Stumbling(Sender):
    """Fails at first in a way that no sender should."""

    channel, name = "webhook", "the sender"

    def __init__(self) -> None:
        self.tries = 0

    def send(self, delivery: Delivery, stop: threading.Event) -> None:
        self.tries += 1
        if self.tries < 3:
            raise RuntimeError("can't start new thread")


def test_no_failure_ends_the_deliveries(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody_listens(_: str) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(notifying, "_FIRST_PAUSE", 0.05)
    put(ledger, "a")
    sender, outbox = Stumbling(), Outbox(ledger, "webhook")
    one = Channel(sender, outbox, Notices(nobody_listens), 3600.0)
    until(lambda: outbox.waiting() == 0)
    one.close()
    assert sender.tries == 3


def test_a_ledger_that_fails_for_a_while_ends_no_deliveries(
    server: Server,
    ledger: Ledger,
    channel: Callable[..., Channel],
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(_: Outbox) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(notifying, "_LEDGER_PAUSE", 0.05)
    put(ledger, "a")
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "next", failing)
        channel(server.url)
        until(lambda: said)
    until(lambda: len(said) == 2)
    assert "held up (no room)" in said[0]
    assert "go out again" in said[1]


def test_many_deliveries_look_for_late_ones_once(
    server: Server,
    ledger: Ledger,
    channel: Callable[..., Channel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = []
    monkeypatch.setattr(Outbox, "give_up", lambda *_: looks.append(1) or 0)
    put(ledger, *(str(number) for number in range(30)))
    channel(server.url)
    until(lambda: Outbox(ledger, "webhook").waiting() == 0)
    assert len(server.requests) == 30
    assert len(looks) == 1


def test_a_pause_is_never_more_than_five_minutes(channel: Callable[..., Channel]) -> None:
    one = channel("http://host")
    pauses = [one._pause(30) for _ in range(200)]
    assert min(pauses) >= 150.0
    assert max(pauses) <= 300.0
