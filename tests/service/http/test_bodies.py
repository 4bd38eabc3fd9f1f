"""Bodies of any shape: the answer is a verdict or a problem of the sender's, and it comes."""

from __future__ import annotations

import gzip
import json
import random
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import body as fuzzed
from fuzz.pictures import bombs, damaged, sound
from residua.service.problems import MEDIA_TYPE

Running = Any
PATH = "/v1/models/blobs/score"
JUDGEMENT = "/v1/reviews/1/judgement"
# A hang, and not a busy machine.
PATIENCE = 20.0
ANY_TIMES = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

PARTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                b'Content-Disposition: form-data; name="images"; filename="a.png"',
                b'content-disposition:form-data;filename="../../etc/passwd"',
                b'Content-Disposition: form-data; name="a"; filename="a\0\r\n b"',
                b"Content-Disposition: form-data; filename*=UTF-8''%00%0d%0a%ff",
                b'Content-Disposition: form-data; name="a"; filename="' + b"\xff" * 300 + b'"',
                b'Content-Disposition: form-data; filename="\\\\\\"',
                b"Content-Disposition",
                b"A: " + b"b" * 5_000,
                b"",
            ]
        )
        | st.binary(max_size=40),
        st.sampled_from([b"", b"\r\n--x", b"\r\n--x--\r\n", b"\x89PNG\r\n\x1a\n"])
        | st.binary(max_size=60),
    ),
    max_size=5,
)
ENDS = st.sampled_from([b"--x--\r\n", b"--x--", b"--x", b"--x\r\n", b"", b"--x--\r\nmore"])
TYPES = st.sampled_from(
    [
        "multipart/form-data; boundary=x",
        'multipart/form-data; boundary="x"',
        "multipart/form-data; boundary=x; boundary=y",
        "multipart/form-data; boundary=" + "x" * 400,
        "multipart/form-data; boundary*=utf-8''x",
        "multipart/form-data;;;=;boundary=x;",
        "multipart/mixed; boundary=x",
        "MULTIPART/FORM-DATA; BOUNDARY=x",
        "image/png",
        ";",
    ]
)


@pytest.fixture(autouse=True)
def _goes_on(run_once: Running, normal: list[bytes]) -> Iterator[None]:
    """After each test the service scores, and holds nothing of what it refused."""
    yield
    assert run_once.score(normal[0]).status_code == 200
    until = time.monotonic() + PATIENCE
    while run_once.station.admission.bytes:
        assert time.monotonic() < until, vars(run_once.station.admission)
        time.sleep(0.01)


def check(answer: Any) -> int:
    """The answer is a verdict, or a problem document of the sender's doing."""
    status = int(answer.status_code)
    if status != 200:
        assert 400 <= status < 500, answer.text
        assert answer.headers["Content-Type"] == MEDIA_TYPE
        assert answer.json()["status"] == status
    return status


@ANY_TIMES
@given(TYPES, PARTS, ENDS, st.booleans())
def test_any_form_gets_an_answer(
    run_once: Running, media_type: str, parts: Any, end: bytes, in_pieces: bool
) -> None:
    form = b"".join(b"--x\r\n" + head + b"\r\n\r\n" + body + b"\r\n" for head, body in parts) + end
    content = (form[at : at + 5] for at in range(0, len(form), 5)) if in_pieces else form
    check(run_once.client.post(PATH, content=content, headers={"Content-Type": media_type}))


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_are_uploads_or_a_refusal(data: bytes) -> None:
    fuzzed.one(data)


def test_the_seeds_of_the_fuzzer_are_uploads_or_refusals() -> None:
    for seed in fuzzed.seeds():
        fuzzed.one(seed)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 16_000,
        b'{"correct":' * 1_400,
        b'{"correct": ' + b"9" * 16_000 + b"}",
        b'{"correct": 1e400}',
        b'{"correct": NaN}',
        b'{"correct": true, "correct": false, "a": {}}',
        b'{"correct": "\\ud800"}',
        b'{"\\ud800": true}',
        b'{"correct": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"\0",
        b"",
    ],
    ids=range(12),
)
def test_json_of_any_depth_or_size_is_refused(run_once: Running, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for method, path in (("PUT", JUDGEMENT), ("POST", "/v1/models/blobs/recalibration")):
        assert check(run_once.client.request(method, path, content=content, headers=headers)) != 200


@ANY_TIMES
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=20,
    )
)
def test_any_json_gets_an_answer(run_once: Running, value: Any) -> None:
    headers = {"Content-Type": "application/json"}
    content = json.dumps({"correct": value})
    check(run_once.client.put(JUDGEMENT, content=content, headers=headers))


def test_a_packed_body_is_not_unpacked(run_once: Running) -> None:
    for encoding, packed in (
        ("gzip", gzip.compress(bytes(50_000_000))),
        ("deflate", zlib.compress(bytes(50_000_000))),
        ("br", b"\x00" * 100),
    ):
        for media_type in ("image/png", "multipart/form-data; boundary=x"):
            answer = run_once.client.post(
                PATH,
                content=packed,
                headers={"Content-Type": media_type, "Content-Encoding": encoding},
            )
            assert check(answer) in (400, 422)


def test_bad_pictures_get_problems_and_the_service_goes_on(run_once: Running) -> None:
    pictures = [one for picture in sound() for one in damaged(picture)]
    small = [one for one in bombs() if len(one.content) < 4_000]
    for name, content in (*random.Random(0).sample(pictures, 60), *small):
        answer = run_once.client.post(
            PATH, content=content, headers={"Content-Type": "image/png"}, params={"filename": name}
        )
        if content:
            assert check(answer) in (200, 422), name


# ---- what only a client of one's own sends


def said_to(running: Running, *pieces: bytes) -> bytes:
    """Send bytes as they are; return what comes back until the connection is closed."""
    with socket.create_connection(running.address, timeout=PATIENCE) as connection:
        with suppress(OSError):  # it may be closed before all is sent
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        said = b""
        with suppress(ConnectionError):
            while piece := connection.recv(65_536):
                said += piece
    return said


def head(*lines: str, path: str = PATH) -> bytes:
    token = "Authorization: Bearer 0123456789abcdef"
    first = f"POST {path} HTTP/1.1", "Host: 127.0.0.1", token, "Content-Type: image/png"
    return "\r\n".join((*first, *lines, "", "")).encode("latin-1")


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: 10"], b"x" * 100_000),
        (["Content-Length: 100000"], b"x" * 10),
        (["Content-Length: 0"], b"x"),
        (["Content-Length: 5", "Content-Length: 6"], b"xxxxxx"),
        (["Content-Length: 5, 5"], b"xxxxx"),
        (["Content-Length: +5"], b"xxxxx"),
        (["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked, chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"FFFFFFFFFFFFFFFFF\r\nx"),
        (["Transfer-Encoding: chunked"], b"-1\r\nx\r\n"),
        (["Transfer-Encoding: chunked"], b"3;" + b"a" * 200_000 + b"\r\nabc\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"3\r\nabcdef\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"3\r\nabc"),
        (["Transfer-Encoding: chunked"], b"1\r\nx\r\n" * 30_000),
        (["Expect: 100-continue", "Content-Length: 3"], b"abc"),
        (["Content-Length: 3", "\0: x"], b"abc"),
        (["Content-Length: 3", "A: \0"], b"abc"),
        (["Content-Length: 3", " folded: x"], b"abc"),
        (["Upgrade: websocket", "Connection: Upgrade", "Content-Length: 3"], b"abc"),
    ],
)
def test_a_body_that_is_not_as_its_headers_say_gets_an_answer_or_none(
    run_once: Running, lines: list[str], body: bytes
) -> None:
    start = time.monotonic()
    said = said_to(run_once, head(*lines), body)
    assert time.monotonic() - start < PATIENCE
    check_said(said)


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.sampled_from(
            [
                "Content-Length: 3",
                "Transfer-Encoding: chunked",
                "Content-Encoding: gzip",
                "Connection: close",
                "Cookie: " + "a=b;" * 2_000,
                "Range: bytes=0-",
                "X-\xff: \xff",
            ]
        )
        | st.text(st.characters(codec="latin-1"), max_size=30),
        max_size=4,
    ),
    st.sampled_from([b"3\r\nabc\r\n0\r\n\r\n", b"abc", b"ff\r\n", b"GET /healthz HTTP/1.1\r\n\r\n"])
    | st.binary(max_size=60),
)
def test_any_request_gets_an_answer_or_none(
    run_once: Running, lines: list[str], body: bytes
) -> None:
    check_said(said_to(run_once, head(*lines), body))


def check_said(said: bytes) -> None:
    """What was answered, if anything was, are responses whose refusals are problem documents."""
    if not said:
        return
    assert said.startswith(b"HTTP/1.1 "), said[:100]
    status = int(said[9:12])
    assert status == 100 or status == 200 or 400 <= status < 500, said[:500]
    assert status < 400 or MEDIA_TYPE.encode() in said, said[:500]


def test_chunks_without_end_are_ended_by_the_limit(
    run: Callable[..., Any], normal: list[bytes]
) -> None:
    running = run(limits={"max_bytes": 100_000, "upload_seconds": 2.0})
    request = head("Transfer-Encoding: chunked")
    piece = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    assert said_to(running, request, *[piece] * 200).startswith(b"HTTP/1.1 413")
    with socket.create_connection(running.address, timeout=PATIENCE) as connection:
        connection.sendall(request)
        start = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - start < PATIENCE:
                connection.sendall(b"1\r\nx\r\n")
                time.sleep(0.05)
                connection.settimeout(0.01)
                with suppress(TimeoutError):
                    said = connection.recv(1_000)
                    break
        assert said.startswith(b"HTTP/1.1 408"), said
    assert running.score(normal[0]).status_code == 200
