"""Pictures from a network camera: its snapshot address, asked again and again."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import math
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin

from residua.errors import ConfigurationError, UnreadableFile
from residua.images.opening import PREFIX_BYTES, looks_like_picture
from residua.watching.ledger import Ledger
from residua.watching.notices import Notices
from residua.watching.origin import StaysThere, checked_url, without_password
from residua.watching.source import Candidate, Source

MAX_BYTES = 32 << 20
"""A larger answer is no snapshot."""
_PIECE = 1 << 16
_LONGEST_PAUSE = 60.0
_MOST_DOUBLINGS = 10
_STEP = 0.5


class CameraSource(Source):
    """A camera's snapshots, each that differs from the one before.

    Parameters
    ----------
    url : str
        http or https. A user and password in it, or given apart, answer the camera when it asks
        for them (basic or digest).
    ledger : Ledger
        Knows the last snapshot of the run before.
    notices : Notices
    every : float, > 0
        Seconds from one request to the next. While the camera is away, twice as many each time, up
        to a minute.
    timeout : float, > 0
        Seconds until a request has failed.
    login : (str, str) or None
        User and password.
    once : bool
        Ask once, then end.

    Raises
    ------
    ConfigurationError
        The address is none of http or https, or a time is not above 0.
    """

    def __init__(
        self,
        url: str,
        ledger: Ledger,
        notices: Notices,
        *,
        every: float,
        timeout: float,
        login: tuple[str, str] | None = None,
        once: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("--every", every), ("--timeout", timeout)):
            if not 0 < value < math.inf:
                raise ConfigurationError(f"{name} is {value:g}; wanted seconds, more than 0")
        parts = checked_url(url, "the camera")
        self._host, self._url = parts.hostname or "", without_password(parts)
        if parts.username is not None:
            login = unquote(parts.username), unquote(parts.password or "")
        self._login = login
        self._ledger, self._notices = ledger, notices
        self._every, self._timeout, self._once = every, timeout, once
        self._last = ledger.last_snapshot
        self._next = -math.inf
        self._failures = 0
        self._fetch: _Fetch | None = None
        self._held: tuple[Candidate, bytes] | None = None
        self._held_until = -math.inf
        self._asked = False

    def take(self, now: float, most: int) -> list[Candidate]:
        """Return a new snapshot, where one has come; see `Source.take`."""
        if self._held is not None:
            return [self._held[0]] if now >= self._held_until else []
        if self._fetch is None:
            if now >= self._next:
                self._next = now + self._every
                self._fetch = _Fetch(self._url, self._login, self._timeout, self.wake)
            return []
        if self._fetch.result is None:
            if time.monotonic() - self._fetch.begun > 2 * self._timeout:
                self._fetch.break_off()  # a trickle of bytes kept it alive
                self._fetch = None
                self._is_away(now, "its answer does not come to an end")
            return []
        content, why = self._fetch.result
        self._fetch = None
        if content is None:
            self._is_away(now, why)
            return []
        self._failures = 0
        self._notices.over("camera", f"the camera {self._host} answers again")
        self._asked = True
        if hashlib.sha256(content).hexdigest() == self._last:
            return []
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3]
        name = f"{self._host}-{moment}Z"
        candidate = Candidate(name.encode(), name, f"the snapshot {name}", None, None, None)
        self._held = candidate, content
        return [candidate]

    def done(self, candidate: Candidate) -> None:
        """Remember the snapshot as the last one."""
        if self._held is not None:
            self._last = hashlib.sha256(self._held[1]).hexdigest()
        self._held = None

    def failed(self, candidate: Candidate, now: float) -> bool:
        """Have a snapshot that does not decode recorded at once."""
        return True

    def look_again(self, candidate: Candidate, now: float) -> None:
        """Forget the snapshot."""
        self._held = None

    def postpone(self, candidate: Candidate, until: float) -> None:
        """Keep the snapshot and ask for no other until then."""
        self._held_until = until

    def read(self, candidate: Candidate) -> bytes | None:
        """Return the snapshot's content."""
        return None if self._held is None else self._held[1]

    def next_take(self, now: float) -> float:
        """Return when the camera is to be asked, or what it gave is to be tried again."""
        if self._held is not None:
            return self._held_until
        if self._fetch is None:
            return self._next
        return max(self._fetch.begun + 2 * self._timeout, now + _STEP)

    @property
    def exhausted(self) -> bool:
        """Whether the camera was asked once."""
        return self._once and self._asked and self._held is None

    def close(self) -> None:
        """Ask no more."""
        if self._fetch is not None:
            self._fetch.break_off()

    def _is_away(self, now: float, why: str) -> None:
        text = f"the camera {self._host} gives no picture: {why}"
        if self._once:
            raise UnreadableFile(f"{text}; check its address")
        self._failures += 1
        pause = self._every * 2.0 ** min(self._failures, _MOST_DOUBLINGS)
        self._next = now + max(self._every, min(pause, _LONGEST_PAUSE))
        self._notices.trouble("camera", f"{text}; it is asked again and again")


class _Result(NamedTuple):
    content: bytes | None
    why: str = ""


class _Fetch:
    """One request, in a thread of its own: no camera can hold up the end of the program."""

    def __init__(
        self, url: str, login: tuple[str, str] | None, timeout: float, wake: threading.Event
    ) -> None:
        self.begun = time.monotonic()
        self.result: _Result | None = None
        self._url, self._timeout, self._wake = url, timeout, wake
        self._line = _Line()
        # Anew each time: what answers a camera that asks for a password counts its failures.
        self._opener = urllib.request.build_opener(StaysThere, self._line, *_answers(url, login))
        threading.Thread(target=self._run, name="residua-camera", daemon=True).start()

    def break_off(self) -> None:
        """End it at once, whatever it waits for; its result is nobody's."""
        self._line.cut()

    def _run(self) -> None:
        try:
            self.result = self._snapshot()
        except urllib.error.HTTPError as error:
            with error:
                self.result = _Result(None, f"it answers {error.code} {error.reason}")
        except Exception as error:  # whatever a camera can make the HTTP client stumble over
            reason = getattr(error, "reason", None) or error
            self.result = _Result(None, str(reason) or type(error).__name__)
        self._wake.set()

    def _snapshot(self) -> _Result:
        request = urllib.request.Request(self._url, headers={"User-Agent": "residua-watch"})
        with self._opener.open(request, timeout=self._timeout) as answer:
            content = bytearray()
            while piece := answer.read1(_PIECE):
                content += piece
                if len(content) > MAX_BYTES:
                    return _Result(None, f"it sends more than {MAX_BYTES:,} bytes")
                if time.monotonic() - self.begun > self._timeout:
                    return _Result(None, f"it takes more than {self._timeout:g} seconds")
            wanted = answer.headers.get("Content-Length")
            if wanted is not None and wanted.isdigit() and len(content) < int(wanted):
                return _Result(None, f"it broke off after {len(content):,} of {wanted} bytes")
            if not looks_like_picture(bytes(content[:PREFIX_BYTES])):
                kind = answer.headers.get_content_type()
                return _Result(None, f"what it sends is no picture ({kind})")
            return _Result(bytes(content))


class _Line(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Connects to the camera, and can be cut from another thread."""

    def __init__(self) -> None:
        super().__init__()
        self._connection: http.client.HTTPConnection | None = None

    def do_open(
        self,
        http_class: Callable[..., http.client.HTTPConnection],
        req: urllib.request.Request,
        **given: Any,
    ) -> http.client.HTTPResponse:
        """Open a connection as urllib does, and remember it."""

        def connected(*args: Any, **more: Any) -> http.client.HTTPConnection:
            self._connection = http_class(*args, **more)
            return self._connection

        return super().do_open(connected, req, **given)

    def cut(self) -> None:
        """End what is sent or received; it fails in the thread that waits for it."""
        line = None if self._connection is None else self._connection.sock
        if line is not None:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


def _answers(url: str, login: tuple[str, str] | None) -> Sequence[urllib.request.BaseHandler]:
    """Return what answers a camera that asks who we are."""
    if login is None:
        return ()
    known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    known.add_password(None, urljoin(url, "/"), *login)
    return (
        urllib.request.HTTPDigestAuthHandler(known),
        urllib.request.HTTPBasicAuthHandler(known),
    )
