from __future__ import annotations

import pytest

from residua.errors import ConfigurationError
from residua.watching.origin import checked_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:hunter2@camera/1", "'rtsp://camera…'"),
        ("http://admin:hunter2@camera:80x/snap", "'http://camera…'"),
        ("http://camera:0/?password=hunter2", "'http://camera…'"),
        ("http://camera/ ?password=hunter2", "'http://camera…'"),
        ("http://camera/sn\u00e4p?password=hunter2", "'http://camera…'"),
        ("http://admin:hunter2/@camera:80x/snap", "'http://…'"),
        ("ftp://hunter2#@camera/snap", "'ftp://…'"),
        ("http://[hunter2", "'http://…'"),
        ("hooks.example/services/hunter2", "an address without http:// or https://"),
        ("admin:hunter2@camera?to=http://x", "an address without http:// or https://"),
    ],
)
def test_an_address_that_is_refused_is_shown_without_what_may_be_a_secret(
    url: str, shown: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked_url(url, "the camera")
    assert f"the camera is {shown}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://host/\u00fc", "https://host/a?line=\u00fc"])
def test_an_address_that_cannot_be_sent_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not ASCII; escape them"):
        checked_url(url, "the webhook")


@pytest.mark.parametrize("url", ["https://h\u00f6st/%C3%BC", "http://user:p%40@host:81/a?b=c"])
def test_an_address_of_the_web_is_taken_apart(url: str) -> None:
    assert checked_url(url, "it").geturl() == url
