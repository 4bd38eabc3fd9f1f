"""The state of a fit that many machines share: a folder that each of them sees."""

from __future__ import annotations

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from residua import storage
from residua.errors import CannotResume, NothingStored, OtherRun, OutputError, StorageError
from residua.training.claim import FIT_MARK, require_same_fit, warn_discarded, written_mark
from residua.training.fit import CHECKPOINT
from residua.workspace import alone_in, remove_if_empty
from residua.writing import make_folder, whole_file, write_text

_RAY = "ray"
_ATTEMPTS = ("attempt-0", "attempt-1")
_RUN = "run"


class SharedState:
    """A folder, or the URL of one, that holds the state of a fit after each epoch.

    Parameters
    ----------
    location : str or path
        Relative paths are those of the machine that begins the fit.
    """

    def __init__(self, location: storage.Location) -> None:
        local = storage.as_local(location)
        self.location = str(location) if local is None else str(Path(local).absolute())
        self.is_local = local is not None
        self._run = uuid.uuid4().hex
        """Tells this fit from others that take the same place; the mark there names it."""

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold a folder against other fits; who writes to a store asks `require_own` instead.

        Raises
        ------
        OutputError
            Another fit runs there, or nothing can be written.
        """
        with contextlib.ExitStack() as stack:
            if self.is_local:
                folder = Path(self.location)
                make_folder(folder)
                stack.callback(remove_if_empty, folder)
                try:
                    stack.enter_context(alone_in(folder, "fit"))
                except OSError as error:
                    raise OutputError(f"{folder} cannot be written: {error}") from error
            yield

    def require_own(self) -> None:
        """Refuse to write where another fit has begun since.

        Raises
        ------
        OtherRun
            One has, or the state was deleted.
        StorageError
            The store does not answer.
        """
        try:
            found = json.loads(self._text(storage.joined(self.location, FIT_MARK)))
        except (FileNotFoundError, NothingStored, ValueError):
            found = None
        if not isinstance(found, dict) or found.get(_RUN) != self._run:
            raise OtherRun(
                f"{self.location} was taken by another fit, or deleted, while this one ran; name "
                f"another place with --storage"
            )

    def claim(self, own: dict[str, Any], *, resume: bool) -> None:
        """Mark the folder as that of a fit, or refuse that of another.

        Raises
        ------
        CannotResume
            The state is of another fit, or cannot be read.
        OutputError, StorageError
            Nothing can be written there.
        """
        mark = storage.joined(self.location, FIT_MARK)
        if resume:
            require_same_fit(self._text(mark), own, folder=self.location, mark=mark)
        elif any(self._has(self.checkpoint(attempt)) for attempt in range(len(_ATTEMPTS))):
            warn_discarded(self.location)
        if not resume:
            self.discard()
        text = written_mark({**own, _RUN: self._run})
        if self.is_local:
            make_folder(Path(self.location))
            write_text(Path(mark), text)
        else:
            storage.write_bytes(mark, text.encode())

    def require_begun(self) -> None:
        """Refuse to go on where nothing was begun.

        Raises
        ------
        CannotResume
            There is no state of a fit here.
        """
        if not self._has(storage.joined(self.location, FIT_MARK)):
            raise CannotResume(
                f"there is no interrupted fit in {self.location}; fit without resuming"
            )

    def check_writable(self) -> None:
        """Refuse a place at which nothing can be written, before any work.

        Raises
        ------
        OutputError, StorageError
            Nothing can be written there.
        """
        if self.is_local:
            make_folder(Path(self.location))
            remove_if_empty(Path(self.location))
        else:
            storage.check_writable(storage.joined(self.location, FIT_MARK))

    def checkpoint(self, attempt: int) -> str:
        """Return where the state of an attempt lies; a second one follows a failed first."""
        return storage.joined(self.location, _ATTEMPTS[attempt], CHECKPOINT)

    def of_ray(self) -> tuple[Any, str, str]:
        """Return Ray's file system for this place (None: its own), a path in it, and a name.

        Ray has each worker look for a file below ``path/name``, and so finds those machines that do
        not see this place.
        """
        if self.is_local:
            return None, self.location, _RAY
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        store, path = storage.filesystem(self.location)
        return PyFileSystem(FSSpecHandler(store)), path.rstrip("/"), _RAY

    def discard(self) -> None:
        """Delete what a fit has left here, and the folder where nothing else is in it."""
        if not self.is_local:
            store, path = storage.filesystem(self.location)
            with storage.storage_errors(self.location):
                for name in (*_ATTEMPTS, _RAY, FIT_MARK):
                    below = f"{path.rstrip('/')}/{name}"
                    if store.exists(below):
                        store.rm(below, recursive=name != FIT_MARK)
            return
        folder = Path(self.location)
        for name in (*_ATTEMPTS, _RAY):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / FIT_MARK).unlink(missing_ok=True)
        remove_if_empty(folder)

    def _has(self, location: str) -> bool:
        return Path(location).is_file() if self.is_local else storage.is_object(location)

    def _text(self, location: str) -> str:
        if self.is_local:
            return Path(location).read_text(encoding="utf-8", errors="replace")
        return storage.read_bytes(location).decode("utf-8", errors="replace")


def put(made: Path, location: str) -> None:
    """Have a file lie at a location, whole or not at all.

    Raises
    ------
    OutputError
        It cannot be written there.
    """
    local = storage.as_local(location)
    try:
        if local is None:
            storage.store_at(location, made)
            return
        Path(local).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(Path(local)) as beside:
            shutil.copyfile(made, beside)
    except (OSError, StorageError) as error:
        raise OutputError(f"the checkpoint {location} cannot be written: {error}") from error


def fetched(location: str, folder: Path) -> Path | None:
    """Return a copy, in a folder, of the file at a location; None: there is none.

    Raises
    ------
    StorageError
        The store does not answer.
    """
    local = storage.as_local(location)
    copy = folder / storage.name_of(location)
    if local is None:
        return storage.fetch(location, copy) if storage.is_object(location) else None
    if not Path(local).is_file():
        return None
    shutil.copyfile(local, copy)
    return copy
