"""The body of a request as a target: pictures, or a refusal that is the sender's own doing.

The first line of the input is the field ``Content-Type``, after a byte that says in which pieces
the rest comes; the rest is the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, MutableMapping
from functools import cache
from typing import Any

from starlette.requests import ClientDisconnect, Request

from fuzz.pictures import sound
from residua.errors import RequestRefused
from residua.service.admission import Admission
from residua.service.bodies import BoundedBody, read_uploads
from residua.service.forms import LONGEST_NAME, Upload
from residua.service.gate import problem_response
from residua.service.pictures import printable_upload
from residua.service.settings import Limits

Message = MutableMapping[str, Any]

MAX_BYTES, MAX_PICTURES = 1 << 15, 4
_FORM = b"multipart/form-data; boundary=x"


def one(data: bytes) -> None:
    """Read one body as the service does.

    Raises
    ------
    AssertionError
        More is taken than the limits allow, or the refusal says that the service failed.
    Exception
        What no body should raise.
    """
    pieces, head, body = data[:1], *_parted(data[1:])
    admission = Admission(Limits(max_bytes=MAX_BYTES, bytes_in_flight=2 * MAX_BYTES))
    bounded = BoundedBody(
        _Sender(body, 1 + ord(pieces or b"\xff") ** 2).receive,
        max_bytes=MAX_BYTES,
        seconds=5.0,
        admission=admission,
    )
    try:
        uploads = _loop().run_until_complete(_read(head, bounded))
    except RequestRefused as error:
        answer = problem_response(error, "it")
        assert 400 <= answer.status_code < 500, answer.status_code
    except ClientDisconnect:
        pass
    else:
        _check(uploads, len(body))
    assert admission.bytes <= MAX_BYTES, admission.bytes
    bounded.release()
    assert admission.bytes == 0, admission.bytes


def seeds() -> Iterator[bytes]:
    """Yield forms and bare pictures, whole and broken."""
    pictures = [picture.content for picture in sound() if len(picture.content) < 200]
    for content in pictures[:8]:
        yield b"\xff" + b"image/png\n" + content
    part = b'--x\r\nContent-Disposition: form-data; name="images"; filename="%s"\r\n\r\n%s\r\n'
    names = (b"a.png", b"../../etc/passwd", b'a\\"b', b"\xff\xfe", b"%0d%0a", b"a" * 5_000)
    for name in names:
        yield b"\x08" + _FORM + b"\n" + part % (name, pictures[0]) + b"--x--\r\n"
    yield b"\x01" + _FORM + b"\n" + part % (b"a", b"1") * 6 + b"--x--\r\n"
    yield b"\x01" + _FORM + b"\n" + part % (b"a", b"1")
    yield b"\x00" + _FORM + b"\n--x\r\n" + b"A: " + b"b" * 5_000 + b"\r\n\r\n--x--\r\n"
    yield b"\x03" + b'multipart/form-data; boundary="a;b\\""\n--a;b"--\r\n'
    yield b"\x03" + b"multipart/form-data; boundary*=utf-8''x\n--x--\r\n"
    yield b"\x03" + b"multipart/form-data\n" + part % (b"a", b"1")
    yield b"\x03" + b"application/json\n{}"
    yield b"\x03" + b"\n"


def _parted(data: bytes) -> tuple[bytes, bytes]:
    head, _, body = data.partition(b"\n")
    return head, body


async def _read(content_type: bytes, bounded: BoundedBody) -> list[Upload]:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(b"content-type", content_type)],
    }
    request = Request(scope, bounded.receive)
    return await read_uploads(request, called="it", max_pictures=MAX_PICTURES)


def _check(uploads: list[Upload], length: int) -> None:
    assert 1 <= len(uploads) <= MAX_PICTURES, len(uploads)
    assert sum(len(upload.content) for upload in uploads) <= min(length, MAX_BYTES), length
    for index, (name, _) in enumerate(uploads):
        assert len(name) <= LONGEST_NAME, len(name)
        shown = printable_upload(name, index)
        assert shown.isprintable(), shown
        shown.encode()


class _Sender:
    """A client that sends a body in pieces."""

    def __init__(self, body: bytes, size: int) -> None:
        self._body, self._size, self._at = body, size, 0

    async def receive(self) -> Message:
        piece = self._body[self._at : self._at + self._size]
        self._at += self._size
        more = self._at < len(self._body)
        return {"type": "http.request", "body": piece, "more_body": more}


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()
