"""Options of `residua watch` that would be ignored are refused, before anything is opened."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from residua.cli import app
from residua.errors import BundleNotFound, ConfigurationError

CAMERA = "http://camera/snap.jpg"


def outcome(*arguments: str) -> BaseException | None:
    return CliRunner().invoke(app, ["watch", "none.residua", *arguments]).exception


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("in", "--json", "--out", "a.csv"), "--json is given, but rows go to --out"),
        (("in", "--fail-on-anomaly"), "--fail-on-anomaly is given, but it needs --once"),
        (("in", "--command-timeout", "9"), "--command-timeout is given, but it needs --command"),
        (("in", "--on-error"), "--on-error is given, but it needs --webhook or --command"),
        (("in", "--give-up", "9"), "--give-up is given, but it needs --webhook or --command"),
        (("in", "--every", "2"), "--every is given, but a folder"),
        (("in", "--timeout", "2"), "--timeout is given, but a folder"),
        ((CAMERA, "--poll"), "--poll is given, but a camera"),
        ((CAMERA, "--only-new"), "--only-new is given, but a camera"),
        ((CAMERA, "--settle", "1"), "--settle is given, but a camera"),
        ((CAMERA, "--patience", "1"), "--patience is given, but a camera"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    arguments: tuple[str, ...], reason: str
) -> None:
    error = outcome(*arguments)
    assert isinstance(error, ConfigurationError)
    assert reason in str(error)


@pytest.mark.parametrize(
    "arguments",
    [
        ("in", "--json", "--once", "--fail-on-anomaly", "--settle", "1", "--poll"),
        ("in", "--out", "a.csv", "--webhook", "http://host", "--on-error", "--give-up", "9"),
        (CAMERA, "--every", "2", "--command", "true", "--command-timeout", "9"),
    ],
)
def test_options_that_fit_together_are_taken(arguments: tuple[str, ...]) -> None:
    assert isinstance(outcome(*arguments), BundleNotFound)


def test_a_login_without_a_colon_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIDUA_CAMERA_LOGIN", "hunter2")
    error = outcome(CAMERA)
    assert isinstance(error, ConfigurationError)
    assert "wanted user:password" in str(error)
    assert "hunter2" not in str(error)
    assert isinstance(outcome("in"), BundleNotFound)  # a folder needs none
