"""The files of a multipart form, in memory, whose bounds are known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from residua.errors import BadRequest, RequestTooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

LONGEST_NAME = 200
_LARGEST_HEADER = 4_096


class Upload(NamedTuple):
    """A picture as it was sent."""

    name: str
    """The name that was sent; may be empty, and may hold anything."""
    content: bytes


async def files_of(
    body: AsyncIterator[bytes], content_type: str, *, max_parts: int
) -> list[Upload]:
    """Return the parts of a form that are files, in their order.

    Parameters
    ----------
    body : async iterator of bytes
    content_type : str
        The request's header field, which names the boundary.
    max_parts : int
        Parts that are taken, files or not.

    Raises
    ------
    BadRequest
        It cannot be read, or ends before its closing boundary.
    RequestTooLarge
        There are more parts.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise BadRequest("the form names no boundary; let your client set the content type")
    form = _Form(max_parts)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in body:
            parser.write(chunk)
    except FormParserError as error:
        raise BadRequest(f"the form cannot be read: {error}") from error
    if not form.whole:
        raise BadRequest("the form is cut short: its closing boundary is missing")
    return form.files


class _Form:
    """What the parser has come upon so far."""

    def __init__(self, max_parts: int) -> None:
        self.files: list[Upload] = []
        self.whole = False
        self._max_parts, self._parts = max_parts, 0
        self._field, self._value, self._disposition = b"", b"", b""
        self._name: str | None = None
        self._content: list[bytes] = []

    def callbacks(self) -> MultipartCallbacks:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_to_field,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_content,
            "on_part_end": self._end,
            "on_end": self._close,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._max_parts:
            raise RequestTooLarge(
                f"the request has more than {self._max_parts} parts; send fewer pictures at a time"
            )
        self._disposition, self._name, self._content = b"", None, []

    def _add_to_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._check_header()

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_header()

    def _check_header(self) -> None:
        if len(self._field) + len(self._value) > _LARGEST_HEADER:
            raise BadRequest(f"a part of the form has a header of over {_LARGEST_HEADER:,} bytes")

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _end_headers(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"filename")
        if name is not None:
            self._name = name.decode("utf-8", "replace")[:LONGEST_NAME]

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        if self._name is not None:
            self._content.append(data[start:end])

    def _end(self) -> None:
        if self._name is not None:
            self.files.append(Upload(self._name, b"".join(self._content)))
            self._content = []

    def _close(self) -> None:
        self.whole = True
