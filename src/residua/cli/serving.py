"""`residua serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from residua.cli.common import EngineName, LowestPrecision, Threads, app, escape, say
from residua.errors import ConfigurationError

_MIB, _GIB = 1 << 20, 1 << 30


@app.command(epilog="Example: residua serve part.residua")
def serve(
    bundles: Annotated[
        list[str],
        typer.Argument(
            help="Saved models or their URLs, served under the names of their folders; or "
            "NAME=PATH.",
            metavar="BUNDLE",
        ),
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0: other machines reach it too.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    keep: Annotated[
        str, typer.Option(help="Scored pictures that are kept for review: off, flagged or all.")
    ] = "flagged",
    keep_days: Annotated[
        float,
        typer.Option(
            help="Days after which pictures that nobody reviewed go; 0: never.", min=0, max=36_500
        ),
    ] = 30.0,
    keep_gib: Annotated[
        float, typer.Option(help="GiB of kept pictures, at most; 0: no limit.", min=0, max=1e6)
    ] = 10.0,
    data: Annotated[
        str | None,
        typer.Option(
            help="Folder of the review store, reviews.sqlite. [default: residua in the user's data "
            "folder]"
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            help="Review store: postgresql+psycopg://USER:PASSWORD@HOST/NAME. [default: SQLite]",
            envvar="RESIDUA_DATABASE",
        ),
    ] = None,
    station: Annotated[
        str, typer.Option(help="Name of this service among those that share a database.")
    ] = "station",
    tokens: Annotated[
        Path | None,
        typer.Option(
            help="File of bearer tokens, lines of ROLE NAME TOKEN; roles: reader, reviewer, "
            "admin. [default: whoever reaches the service may do everything]",
            envvar="RESIDUA_TOKENS",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Name under which the service is reached; may be given again."),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate for https, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    max_mib: Annotated[
        float, typer.Option(help="MiB of a request, at most.", min=0.01, max=1e5)
    ] = 64.0,
    max_megapixels: Annotated[
        float, typer.Option(help="Millions of pixels of a picture, at most.", min=0.01, max=1e5)
    ] = 64.0,
    max_pictures: Annotated[int, typer.Option(help="Pictures of a request.", min=1)] = 64,
    queue: Annotated[
        int, typer.Option(help="Pictures waiting at a time; more are sent away with 429.", min=1)
    ] = 256,
    upload_seconds: Annotated[
        float, typer.Option(help="Seconds in which a request's body has to come.", min=0.1, max=1e6)
    ] = 30.0,
    queue_seconds: Annotated[
        float,
        typer.Option(help="Seconds after which a waiting picture is given up.", min=0.1, max=1e6),
    ] = 20.0,
    threads: Threads = None,
    engine: EngineName = "auto",
    precision: LowestPrecision = "float32",
    log_format: Annotated[str, typer.Option(help="Log lines as text or json.")] = "text",
) -> None:
    """Serve saved models over HTTP, with a web page for inspectors.

    A bundle that is replaced is taken up without a request being dropped: on disk at once, in an
    object store within half a minute. Without --tokens
    and on other than 127.0.0.1, everybody on the network may score, review and recalibrate.
    """
    import os
    import signal
    from typing import get_args

    import uvicorn
    from pydantic import ValidationError

    from residua.service.access import hosts_for, is_loopback
    from residua.service.logs import configure, log
    from residua.service.server import config_for
    from residua.service.settings import Keep, Limits, Retention, ServiceSettings
    from residua.storage import local_path

    if keep not in get_args(Keep):
        raise ConfigurationError(f"--keep is {keep!r}; write off, flagged or all")
    if tokens is None and "RESIDUA_TOKENS" in os.environ:
        raise ConfigurationError(
            "RESIDUA_TOKENS is empty; name the file of tokens, or unset it to ask for none"
        )
    if log_format not in ("text", "json"):
        raise ConfigurationError(f"--log-format is {log_format!r}; write text or json")
    configure(cast("Any", log_format))
    try:
        settings = ServiceSettings(
            bundles=_named(bundles),
            data=None if data is None else local_path(data, "the review store"),
            database=database,
            station=station,
            tokens=tokens,
            hosts=hosts_for(host, allow_host or []),
            threads=threads,
            engine=engine,
            precision=cast("Any", precision),
            limits=Limits(
                max_bytes=round(max_mib * _MIB),
                max_pixels=round(max_megapixels * 1e6),
                max_pictures=max_pictures,
                queue=queue,
                bytes_in_flight=max(4 * round(max_mib * _MIB), 256 * _MIB),
                upload_seconds=upload_seconds,
                queue_seconds=queue_seconds,
            ),
            retention=Retention(
                keep=cast("Any", keep),
                days=keep_days or None,
                max_bytes=round(keep_gib * _GIB) or None,
            ),
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{where}: {first['msg']}, not {first['input']!r}") from error
    if tokens is None and (allow_host or not is_loopback(host)):
        say(
            "[bold yellow]warning:[/] without --tokens everybody who reaches this machine may "
            "score, review and recalibrate"
        )
    if (tls_cert is None) != (tls_key is None):
        raise ConfigurationError("--tls-cert and --tls-key belong together; give both")
    if tls_cert is not None and tls_key is not None:
        _check_tls(tls_cert, tls_key)
    listening = _listening(host, port)
    config: Any = config_for(settings, host=host, port=port, tls_cert=tls_cert, tls_key=tls_key)
    where, at, *_ = listening.getsockname()
    scheme = "http" if tls_cert is None else "https"
    url = f"{scheme}://{f'[{where}]' if ':' in where else where}:{at}"
    reviews = "nothing is kept" if keep == "off" else f"reviews in {config.app.state.station.place}"
    if log_format == "json":
        log("serving", url=url, models=list(settings.bundles), reviews=reviews)
    else:
        say(f"serving {escape(', '.join(settings.bundles))} at {escape(url)}; {escape(reviews)}")
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:
        # uvicorn's own handlers come later, and raise the signal again when all is finished.
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.run(sockets=[listening])


def _check_tls(cert: Path, key: Path) -> None:
    import ssl

    for name, path in (("--tls-cert", cert), ("--tls-key", key)):
        if not path.is_file():
            raise ConfigurationError(f"{name}: there is no file {path}")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors
        raise ConfigurationError(
            f"{cert} and {key} cannot be used as certificate and key ({error}); both are PEM, and "
            f"perhaps they are swapped"
        ) from error


def _listening(host: str, port: int) -> Any:
    """Return a socket that listens; before any model is opened, as this fails the sooner."""
    import socket

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # Not a usage error: an address may come up later, and a port be freed.
        raise OSError(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another --host or "
            f"--port"
        ) from error


def _named(bundles: list[str]) -> dict[str, Path | str]:
    from residua.storage import as_local, is_url, name_of

    found: dict[str, Path | str] = {}
    for text in bundles:
        given, equals, path = ("", "", "") if is_url(text) else text.partition("=")
        location = path if equals else text
        local = as_local(location)
        where = location if local is None else Path(local)
        own = name_of(location) if local is None else Path(local).resolve().name
        name = given if equals else own.removesuffix(".residua")
        if not name or "/" in name:
            raise ConfigurationError(
                f"{text!r}: {name!r} can be no model's name; write NAME=PATH, with no / in the name"
            )
        if name in found:
            raise ConfigurationError(
                f"two models are called {name!r}; give one another name: NAME={where}"
            )
        found[name] = where
    return found
