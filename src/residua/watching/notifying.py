"""Telling of anomalous pictures: a webhook or a command, tried until it is done.

Each channel has a thread of its own, so that one that is down stops neither the scoring nor the
other. What waits lies in the ledger: at least once is told, also after a kill.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import math
import random
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod

from residua.errors import ConfigurationError
from residua.watching.notices import Notices
from residua.watching.origin import StaysThere, checked_url, without_password
from residua.watching.outbox import Delivery, Outbox

SIGNATURE_HEADER = "X-Residua-Signature"
CHANNELS = ("webhook", "command")
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
_LEDGER_PAUSE = 5.0
_GIVE_UP_EVERY = 60.0


class NotDelivered(Exception):
    """An attempt failed; another one follows."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait
        """Seconds that the other side asks for until the next attempt."""


class Sender(ABC):
    """One way to tell of a picture."""

    channel: str
    """webhook or command."""
    name: str
    """What notices call it."""

    @abstractmethod
    def send(self, delivery: Delivery, stop: threading.Event) -> None:
        """Tell it; comes back soon once ``stop`` is set.

        Raises
        ------
        NotDelivered
            It did not work this time.
        """


class Webhook(Sender):
    """POSTs the notification as JSON.

    Parameters
    ----------
    url : str
        http or https. A redirect within the same scheme, host and port is followed (307 and 308),
        any other is a failure.
    secret : str or None
        With it the header ``X-Residua-Signature`` holds ``sha256=`` and the HMAC-SHA256 of the
        body, hexadecimal.
    timeout : float
        Seconds without an answer until an attempt has failed.

    Raises
    ------
    ConfigurationError
        The address is none of http or https, or holds a password.
    """

    channel = "webhook"

    def __init__(self, url: str, *, secret: str | None = None, timeout: float = 10.0) -> None:
        parts = checked_url(url, "the webhook")
        if "@" in parts.netloc:
            raise ConfigurationError(
                "the webhook's address holds a password, which is not sent; leave it out and check "
                "the signature instead (RESIDUA_WEBHOOK_SECRET)"
            )
        # The path may be a secret, as it is with chat services.
        self.name = f"the webhook at {parts.hostname}"
        self._url, self._secret, self._timeout = without_password(parts), secret, timeout
        self._opener = urllib.request.build_opener(StaysThere)

    def send(self, delivery: Delivery, stop: threading.Event) -> None:
        """POST it; any status of 200 to 299 is a success. See `Sender.send`."""
        body = delivery.body.encode()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": delivery.key,
            "User-Agent": "residua-watch",
        }
        if self._secret:
            digest = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
            headers[SIGNATURE_HEADER] = f"sha256={digest}"
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout):
                return
        except urllib.error.HTTPError as error:
            with error:
                raise NotDelivered(_status(error), _retry_after(error)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise NotDelivered(str(reason) or type(error).__name__) from error


def _status(error: urllib.error.HTTPError) -> str:
    if 300 <= error.code < 400:
        return f"it answers {error.code} and points elsewhere; give that address"
    return f"it answers {error.code} {error.reason}"


def _retry_after(error: urllib.error.HTTPError) -> float:
    text = error.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0


class Channel:
    """Delivers what waits in an outbox, in a thread of its own, until it is closed.

    What fails is tried again after a pause, twice as long each time up to five minutes, of which
    chance takes off up to a half; the channel itself pauses likewise while nothing goes through.
    So neither a receiver that is down nor one notification that it refuses holds up the others.

    Parameters
    ----------
    sender : Sender
    outbox : Outbox
    notices : Notices
    give_up : float
        Seconds after which a notification is recorded as failed, of those that watchers run.
    """

    def __init__(self, sender: Sender, outbox: Outbox, notices: Notices, give_up: float) -> None:
        self._sender, self._outbox, self._notices = sender, outbox, notices
        self._give_up = give_up
        self._stop, self._more = threading.Event(), threading.Event()
        self._failures = 0
        self._give_up_at = -math.inf
        self._idle = threading.Event()
        self._random = random.Random()
        self._thread = threading.Thread(
            target=self._run, name=f"residua-{sender.channel}", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new in the outbox."""
        self._idle.clear()
        self._more.set()

    @property
    def idle(self) -> bool:
        """Whether all that was there when it was woken has been tried."""
        return self._idle.is_set()

    @property
    def waiting(self) -> int:
        """Notifications that are not delivered yet."""
        return self._outbox.waiting()

    def close(self) -> None:
        """End the thread; what is under way is broken off, and tried again at the next start."""
        self._stop.set()
        self._more.set()
        self._thread.join(2 * _FIRST_PAUSE)

    def _run(self) -> None:
        begun = False
        while not self._stop.is_set():
            try:
                if not begun:
                    self._outbox.begin()
                    begun = True
                pause = self._deliver_next()
            except Exception as error:  # most often of the ledger; without this thread none is told
                if self._stop.is_set():
                    return  # the ledger was closed before an attempt came to its end
                self._notices.trouble(
                    f"outbox {self._sender.channel}",
                    f"notifications are held up ({error}); trying again",
                )
                pause = _LEDGER_PAUSE
            if pause:
                self._stop.wait(pause)

    def _deliver_next(self) -> float:
        """Deliver one, or wait for one; return the seconds to pause."""
        self._more.clear()
        self._give_up_late()
        delivery = self._outbox.next()
        if delivery is None or delivery.attempts:
            self._idle.set()
        if delivery is None:
            self._more.wait(self._outbox.pause())
            return 0.0
        try:
            self._sender.send(delivery, self._stop)
        except NotDelivered as error:
            return self._failed(delivery, str(error), error.wait)
        except Exception as error:  # such as no memory for another process
            return self._failed(delivery, str(error) or type(error).__name__, 0.0)
        self._outbox.delivered(delivery)
        self._failures = 0
        if not self._outbox.has_failed:
            self._notices.over(self._sender.channel, f"{self._sender.name} works again")
        self._notices.over(f"outbox {self._sender.channel}", "notifications go out again")
        return 0.0

    def _failed(self, delivery: Delivery, why: str, wait: float) -> float:
        if self._stop.is_set():
            return 0.0  # it was broken off
        self._outbox.failed(delivery, max(wait, self._pause(delivery.attempts)))
        self._notices.trouble(
            self._sender.channel,
            f"{self._sender.name} fails ({why}); it is tried again and again",
        )
        self._failures += 1
        return self._pause(self._failures - 1)

    def _pause(self, failures: int) -> float:
        pause = min(_FIRST_PAUSE * 2.0 ** min(failures, 20), _LONGEST_PAUSE)
        return pause * self._random.uniform(0.5, 1.0)

    def _give_up_late(self) -> None:
        now = time.monotonic()
        if now < self._give_up_at:
            return
        self._give_up_at = now + min(_GIVE_UP_EVERY, self._give_up)
        why = f"given up after {self._give_up / 3600:g} hours"
        late = self._outbox.give_up(self._give_up, why)
        if late:
            self._notices.say(f"{self._sender.name}: {_notifications(late)} {why}")


def _notifications(count: int) -> str:
    return "1 notification" if count == 1 else f"{count:,} notifications"


def drop_unwanted(outbox: Outbox, channel: str, notices: Notices) -> None:
    """Record what waits for a channel that is no longer given as failed, and say so."""
    with contextlib.suppress(sqlite3.Error):
        dropped = outbox.give_up(0.0, f"no {channel} was given any more")
        if dropped:
            notices.say(
                f"{_notifications(dropped)} waited for a {channel}; none is given any more, which "
                f"is recorded as a failure"
            )
