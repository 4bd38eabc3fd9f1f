"""The bodies of requests: bounded in bytes and time, and what pictures are in them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import Request

from residua.errors import BadRequest, RequestTooLarge, UploadTooSlow, WrongMediaType
from residua.service.admission import Admission
from residua.service.forms import LONGEST_NAME, Upload, files_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

# Names, boundaries and headers of the parts of a multipart body, beside its pictures.
_BYTES_A_PART = 1_000


class BoundedBody:
    """A request's body, refused when it grows too large or comes too slowly.

    Parameters
    ----------
    receive : callable
        ASGI's.
    max_bytes : int
        Bytes of the body, at most.
    seconds : float
        Time in which it has to come.
    admission : Admission
        Where its bytes are counted, until `release`.
    """

    def __init__(
        self, receive: Receive, *, max_bytes: int, seconds: float, admission: Admission
    ) -> None:
        self._receive, self._max_bytes, self._admission = receive, max_bytes, admission
        self._seconds = seconds
        self._until: float | None = None
        self._whole = False
        self._came = 0
        self._held = 0

    def check_length(self, length: str | None) -> None:
        """Refuse a body by the length that its headers name.

        Raises
        ------
        RequestTooLarge
        """
        if length is not None and length.isdecimal() and int(length) > self._max_bytes:
            raise self._too_large(f"{int(length):,}")

    async def receive(self) -> Message:
        """Return the next message of the body, or ASGI's of what follows it.

        Raises
        ------
        RequestTooLarge, UploadTooSlow, TooBusy
        """
        if self._whole:
            return await self._receive()
        loop = asyncio.get_running_loop()
        if self._until is None:
            self._until = loop.time() + self._seconds
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError as error:
            raise UploadTooSlow(
                f"the body did not come within {self._seconds:g} s; {self._came:,} bytes did"
            ) from error
        if message["type"] == "http.request":
            count = len(message.get("body", b""))
            if self._came + count > self._max_bytes:
                raise self._too_large("more")
            self.hold(count)
            self._came += count
            self._whole = not message.get("more_body", False)
        return message

    def hold(self, count: int) -> None:
        """Count bytes that belong to this request, such as those of its answer.

        Raises
        ------
        TooBusy
            All requests together hold too many.
        """
        self._admission.hold_bytes(count)
        self._held += count

    def release(self) -> None:
        """Forget the bytes that are held."""
        self._admission.release_bytes(self._held)
        self._held = 0

    def _too_large(self, found: str) -> RequestTooLarge:
        return RequestTooLarge(
            f"the body has {found} bytes and the limit is {self._max_bytes:,}; send fewer or "
            f"smaller pictures at a time"
        )


async def read_uploads(request: Request, *, called: str, max_pictures: int) -> list[Upload]:
    """Return the pictures in a request's body: the parts of a form, or the body itself.

    Parameters
    ----------
    request : Request
    called : str
        Name of the picture where it is the body itself.
    max_pictures : int

    Raises
    ------
    WrongMediaType
        It is neither a form nor a picture.
    BadRequest
        It is cut short, or there are no pictures in it.
    RequestTooLarge
        It has more parts than pictures are taken.
    """
    media_type = request.headers.get("content-type", "application/octet-stream")
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        found = await files_of(
            request.stream(), request.headers["content-type"], max_parts=max_pictures
        )
    elif media_type.startswith("image/") or media_type == "application/octet-stream":
        content = await request.body()
        found = [Upload(called[:LONGEST_NAME], content)] if content else []
    else:
        raise WrongMediaType(
            f"the body is of type {media_type[:100]!r}; send multipart/form-data with a part for "
            f"each picture, or one picture as image/* or application/octet-stream"
        )
    if not found:
        raise BadRequest("there are no pictures in the request; send at least one")
    return found


def allowance(max_bytes: int, max_pictures: int) -> int:
    """Return the bytes that a body of so many bytes of pictures may have."""
    return max_bytes + (max_pictures + 1) * _BYTES_A_PART
