from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from residua import writing
from residua.errors import OutputError
from residua.locking import NoLocks, claimed, lock, locked
from residua.workspace import alone_in, workspace
from residua.writing import check_folder, put_back, whole_file, whole_folder, write_text

# Writes a folder and a file over old ones and is killed before its first step that changes a name
# or opens a file for writing, then before its second, and so on; tells what is there after each
# kill, and after the same was written again.
KILLED_AT_EVERY_STEP = textwrap.dedent(
    """
    import itertools, json, os, shutil, signal, sys
    from pathlib import Path
    from residua import writing

    room, swaps = Path(sys.argv[1]), sys.argv[2] == "True"
    if not swaps:
        writing._swapped = lambda *_: False
    steps = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "ctypes.dlopen"}

    def write(kind):
        if kind == "folder":
            with writing.whole_folder(room / "thing") as beside:
                (beside / "one").write_text("new")
                (beside / "two").write_text("new")
        else:
            with writing.whole_file(room / "thing") as beside:
                beside.write_text("new")

    def put_old(kind):
        if kind == "folder":
            (room / "thing").mkdir()
            (room / "thing" / "one").write_text("old")
            (room / "thing" / "two").write_text("old")
        else:
            (room / "thing").write_text("old")

    def there():
        thing = room / "thing"
        if not thing.exists():
            return "nothing"
        if thing.is_file():
            return thing.read_text()
        return " ".join(sorted(path.read_text() for path in thing.iterdir()))

    def killed_at(number, kind):
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        count = 0
        def look(event, given):
            nonlocal count
            writes = event == "open" and isinstance(given[2], int) and given[2] & os.O_ACCMODE
            if event in steps or writes:
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(look)
        write(kind)
        os._exit(0)

    found = []
    for kind in ("folder", "file"):
        for number in itertools.count(1):
            shutil.rmtree(room)
            room.mkdir()
            put_old(kind)
            if not killed_at(number, kind):
                break
            at_once = there()
            writing.put_back(room / "thing")
            before = there()
            write(kind)
            found.append([kind, at_once, before, there(), len(list(room.iterdir()))])
    print(json.dumps(found))
    """
)


def without_locks(_: int) -> bool:
    raise NoLocks(errno.ENOLCK, os.strerror(errno.ENOLCK))


@pytest.mark.parametrize("swaps", [True, False])
def test_killed_before_any_step_the_old_or_the_new_is_there_whole(
    tmp_path: Path, swaps: bool
) -> None:
    (tmp_path / "room").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EVERY_STEP, str(tmp_path / "room"), str(swaps)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {kind for kind, *_ in found} == {"folder", "file"}
    assert len(found) > 10
    for kind, at_once, before, after, names in found:
        whole = {"old", "new"} if kind == "file" else {"old old", "new new"}
        # Without a swap there is a moment without it, from which it is put back.
        assert at_once in whole | (set() if swaps or kind == "file" else {"nothing"})
        assert before in whole
        assert after in {"new", "new new"}
        assert names == 1


def test_what_a_killed_writer_left_is_deleted_by_the_next(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.csv") as beside:
        beside.write_text("x")
        left = beside
    left.write_text("half")
    write_text(tmp_path / "a.csv", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "whole"


def test_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    final = tmp_path / "a.csv"
    with whole_file(final) as first:
        first.write_text("first")
        with whole_file(final) as second:
            assert second != first
            second.write_text("second")
        assert final.read_text() == "second"
        assert first.read_text() == "first"
    assert final.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_writers_of_one_folder_do_not_mix(tmp_path: Path) -> None:
    final = tmp_path / "m.residua"
    texts = [str(number) for number in range(8)]

    def write(text: str) -> None:
        for _ in range(20):
            with whole_folder(final) as beside:
                (beside / "one").write_text(text)
                (beside / "two").write_text(text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (final / "one").read_text() == (final / "two").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["m.residua"]


def test_a_failed_swap_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "m.residua"
    with whole_folder(final) as beside:
        (beside / "one").write_text("old")
    monkeypatch.setattr(writing, "_swapped", lambda *_: False)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target == final and not final.exists() and not self.name.endswith(".replaced"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), whole_folder(final) as beside:
        (beside / "one").write_text("new")
    assert (final / "one").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["m.residua"]


def test_a_link_that_lies_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.csv") as beside:
        beside.write_text("x")
    (tmp_path / "precious").write_text("precious")
    beside.symlink_to(tmp_path / "precious")
    write_text(tmp_path / "a.csv", "whole")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "a.csv").is_symlink()


def test_a_file_system_without_locks_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.locking.lock", without_locks)
    write_text(tmp_path / "a.csv", "whole")
    with whole_folder(tmp_path / "m.residua") as beside:
        (beside / "one").write_text("new")
    with alone_in(tmp_path, "fit"), workspace("room", tmp_path) as room:
        assert room.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "m.residua"]


def test_a_living_process_keeps_what_it_has_claimed(tmp_path: Path) -> None:
    descriptor = claimed(tmp_path / "mine")
    assert descriptor is not None
    assert claimed(tmp_path / "mine") is None
    os.close(descriptor)
    again = claimed(tmp_path / "mine")
    assert again is not None
    os.close(again)


def test_nothing_is_put_back_while_it_is_being_replaced(tmp_path: Path) -> None:
    final = tmp_path / "m.residua"
    with whole_folder(final) as beside:
        claim = beside.with_name(beside.name.removesuffix(".unfinished"))
        aside = claim.with_name(f"{claim.name}.replaced")
        aside.mkdir()
        put_back(final)
        assert aside.exists()
        aside.rmdir()


def test_a_workspace_of_a_killed_process_is_deleted_by_the_next(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from residua.workspace import workspace\n"
        "with workspace('decoded', Path(sys.argv[1])) as room:\n"
        "    (room / 'pixels').write_bytes(bytes(1000))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert (left / "pixels").exists()
    with workspace("decoded", tmp_path) as living:
        assert not left.exists()
        with workspace("decoded", tmp_path) as other:
            assert living.exists()
            assert other != living
    assert not list(tmp_path.iterdir())


def test_the_workspace_of_another_machine_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "another")
    with workspace("decoded", tmp_path) as other:
        name = other.name
    (tmp_path / name).mkdir()  # its process was killed
    monkeypatch.setattr("platform.node", lambda: "this")
    with workspace("decoded", tmp_path):
        assert (tmp_path / name).exists()


def test_a_folder_is_worked_in_by_one_process(tmp_path: Path) -> None:
    with alone_in(tmp_path, "fit"):
        refused = pytest.raises(OutputError, match=r"another process runs a fit in .*wait for its")
        with refused, alone_in(tmp_path, "fit"):
            pass
        with alone_in(tmp_path, "search"):
            pass
    with alone_in(tmp_path, "fit"):
        pass
    assert not list(tmp_path.iterdir())


def test_who_has_ended_leaves_the_lock_of_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "partial"
    folder.mkdir()
    with alone_in(folder, "fit"):
        (folder / ".fit.lock").unlink()
        with alone_in(folder, "fit"):
            pass
        next_one = claimed(folder / ".fit.lock")
        assert next_one is not None
    assert (folder / ".fit.lock").exists()
    os.close(next_one)


def test_a_refusal_names_the_lock_that_may_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / ".fit.lock"
    refused = pytest.raises(OutputError, match=f"if none runs, delete {re.escape(str(path))}")
    with alone_in(tmp_path, "fit"), refused, alone_in(tmp_path, "fit"):
        pass


def test_a_link_beside_the_workspaces_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    with workspace("room", tmp_path) as room:
        (tmp_path / f"{room.name}-link").symlink_to(precious)
    with workspace("room", tmp_path):
        assert [path.name for path in precious.iterdir()] == ["file"]


def test_a_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    for locks in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not locks:
                patch.setattr("residua.locking.lock", without_locks)
            write_text(tmp_path / "a.csv", "whole")
        (tmp_path / "plain").touch()
        assert (tmp_path / "a.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="pipe is no plain file; name another"):
        write_text(tmp_path / "pipe", "whole")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files as Linux shows")
@pytest.mark.parametrize("take", [claimed, locked])
def test_where_there_are_no_locks_no_descriptor_stays_open(
    take: Callable[[Path], int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.locking.lock", without_locks)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(NoLocks):
        take(tmp_path / "lock")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_folder_that_takes_no_files_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    with pytest.raises(OutputError, match="Read-only file system; choose another folder"):
        check_folder(tmp_path)


def test_a_lock_is_refused_to_a_second_and_free_after_the_first(tmp_path: Path) -> None:
    one, other = (os.open(tmp_path / "l", os.O_RDWR | os.O_CREAT) for _ in range(2))
    assert lock(one)
    assert not lock(other)
    os.close(one)
    assert lock(other)
    os.close(other)
