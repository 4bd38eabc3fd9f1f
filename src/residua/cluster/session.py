"""Connecting to a Ray cluster: the one that is named, the one that is there, or one made here."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residua.cluster import authentication
from residua.errors import ClusterUnavailable, ConfigurationError, MissingExtra
from residua.images.parallel import usable_processors
from residua.workspace import workspace

AUTO = "auto"
"""The cluster of this environment; where there is none, one that is made here for the while."""

_LOG_LEVEL = "RAY_BACKEND_LOG_LEVEL"
_SECONDS_TO_ANSWER = 5.0
# What a gRPC server is greeted with, and what its answer begins with: HTTP/2's settings.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_HEADER, _SETTINGS = 9, 4


@dataclass(frozen=True)
class Session:
    """A connection to a cluster."""

    address: str
    """Host and port of its head."""
    started_here: bool
    """Whether it was made for this session, and ends with it."""

    @property
    def processors(self) -> int:
        """Processors of all nodes that are alive now, as Ray counts them."""
        return int(ray_package().cluster_resources().get("CPU", 0))

    @property
    def nodes(self) -> int:
        """Nodes that are alive now."""
        return sum(bool(node["Alive"]) for node in ray_package().nodes())


@contextlib.contextmanager
def connected(address: str = AUTO, *, processors: int | None = None) -> Iterator[Session]:
    """Connect to a Ray cluster for the length of a ``with``.

    Ray's messages stay off the terminal, and its usage statistics off.

    Parameters
    ----------
    address : str, default="auto"
        ``HOST:PORT`` of a cluster's head. "auto": the cluster that this program is connected to
        already, that of the variable ``RAY_ADDRESS``, or that which ``ray start`` made on this
        machine; where there is none, a cluster of this machine alone, which ends with the block.
    processors : int or None, default=None
        Processors of a cluster that is made here, ≥ 1. None: those this program may use. It has no
        effect on a cluster that is there.

    Yields
    ------
    Session

    Raises
    ------
    MissingExtra
        Ray is not installed.
    ConfigurationError
        The address is of another form, or names another cluster than the one this program is
        connected to.
    ClusterUnavailable
        Nothing answers there within some seconds, what answers is no cluster, it runs other
        versions of Ray or Python, it asks for a token that Ray was not told to show, or takes none
        where Ray was.
    """
    if processors is not None and processors < 1:
        raise ConfigurationError(f"processors is {processors}; wanted at least 1")
    ray = ray_package()
    if ray.is_initialized():
        yield _joined(ray, address)
        return
    found = _address_here() if address == AUTO else address
    if found is None:
        with (
            authentication.throwaway_token(ray),
            _started(ray, processors or usable_processors()) as session,
        ):
            yield session
        return
    _require_answer(found, given=address)
    with authentication.as_before(ray):
        way = _way_to(ray, found)
        try:
            with _without("RAY_ADDRESS"):  # which Ray prefers to its note
                _init(ray, address=way)
        except Exception as error:
            _forget(ray)
            raise _refused(found, error) from error
        try:
            _require_joined(ray, found)
            yield Session(found, started_here=False)
        finally:
            _forget(ray)


def ray_package() -> Any:
    """Return the package ``ray``, with its usage statistics off.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    # Read when Ray is imported; a person's own setting stands.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtra.of("ray", "ray") from error
    return ray


def _init(ray: Any, **options: Any) -> None:
    import warnings

    _show_lost_workers(ray, False)
    with _silent(), warnings.catch_warnings():
        # Ray warns of its own coming changes, which nobody here can do anything about.
        warnings.simplefilter("ignore")
        ray.init(log_to_driver=False, logging_level="ERROR", **options)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what Ray's library says off the terminal."""
    # It goes by this variable, read once; and it writes that it read it.
    level = os.environ.get(_LOG_LEVEL)
    os.environ[_LOG_LEVEL] = level or "fatal"
    try:
        with _quiet_stderr():
            yield
    finally:
        if level is None:
            del os.environ[_LOG_LEVEL]


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Drop what is written to standard error, by whatever: a library's own code among it."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _forget(ray: Any) -> None:
    with contextlib.suppress(Exception):  # the cluster may be gone, and that is no matter now
        ray.shutdown()
    _show_lost_workers(ray, True)


def _show_lost_workers(ray: Any, shown: bool) -> None:
    """Have Ray print, or not, that it lost a worker, which is made good and no news."""
    ray._private.worker._worker_logs_enabled = shown


def _joined(ray: Any, address: str) -> Session:
    """Return the connection that this program has already, and that is not ours to end."""
    current = str(ray.get_runtime_context().gcs_address)
    if address != AUTO and _host_and_port(address) != _host_and_port(current):
        raise ConfigurationError(
            f"this program is connected to the cluster at {current} already, not to {address}; "
            f"leave the address out, or call ray.shutdown() first"
        )
    return Session(current, started_here=False)


@contextlib.contextmanager
def _started(ray: Any, processors: int) -> Iterator[Session]:
    # Below a short path: the names of its sockets may have a hundred characters, no more.
    base = Path("/tmp") if Path("/tmp").is_dir() else None
    with workspace("residua-ray", base) as own:
        try:
            try:
                options = {"include_dashboard": False, "_temp_dir": str(own)}
                _init(ray, address="local", num_cpus=processors, **options)
            except Exception as error:
                raise ClusterUnavailable(
                    f"no Ray cluster can be started on this machine: {_one_line(error)}"
                ) from error
            yield Session(str(ray.get_runtime_context().gcs_address), started_here=True)
        finally:
            _forget(ray)


def _require_joined(ray: Any, address: str) -> None:
    """Refuse another cluster than was meant: "auto" leads to the one that Ray finds running."""
    joined = str(ray.get_runtime_context().gcs_address)
    if _host_and_port(joined) != _host_and_port(address):
        raise ClusterUnavailable(
            f"Ray connected to {joined} and not to {address}; set RAY_AUTH_MODE=token, and it "
            f"takes the address as it is"
        )


def _address_here() -> str | None:
    """Return the cluster of this environment: RAY_ADDRESS, or what ``ray start`` made here."""
    named = os.environ.get("RAY_ADDRESS")
    if named and named != AUTO:
        return named
    from ray._private.utils import read_ray_address

    noted = read_ray_address()
    # The note outlives its cluster.
    return str(noted) if noted and _greeted(*_host_and_port(noted)) is None else None


def _way_to(ray: Any, address: str) -> str:
    """Return what Ray is to be given for an address: "auto" where it is to show a token.

    Ray shows a token to no address that it is given, unless it is told to show it; and to whatever
    cluster it finds by itself, though one that asks for none cannot work with who shows one.
    """
    from ray._private.utils import read_ray_address

    told = authentication.mode()
    host, port = _host_and_port(address)
    with _silent():
        asks = authentication.asks_for_token(ray, f"{host}:{port}")
    if told == authentication.WITH_TOKEN and not asks:
        raise ClusterUnavailable(
            f"the cluster at {address} takes no token, and RAY_AUTH_MODE says to show one; unset it"
        )
    if not asks or told == authentication.WITH_TOKEN:
        return address
    noted = read_ray_address()
    if told is None and noted and _host_and_port(str(noted)) == (host, port):
        return AUTO
    raise ClusterUnavailable(
        f"the cluster at {address} asks for a token: set RAY_AUTH_MODE=token, and have its token "
        f"in ~/.ray/auth_token, or in a file that RAY_AUTH_TOKEN_PATH names"
    )


@contextlib.contextmanager
def _without(variable: str) -> Iterator[None]:
    value = os.environ.pop(variable, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[variable] = value


def _require_answer(address: str, *, given: str) -> None:
    # Ray itself tries a dead address for minutes, and says so in the terminal again and again.
    why = _greeted(*_host_and_port(address))
    if why is not None:
        named = f"{address} (of the variable RAY_ADDRESS)" if given == AUTO else address
        raise ClusterUnavailable(
            f"there is no Ray cluster at {named}: {why}; start one with: ray start --head, or "
            f"give the HOST:PORT that it printed"
        )


def _host_and_port(address: str) -> tuple[str, int]:
    if "://" in address:
        raise ConfigurationError(
            f"the cluster's address is {address!r}; wanted auto, or HOST:PORT of its head, such as "
            f"10.0.0.1:6379 (a ray:// client cannot be used: run this on a machine of the cluster)"
        )
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ConfigurationError(
            f"the cluster's address is {address!r}; wanted auto, or HOST:PORT of its head, such as "
            f"10.0.0.1:6379"
        )
    host = host.strip("[]")
    # Ray writes the machine's own address for all of these.
    if host in ("localhost", "127.0.0.1", "::1"):
        host = str(ray_package().util.get_node_ip_address())
    return host, int(port)


def _greeted(host: str, port: int) -> str | None:
    """Return why no Ray head answers there; None: one does, as far as a greeting can tell."""
    try:
        with socket.create_connection((host, port), _SECONDS_TO_ANSWER) as peer:
            if os.environ.get("RAY_USE_TLS", "0") not in ("0", "false"):
                return None  # its greeting would have to be ciphered
            peer.settimeout(_SECONDS_TO_ANSWER)
            peer.sendall(_GREETING)
            answer = b""
            while len(answer) < _FRAME_HEADER:
                more = peer.recv(_FRAME_HEADER - len(answer))
                if not more:
                    return "what answers there speaks another protocol"
                answer += more
    except TimeoutError:
        return f"nothing answers within {_SECONDS_TO_ANSWER:g} s"
    except OSError as error:
        return f"{error.strerror or error}"
    return None if answer[3] == _SETTINGS else "what answers there speaks another protocol"


def _refused(address: str, error: Exception) -> ClusterUnavailable:
    said = _one_line(error)
    if "ersion mismatch" in said:
        return ClusterUnavailable(
            f"the cluster at {address} runs another version of Ray or Python: {said} Install here "
            f"what the cluster has, or the other way round"
        )
    return ClusterUnavailable(f"the cluster at {address} takes no connection: {said}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
