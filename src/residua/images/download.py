"""Fetching a data set's files from the first public mirror that has them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from residua.errors import DatasetCorrupt, OutputError
from residua.workspace import workspace

_TIMEOUT_SECONDS = 20

Unpack = Callable[[Path, Path], None]
"""Checks the file that was fetched (first) and writes what it holds (second)."""


class NoMirror(Exception):
    """No mirror gave the file; says what each answered."""


def fetch(urls: Sequence[str], final: Path, unpack: Unpack) -> None:
    """Download to ``final`` from the first URL whose content is the published one.

    The file is fetched and unpacked beside its final name, and takes it only when it is whole.

    Parameters
    ----------
    urls : sequence of str
        Mirrors, tried in turn.
    final : Path
        The file or folder to make.
    unpack : callable
        Raises `DatasetCorrupt` where the content is not the published one.

    Raises
    ------
    NoMirror
        None gave it.
    DatasetCorrupt
        One answered, with another content, and none gave the right one.
    OutputError
        The folder cannot be written.
    """
    answers: list[str] = []
    corrupt: DatasetCorrupt | None = None
    with contextlib.ExitStack() as stack:
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            beside = stack.enter_context(workspace(".residua-download", final.parent))
        except OSError as error:
            raise OutputError(
                f"nothing can be downloaded to {final.parent}: {error.strerror}; set RESIDUA_DATA "
                f"to a folder that can be written"
            ) from error
        for number, url in enumerate(urls):
            # A folder for each, so that nothing of one mirror gets among the next one's.
            attempt = beside / str(number)
            try:
                fetched = _download(url, attempt, "fetched")
                unpack(fetched, attempt / "unpacked")
            except DatasetCorrupt as error:
                corrupt = error
                answers.append(f"{url}: {error}")
            except (OSError, ValueError) as error:
                answers.append(f"{url}: {_first_line(error)}")
            else:
                (attempt / "unpacked").replace(final)
                return
    if corrupt is not None:
        raise DatasetCorrupt(f"no mirror gave the published content. {'; '.join(answers)}")
    raise NoMirror("; ".join(answers))


def _download(url: str, folder: Path, name: str) -> Path:
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        downloader = pooch.HTTPDownloader(timeout=_TIMEOUT_SECONDS)
        # No hash of the archive: mirrors compress differently, and its content is checked.
        return Path(pooch.retrieve(url, None, fname=name, path=folder, downloader=downloader))
    finally:
        logger.setLevel(level)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
