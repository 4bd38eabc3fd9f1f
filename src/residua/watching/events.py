"""What the system says of changes below a folder, held until it is asked for."""

from __future__ import annotations

import os
import stat
import threading

from residua.errors import MissingExtra
from residua.watching.walking import Names, is_hidden

# More are not held: then the whole folder is looked through instead.
_MOST_HELD = 20_000
_POLL_MS = 1_000
_WAIT_MS = 200


def require_watchfiles() -> None:
    """Refuse to listen where the package that does it is missing.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    try:
        import watchfiles  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra.of("watchfiles", "watch") from error


class Events:
    """Listens in a thread of its own.

    Parameters
    ----------
    root : str
    names : Names
    wake : threading.Event
        Set when something has changed.
    poll : bool
        Look through the folder every second instead of being told by the system, which does not
        hear of what other computers write to a network share.

    Attributes
    ----------
    listening : threading.Event
        Set from when on no change is missed.
    failed : str or None
        Why nothing more will be heard.
    moved : bool
        Whether the folder itself was moved or deleted: what has its name now is another one.
    """

    def __init__(self, root: str, names: Names, wake: threading.Event, *, poll: bool) -> None:
        self.listening = threading.Event()
        self.failed: str | None = None
        self.moved = False
        self._root, self._names, self._wake, self._poll = root, names, wake, poll
        self._real_root = os.path.realpath(root)
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._files: dict[str, None] = {}
        self._folders: dict[str, None] = {}
        self._overflowed = False
        self._thread = threading.Thread(target=self._listen, name="residua-events", daemon=True)
        self._thread.start()

    def take(self, most: int) -> tuple[list[str], list[str], bool]:
        """Return changed files, new folders, and whether there was more than could be held.

        Paths are below the root; those of folders end in a separator.
        """
        with self._lock:
            files = [*self._files][:most]
            for file in files:
                del self._files[file]
            folders, overflowed = [*self._folders], self._overflowed
            self._folders.clear()
            self._overflowed = False
        return files, folders, overflowed

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(2)

    def _listen(self) -> None:
        from watchfiles import Change, watch

        try:
            for changes in watch(
                self._root,
                watch_filter=None,
                debounce=400,
                step=50,
                stop_event=self._stop,
                rust_timeout=_WAIT_MS,
                yield_on_timeout=True,
                raise_interrupt=False,
                force_polling=self._poll,
                poll_delay_ms=_POLL_MS,
                ignore_permission_denied=True,
            ):
                for kind, path in changes:
                    if kind != Change.deleted:
                        self._take_in(path, is_new=kind == Change.added)
                    elif path == self._root:
                        self.moved = True
                if changes or not self.listening.is_set():
                    self.listening.set()
                    self._wake.set()
        except Exception as error:  # of the system's making: too many folders, no such call
            self.failed = " ".join(str(error).split()) or type(error).__name__
        finally:
            self.listening.set()
            self._wake.set()

    def _take_in(self, path: str, *, is_new: bool) -> None:
        # A folder to which a link leads may be told of by the name of the link alone.
        folder, name = os.path.split(path)
        real = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118
        below = os.path.relpath(real, self._real_root)
        if is_hidden(below):  # so is the root itself, . and what lies elsewhere, at ..
            return
        wanted = self._names.is_picture(name)
        is_folder = is_new and not wanted and _is_own_folder(path)
        with self._lock:
            if wanted and len(self._files) < _MOST_HELD:
                self._files[below] = None
            elif is_folder and len(self._folders) < _MOST_HELD:
                self._folders[below + os.sep] = None
            else:
                self._overflowed |= wanted or is_folder


def _is_own_folder(path: str) -> bool:
    """Say whether it is a folder, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
