"""A file at an address, read in parts: the list at a zip archive's end, then what it names."""

from __future__ import annotations

import io
from urllib.request import Request, urlopen

SECONDS = 60
# What is read at once; the metadata of most wheels lies in the last part.
PART = 1 << 16


class RemoteFile(io.RawIOBase):
    """Bytes behind an address whose server answers requests for a range."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._parts: dict[int, bytes] = {}
        self._position = 0
        with urlopen(Request(url, method="HEAD"), timeout=SECONDS) as answer:
            self._length = int(answer.headers["Content-Length"])

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, which the next read fetches."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, target: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the target from the position on, up to the end of one part."""
        number, start = divmod(self._position, PART)
        taken = self._part(number)[start : start + len(target)]
        target[: len(taken)] = taken
        self._position += len(taken)
        return len(taken)

    def _part(self, number: int) -> bytes:
        first = number * PART
        if first >= self._length:
            return b""
        if number not in self._parts:
            last = min(first + PART, self._length) - 1
            request = Request(self._url, headers={"Range": f"bytes={first}-{last}"})
            with urlopen(request, timeout=SECONDS) as answer:
                if answer.status != 206:
                    raise OSError(f"{self._url} answers no request for a range")
                self._parts[number] = answer.read()
        return self._parts[number]
