"""Files that say how much was read of them: a small file may ask for many small steps.

A header of a million empty parts takes Pillow minutes, and one whose parts it joins takes hours.
Pillow takes every such step by a read, so that whoever counts reads bounds them all, for every
format, and alike on every machine.
"""

from __future__ import annotations

import io

_A_READ = 4_096
"""Bytes that a read counts for, beside those that it gives."""
TO_OPEN = 1 << 25
"""Allowed for a header: 32 MB of it, or 8,000 pieces."""
TO_COUNT_FRAMES = 1 << 26
_TO_DECODE, _A_BYTE = 1 << 29, 64
_BOUND_ELSEWHERE = 1 << 62
_MOST_AT_ONCE = 1 << 30


class TooManySteps(Exception):
    """More was read than any file of this size needs.

    Told as an `ImageError` by who knows the file's name. It is no OSError or ValueError, which
    Pillow takes for the end of the file in places.
    """


class Counted(io.BufferedIOBase):
    """What both kinds of file have in common."""

    _left: int = TO_OPEN

    def allow(self, count: int) -> None:
        """Begin anew, with so many bytes to read, a read being `_A_READ` more than it gives."""
        self._left = count

    def allow_decoding(self, *, by_pixel: bool) -> None:
        """Begin anew, with what a file of this size may need to be decoded.

        Parameters
        ----------
        by_pixel : bool
            Whether its decoder reads one pixel at a time, and may.
        """
        here = self.tell()
        self._left = _TO_DECODE + _A_BYTE * self.seek(0, io.SEEK_END)
        self.seek(here)
        if by_pixel:
            self._left = _BOUND_ELSEWHERE

    def _count(self, count: int) -> None:
        self._left -= _A_READ + count
        if self._left < 0:
            raise TooManySteps


class CountedBytes(Counted, io.BytesIO):
    """A file in memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as `io.BytesIO` does."""
        content = io.BytesIO.read(self, size)
        # All at once is one step, however much it is.
        self._count(0 if size is None or size < 0 else len(content))
        return content

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read as `io.BytesIO` does."""
        content = io.BytesIO.readline(self, size)
        self._count(len(content))
        return content


class CountedFile(Counted, io.BufferedReader):
    """A file on disk."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as `io.BufferedReader` does."""
        if size is None or size < 0:
            here = self.tell()
            # A file of nothing but holes is as long as it likes.
            if self.seek(0, io.SEEK_END) - here > _MOST_AT_ONCE:
                raise TooManySteps
            self.seek(here)
        content = io.BufferedReader.read(self, size)
        self._count(0 if size is None or size < 0 else len(content))
        return content

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read as `io.BufferedReader` does."""
        content = io.BufferedReader.readline(self, size)
        self._count(len(content))
        return content
