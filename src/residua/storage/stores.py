"""The object stores that Residua knows, opened through fsspec, and what they say when they fail."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, NamedTuple

from residua.errors import (
    ConfigurationError,
    CredentialsRefused,
    MissingExtra,
    NothingStored,
    StorageDenied,
    StorageError,
    StorageUnreachable,
)
from residua.storage.locations import LOCAL, scheme_of, without_password


class _Store(NamedTuple):
    module: str
    """The package behind a scheme."""
    extra: str
    """What installs it."""
    credentials: str
    """Where it finds who asks."""


_S3 = _Store("s3fs", "s3", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
_GCS = _Store("gcsfs", "gcs", "GOOGLE_APPLICATION_CREDENTIALS")
_AZURE = _Store("adlfs", "azure", "AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT_NAME")
_MEMORY = _Store("fsspec", "s3", "nothing")
_STORES = MappingProxyType(
    {
        "s3": _S3,
        "gs": _GCS,
        "gcs": _GCS,
        "az": _AZURE,
        "abfs": _AZURE,
        "abfss": _AZURE,
        "memory": _MEMORY,
    }
)

SCHEMES = (*_STORES, LOCAL)
"""What may stand before :// in a URL."""

# Seconds until an endpoint that lets nobody connect, or says nothing, is tried again.
_CONNECT_SECONDS = 3
_SILENT_SECONDS = 6
# Tries of a request, by the package that sends it and by that above, which tries twice over what
# comes with a body. An endpoint that takes requests and never answers is waited for that often.
_REQUESTS = 2
_ANSWERS = 2

# Names of what the packages raise: they share no class.
_DENIED = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "TokenRetrievalError",
        "ProfileNotFound",
        "DefaultCredentialsError",
        "RefreshError",
        "ClientAuthenticationError",
    }
)
# What S3 says of credentials rather than of what they allow, whatever error s3fs makes of it.
_WRONG_CREDENTIALS = frozenset(
    {
        "AccountProblem",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidToken",
        "NotSignedUp",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_UNREACHABLE = frozenset(
    {
        "ConnectionError",
        "HTTPClientError",
        "ClientConnectionError",
        "ServiceRequestError",
        "TransportError",
        "IncompleteReadError",
    }
)
# What a store that is overloaded or out of order says, in the numbers of errors and of HTTP.
_NOT_NOW = frozenset({errno.EBUSY, errno.EAGAIN, getattr(errno, "EREMOTEIO", errno.EIO)})
_NOT_NOW_HTTP = frozenset({"429", "500", "502", "503", "504"})
_OTHER = frozenset({"BotoCoreError", "HttpError", "AzureError", "ClientError"})


def filesystem(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the URL's path in it.

    File systems are kept and shared: threads may use one at once.

    Raises
    ------
    ConfigurationError
        The scheme is none that Residua knows, or the URL holds a password or no bucket.
    MissingExtra
        The scheme's package is not installed.
    """
    scheme = scheme_of(url)
    if scheme not in _STORES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise ConfigurationError(
            f"{without_password(url)}: the scheme {scheme}:// is not known; known are {known}"
        )
    _check_names(url)
    kind = _class_of(scheme, _STORES[scheme])
    options = kind._get_kwargs_from_urls(url)
    with storage_errors(url):
        # Other machines write there too: what was listed once is not what is there.
        opened = kind(
            **options, use_listings_cache=False, **(_s3_options() if scheme == "s3" else {})
        )
        if scheme == "s3":
            opened.retries = _ANSWERS
            _send_without_asking(opened)
    return opened, str(kind._strip_protocol(url))


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn what a store's package raises in the block into a `StorageError` that names the URL."""
    try:
        yield
    except (StorageError, ConfigurationError):
        raise
    except Exception as error:
        named = _named_error(url, error)
        if named is None:
            raise
        raise named from error


def _named_error(url: str, error: Exception) -> StorageError | None:
    """Say what is wrong by the error's name: the packages share no class but OSError."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    names = {kind.__name__ for kind in type(error).__mro__}
    store = _STORES.get(scheme_of(url), _MEMORY)
    if isinstance(error, FileNotFoundError):
        return NothingStored(f"there is nothing at {url} ({said}); check bucket and name")
    # adlfs has no error of its own for this.
    without_account = store is _AZURE and "credentials" in said
    refused = names & _DENIED or without_account or _s3_code(error) in _WRONG_CREDENTIALS
    if isinstance(error, PermissionError) or refused:
        return (CredentialsRefused if refused else StorageDenied)(
            f"the store does not let {url} be read or written ({said}); it goes by "
            f"{store.credentials}: check these and what they allow"
        )
    if _is_for_now(error) or names & _UNREACHABLE:
        return StorageUnreachable(
            f"the store of {url} does not answer ({said}); check the network and the endpoint"
            + (" (AWS_ENDPOINT_URL)" if store is _S3 else "")
        )
    if isinstance(error, OSError | ValueError) or names & _OTHER:
        return StorageError(f"{url} cannot be read or written ({said})")
    return None


def concerns_one_object(error: StorageError) -> bool:
    """Tell an error of one object from one that all objects of its store may have."""
    return isinstance(error, NothingStored | StorageDenied) and not isinstance(
        error, CredentialsRefused
    )


def _is_for_now(error: Exception) -> bool:
    """Tell whether the same request may succeed a little later."""
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    if isinstance(error, OSError) and error.errno in _NOT_NOW:
        return True
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return str(status) in _NOT_NOW_HTTP


def _s3_code(error: Exception) -> str:
    """Return the code that S3 gave, which s3fs keeps in the error that it translates; or none."""
    for one in (error, error.__cause__):
        answer = getattr(one, "response", None)
        if isinstance(answer, dict):
            return str(answer.get("Error", {}).get("Code", ""))
    return ""


def _s3_options() -> dict[str, Any]:
    options: dict[str, Any] = {
        "config_kwargs": {
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _SILENT_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": _REQUESTS},
        },
    }
    # Named, so that a file system is not shared with that of another endpoint.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return options | ({"endpoint_url": endpoint} if endpoint else {})


def _send_without_asking(store: Any) -> None:
    """Have bodies sent at once: a silent endpoint is waited for without end to allow one."""
    from botocore.handlers import add_expect_header  # type: ignore[import-untyped]

    store.s3.meta.events.unregister("before-call.s3", add_expect_header)


def _class_of(scheme: str, store: _Store) -> Any:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise MissingExtra.of(store.module, store.extra) from error
    try:
        return fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise MissingExtra.of(store.module, store.extra) from error


def _check_names(url: str) -> None:
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    if ":" in host:  # which no bucket's name has; a password's slash may have ended it early
        raise ConfigurationError(
            f"{without_password(url)}: a URL is no place for a password, since it is printed and "
            "kept, nor for a port; leave them out, and give them in the environment"
        )
    if not host and scheme.lower() != "memory":
        raise ConfigurationError(f"{url} names no bucket; write it as scheme://bucket/folder/file")
