"""Bad input and attacks: each gets its problem document, and the service goes on."""

from __future__ import annotations

import io
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image

from residua.service.problems import MEDIA_TYPE

Run = Callable[..., Any]
Running = Any


PATH = "/v1/models/blobs/score"


def check_problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"/problems/{slug}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


def check_well(running: Running, content: bytes) -> None:
    """The service scores, and holds nothing of what went before."""
    assert running.score(content).status_code == 200
    until = time.monotonic() + 5
    while running.station.admission.pictures or running.station.admission.bytes:
        assert time.monotonic() < until, vars(running.station.admission)
        time.sleep(0.01)


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png_of_size(width: int, height: int, data: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data, 9))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not-an-image"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            "not-an-image",
        ),
        (b"<html><script>alert(1)</script>", "not-an-image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported-image"),
        (b"\x89PNG\r\n\x1a\n", "damaged-image"),
        (png_of_size(60_000, 60_000), "image-too-large"),
        (png_of_size(0, 5), "damaged-image"),
    ],
)
def test_what_is_no_picture_is_said_to_be_none(
    run: Run, normal: list[bytes], content: bytes, slug: str
) -> None:
    running = run()
    check_problem(running.score(content), 422, slug)
    check_well(running, normal[0])


def test_a_picture_cut_anywhere_is_damaged_and_never_scored(run: Run, normal: list[bytes]) -> None:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 60).save(file, "JPEG")
    running = run()
    for content in (normal[0], file.getvalue()):
        for quarter in (1, 2, 3):
            cut = content[: len(content) * quarter // 4]
            check_problem(running.score(cut), 422, "damaged-image")
    check_well(running, normal[0])


def test_a_bomb_is_refused_before_it_is_unpacked(run: Run, normal: list[bytes]) -> None:
    running = run(limits={"max_pixels": 1_000_000})
    bomb = png_of_size(20_000, 20_000, b"\0" * 20_001 * 200)
    assert len(bomb) < 10_000
    document = check_problem(running.score(bomb), 422, "image-too-large")
    assert "1,000,000" in document["detail"]
    # Many times its size when unpacked, within the limit of pixels.
    running.score(png_of_size(1_000, 1_000, b"\0" * 200_000_000))
    check_well(running, normal[0])


def test_ten_thousand_tiny_parts_are_refused(run: Run, normal: list[bytes]) -> None:
    running = run()
    parts = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n1\r\n'
        for _ in range(10_000)
    )
    fields = parts.replace(b'; filename="a"', b"")
    for body in (parts, fields):
        answer = running.client.post(
            PATH,
            content=body + b"--x--\r\n",
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
        check_problem(answer, 413, "too-large")
    check_well(running, normal[0])


def test_more_pictures_than_the_limit_are_refused(run: Run, normal: list[bytes]) -> None:
    running = run(limits={"max_pictures": 3})
    assert running.score(*normal[:3]).status_code == 200
    check_problem(running.score(*normal[:4]), 413, "too-large")


def test_more_bytes_than_the_limit_are_refused_by_length_and_by_count(
    run: Run, normal: list[bytes]
) -> None:
    running = run(limits={"max_bytes": 10_000, "max_pictures": 1})
    headers = {"Content-Type": "image/png"}
    check_problem(
        running.client.post(PATH, content=b"x" * 20_000, headers=headers), 413, "too-large"
    )
    pieces = (b"x" * 1_000 for _ in range(20))
    check_problem(running.client.post(PATH, content=pieces, headers=headers), 413, "too-large")
    check_problem(
        running.client.put("/v1/reviews/1/judgement", content=b" " * 20_000), 413, "too-large"
    )
    check_well(running, normal[0])


@pytest.mark.parametrize(
    ("media_type", "body", "status", "slug"),
    [
        ("text/html", b"x", 415, "wrong-media-type"),
        ("application/json", b"{}", 415, "wrong-media-type"),
        ("multipart/form-data", b"x", 400, "bad-request"),
        ("multipart/form-data; boundary=", b"x", 400, "bad-request"),
        ("multipart/form-data; boundary=x", b"", 400, "bad-request"),
        ("multipart/form-data; boundary=x", b"no boundary", 400, "bad-request"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--\r\n", 400, "bad-request"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n12',
            400,
            "bad-request",
        ),
        (
            "multipart/form-data; boundary=x; charset=no-such",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n12\r\n--x--\r\n',
            400,
            "bad-request",
        ),
        ("image/png", b"", 400, "bad-request"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(
    run: Run, normal: list[bytes], media_type: str, body: bytes, status: int, slug: str
) -> None:
    running = run()
    answer = running.client.post(PATH, content=body, headers={"Content-Type": media_type})
    check_problem(answer, status, slug)
    check_well(running, normal[0])


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd",
        "C:\\Windows\\system32\\x.png",
        "<script>alert(1)</script>.png",
        "a" * 5_000 + ".png",
        "nul\x00byte.png",
        "line\r\nbreak.png",
        "=1+1.png",
        "\u202egnp.exe",
    ],
)
def test_no_name_reaches_a_path_or_a_line_of_the_log(
    run: Run, normal: list[bytes], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    running = run()
    answer = running.client.post(
        PATH, params={"filename": name}, content=normal[0], headers={"Content-Type": "image/png"}
    )
    assert answer.status_code == 200
    (result,) = answer.json()["results"]
    assert result["kept"] is not None
    assert all(c.isprintable() for c in result["name"])
    assert len(result["name"]) <= 200
    assert name not in capfd.readouterr().err


def test_the_name_given_in_a_form_is_data_too(run: Run, normal: list[bytes]) -> None:
    running = run()
    name = '<img src=x onerror="alert(1)">'
    answer = running.client.post(PATH, files={"images": (name, normal[0])})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def begin(running: Running, length: int) -> socket.socket:
    """Send the head of a request for a body of so many bytes."""
    connection = socket.create_connection(running.address, timeout=10)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
        f"Content-Length: {length}\r\n\r\n"
    )
    connection.sendall(head.encode())
    return connection


def test_a_slow_upload_is_ended(run: Run, normal: list[bytes]) -> None:
    running = run(limits={"upload_seconds": 0.3})
    with begin(running, 1_000) as connection:
        connection.sendall(b"\x89PNG")
        said = connection.recv(10_000)
    assert said.startswith(b"HTTP/1.1 408")
    assert b"/problems/too-slow" in said
    check_well(running, normal[0])


def test_many_slow_uploads_hold_nobody_else_up(run: Run, normal: list[bytes]) -> None:
    running = run(limits={"upload_seconds": 5})
    dawdling = [begin(running, 1_000) for _ in range(50)]
    start = time.monotonic()
    assert running.score(normal[0]).status_code == 200
    assert time.monotonic() - start < 4
    for connection in dawdling:
        connection.close()
    check_well(running, normal[0])


def test_a_connection_that_breaks_in_the_middle_leaves_nothing_behind(
    run: Run, normal: list[bytes]
) -> None:
    running = run()
    for _ in range(10):
        with begin(running, 100_000) as connection:
            connection.sendall(b"x" * 50_000)
    check_well(running, normal[0])


def test_who_goes_away_while_waiting_is_not_computed_for(run: Run, normal: list[bytes]) -> None:
    running = run(limits={"batch_milliseconds": 400})
    with begin(running, len(normal[0])) as connection:
        connection.sendall(normal[0])
        time.sleep(0.1)
    time.sleep(0.6)
    figures = running.client.get("/metrics").text
    assert "residua_batch_pictures_count 0.0" in figures
    check_well(running, normal[0])


def test_a_form_that_lies_about_its_length_is_given_up(run: Run, normal: list[bytes]) -> None:
    running = run(limits={"upload_seconds": 0.3})
    for length in ("-1", "99999999999999999999", "1e3", "0x10"):
        with socket.create_connection(running.address, timeout=10) as connection:
            head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nabc"
            connection.sendall(head.encode())
            said = connection.recv(10_000)
            assert said[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 413")
    check_well(running, normal[0])


def test_pages_of_other_sites_are_turned_away(run: Run, normal: list[bytes]) -> None:
    running = run(hosts=("localhost", "127.0.0.1", "::1"))
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = running.client.post(PATH, content=normal[0], headers=headers)
        check_problem(answer, 403, "foreign-page")
    answer = running.client.get("/v1/models", headers={"Host": "evil.example"})
    check_problem(answer, 403, "foreign-page")
    assert "Access-Control-Allow-Origin" not in answer.headers
    check_well(running, normal[0])


def test_probes_are_answered_by_whatever_name_they_ask(run: Run) -> None:
    running = run(hosts=("localhost",))
    for path in ("/healthz", "/readyz"):
        assert running.client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200


def receive_all(connection: socket.socket) -> bytes:
    said = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65_536):
            said += piece
    return said


@pytest.mark.parametrize("lines", ["one", "many", "path"])
def test_a_header_without_end_is_refused(run: Run, normal: list[bytes], lines: str) -> None:
    running = run()
    piece = {"one": b"x" * 8_192, "many": b"X1: a\r\n" * 1_000, "path": b"x" * 8_192}[lines]
    begin_ = {"one": b"GET / HTTP/1.1\r\nA: ", "many": b"GET / HTTP/1.1\r\n", "path": b"GET /"}
    with socket.create_connection(running.address, timeout=10) as connection:
        with suppress(ConnectionError):
            connection.sendall(begin_[lines])
            for _ in range(2_000):
                connection.sendall(piece)
        said = receive_all(connection)
    assert not said or said.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    check_well(running, normal[0])


def test_trailers_without_end_are_refused(run: Run, normal: list[bytes]) -> None:
    running = run()
    with socket.create_connection(running.address, timeout=10) as connection:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        with suppress(ConnectionError):
            connection.sendall(head.encode() + b"3\r\nabc\r\n0\r\n")
            for _ in range(2_000):
                connection.sendall(b"T1: a\r\n" * 1_000)
        assert len(receive_all(connection)) < 10_000
    check_well(running, normal[0])


def test_small_chunks_are_taken(run: Run, normal: list[bytes]) -> None:
    running = run()
    pieces = (normal[0][at : at + 7] for at in range(0, len(normal[0]), 7))
    answer = running.client.post(PATH, content=pieces, headers={"Content-Type": "image/png"})
    assert answer.status_code == 200


def test_what_is_no_http_gets_a_problem_document(run: Run) -> None:
    running = run()
    with socket.create_connection(running.address, timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01 no http at all\r\n\r\n")
        said = receive_all(connection)
    assert said.startswith(b"HTTP/1.1 400")
    assert MEDIA_TYPE.encode() in said


def test_a_header_that_does_not_come_ends_the_connection(
    run: Run, normal: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.service.server._HEADER_SECONDS", 0.3)
    running = run()
    first = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for begun in (b"", b"GET /", first + b"GET /healthz HTTP/1.1\r\nHo"):
        with socket.create_connection(running.address, timeout=10) as connection:
            connection.sendall(begun)
            said = receive_all(connection)
        assert said.count(b"HTTP/1.1 200") == begun.count(first)
    check_well(running, normal[0])


def test_an_answer_that_nobody_takes_is_given_up(
    run: Run, odd: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.service.gate._SEND_SECONDS", 0.5)
    running = run(retention={"keep": "off"})
    request = (
        f"POST {PATH}?include=heatmap&include=input HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: image/png\r\nContent-Length: {len(odd[0])}\r\n\r\n"
    ).encode() + odd[0]
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        connection.connect(running.address)
        connection.settimeout(5)
        with suppress(OSError):
            for _ in range(4_000):
                connection.sendall(request)
        check_well(running, odd[1])


def test_requests_that_are_given_up_do_not_fill_the_queue_behind_the_limits_back(
    run: Run, normal: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run(limits={"queue": 64}, retention={"keep": "off"}, threads=1)
    model = running.station.models["blobs"]
    compute, slow = model.compute, threading.Event()

    def wait(images: Any, *, at_once: int) -> Any:
        slow.wait(0.2)
        return compute(images, at_once=at_once)

    monkeypatch.setattr(model, "compute", wait)
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n'
    body = b"".join(part + one + b"\r\n" for one in normal[:32]) + b"--x--\r\n"
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    most = 0
    for _ in range(25):
        with socket.create_connection(running.address, timeout=10) as connection:
            connection.sendall(head + body)
            time.sleep(0.01)
        most = max(most, running.station.batcher.waiting)
    slow.set()
    assert most <= 128
    check_well(running, normal[0])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/..%2f..%2fserver.py", 404),
        ("GET", "/static/__init__.py", 404),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/reviews/0", 422),
        ("GET", "/v1/reviews/99999999999999999999999", 422),
        ("GET", "/v1/reviews/one", 422),
        ("GET", "/v1/reviews/12345", 404),
        ("GET", "/v1/reviews/queue?order=best", 422),
        ("GET", "/v1/reviews/queue?limits=3", 400),
        ("GET", "/v1/reviews/queue?limit=3&limit=4", 400),
        ("GET", "/v1/models/%00", 404),
        ("GET", "/problems/none", 404),
    ],
)
def test_whatever_else_is_asked_for_gets_a_problem_document(
    run: Run, method: str, path: str, status: int
) -> None:
    answer = run().client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == MEDIA_TYPE


def test_what_nobody_foresaw_tells_nothing_and_is_in_the_log(
    run: Run, normal: list[bytes], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    running = run()

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(running.station.models["blobs"], "compute", fail)
    answer = running.score(normal[0])
    document = check_problem(answer, 500, "internal")
    assert "secret" not in answer.text
    assert document["instance"] == answer.headers["X-Request-ID"]
    monkeypatch.undo()
    check_well(running, normal[0])
