from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from tests.cluster.conftest import TwoNodes

from residua.cluster.session import connected
from residua.errors import ClusterUnavailable, ConfigurationError, MissingExtra

# Of this run alone: others make such folders meanwhile.
_NOTES_FOLDERS = """
import os, tempfile

make = tempfile.mkdtemp

def noted(*args, **kwargs):
    folder = make(*args, **kwargs)
    if "residua-" in folder:
        with open(os.environ["FOLDERS_MADE"], "a") as notes:
            notes.write(folder + "\\n")
    return folder

tempfile.mkdtemp = noted
"""


_CONNECTS = """
import sys
from residua.cluster.session import connected

for address in sys.argv[1:]:
    with connected(address) as session:
        import ray.data
        rows = ray.data.range(8).map_batches(lambda batch: batch).take_all()
        print(session.address, session.started_here, len(rows))
"""


@pytest.fixture
def unconnected() -> Iterator[None]:
    """Have this program connected to no cluster, though another test's may run."""
    if ray.is_initialized():
        address = ray.get_runtime_context().gcs_address
        ray.shutdown()
        yield
        ray.shutdown()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    else:
        yield


@pytest.fixture
def silent() -> Iterator[str]:
    """An address at which connections are taken and nothing is ever said."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_dead_address_is_told_in_seconds(unconnected, monkeypatch) -> None:
    start = time.monotonic()
    with pytest.raises(ClusterUnavailable, match=r"no Ray cluster at 127.0.0.1:1: .*refused"):
        connected("127.0.0.1:1").__enter__()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ClusterUnavailable, match="of the variable RAY_ADDRESS"):
        connected().__enter__()
    assert time.monotonic() - start < 30


def test_an_address_that_never_answers_is_told_in_seconds(unconnected, silent, monkeypatch) -> None:
    monkeypatch.setattr("residua.cluster.session._SECONDS_TO_ANSWER", 0.3)
    with pytest.raises(ClusterUnavailable, match="nothing answers within"):
        connected(silent).__enter__()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"?"])
def test_a_server_of_another_kind_is_no_cluster(unconnected, answer: bytes) -> None:
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(100)
                peer.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        with pytest.raises(ClusterUnavailable, match=r"another protocol|reset"):
            connected(f"127.0.0.1:{listener.getsockname()[1]}").__enter__()
        server.join()


@pytest.mark.parametrize("address", ["here", "ray://head:10001", ":6379", "head:0", "head:70000"])
def test_an_address_of_another_form_is_refused(unconnected, address: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        connected(address).__enter__()


def test_without_ray_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"residua\[ray\]"):
        connected().__enter__()


def test_other_versions_are_told_apart_from_a_cluster_that_is_not_there(
    cluster, unconnected
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "__version__", "1.0.0")
        with pytest.raises(ClusterUnavailable, match="another version of Ray or Python"):
            connected(cluster.address).__enter__()


def test_a_program_that_is_connected_stays_so(cluster) -> None:
    with connected() as session:
        assert (session.address, session.started_here) == (cluster.address, False)
        assert (session.processors, session.nodes) == (2, 2)
    assert ray.is_initialized()
    with pytest.raises(ConfigurationError, match="connected to the cluster at"):
        connected("127.0.0.1:1").__enter__()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A cluster that asks for this user's token, and the environment in which it was started."""
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("7e57" * 16)
    port, other = _free_port(), _free_port()
    own = {"HOME": str(tmp_path), "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as short:  # names of sockets are short
        environment = {**os.environ, **own, "RAY_TMPDIR": short}
        environment.pop("RAY_AUTH_TOKEN", None)
        environment.pop("RAY_ADDRESS", None)
        ray_program = Path(sys.executable).with_name("ray")
        options = ("--num-cpus=1", "--include-dashboard=false", f"--ray-client-server-port={other}")
        ports = ("--min-worker-port=0", "--max-worker-port=0")
        started = subprocess.Popen(
            [ray_program, "start", "--head", "--block", f"--port={port}", *options, *ports],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert started.stdout is not None
        try:
            said = ""
            while "Ray runtime started" not in said:
                line = started.stdout.readline()
                assert line, said
                said += line
            del environment["RAY_AUTH_MODE"]
            yield f"127.0.0.1:{port}", environment
        finally:
            started.terminate()
            try:
                started.wait(30)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
            started.stdout.close()  # which what it has started may hold open


def _connecting(environment: dict[str, str], *addresses: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _CONNECTS, *addresses],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )


@pytest.mark.long
def test_a_token_is_shown_to_a_cluster_that_asks_for_it_and_to_no_other(
    cluster: TwoNodes, guarded: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    address, environment = guarded
    done = _connecting(environment, "auto", cluster.address, address)
    assert done.returncode == 0, done.stderr
    port = address.rpartition(":")[2]
    found = [line.split() for line in done.stdout.splitlines()]
    assert [line[1:] for line in found] == [["False", "8"]] * 3
    assert [line[0].rpartition(":")[2] == port for line in found] == [True, False, True]

    from_elsewhere = {**environment, "RAY_TMPDIR": str(tmp_path)}  # here is no note of it
    refused = _connecting(from_elsewhere, address)
    assert "asks for a token: set RAY_AUTH_MODE=token" in refused.stderr
    with_token = {**from_elsewhere, "RAY_AUTH_MODE": "token"}
    assert _connecting(with_token, address).returncode == 0
    assert "takes no token, and RAY_AUTH_MODE" in _connecting(with_token, cluster.address).stderr


def test_auto_makes_a_cluster_for_the_while_and_leaves_nothing(
    bundle: Path, many: Path, tmp_path: Path
) -> None:
    """The command as it is, where neither it nor its workers can import a training package."""
    for name in ("torch", "lightning", "sklearn", "matplotlib"):
        absent = f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')"
        (tmp_path / f"{name}.py").write_text(absent)
    out = tmp_path / "scores.parquet"
    arguments = ["score", bundle, many, "--cluster", "auto", "--workers", "1", "--out", out]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(path)
    environment["RAY_TMPDIR"] = str(tmp_path)  # here lies no note of another test's cluster
    environment["HOME"] = str(tmp_path)
    environment.pop("RAY_AUTH_TOKEN", None)
    (tmp_path / "sitecustomize.py").write_text(_NOTES_FOLDERS)
    environment["FOLDERS_MADE"] = str(tmp_path / "folders")
    done = subprocess.run(
        [sys.executable, "-c", "from residua.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1  # three files are no pictures
    assert done.stdout == ""
    assert "980 scored" in done.stderr
    assert "3 could not be read" in done.stderr
    assert "ray" not in done.stderr.lower().replace(str(tmp_path).lower(), "")
    assert (out / "_SUCCESS").exists()
    assert not (tmp_path / ".ray").exists()  # a token, which clusters to come would ask for
    made = [Path(line) for line in (tmp_path / "folders").read_text().splitlines()]
    assert any(folder.name.startswith("residua-ray-") for folder in made)
    assert [folder for folder in made if folder.exists()] == []
