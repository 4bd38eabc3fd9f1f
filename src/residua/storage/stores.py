"""The object stores that Residua knows, opened through fsspec, and what they say when they fail."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, NamedTuple

from residua.errors import (
    ConfigurationError,
    MissingExtra,
    NothingStored,
    StorageDenied,
    StorageError,
    StorageUnreachable,
)
from residua.storage.locations import LOCAL, as_local, scheme_of, without_password


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
_SILENT_SECONDS = 7
# Tries of a request, also where the store asks for patience; of an answer that breaks off. Their
# product bounds how long an endpoint that takes requests and never answers is waited for.
_REQUESTS = 3
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
    if scheme == LOCAL:
        return _class_of(LOCAL, _MEMORY)(), str(as_local(url))
    if scheme not in _STORES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise ConfigurationError(
            f"{without_password(url)}: the scheme {scheme}:// is not known; known are {known}"
        )
    _check_names(url)
    kind = _class_of(scheme, _STORES[scheme])
    options = kind._get_kwargs_from_urls(url)
    with storage_errors(url):
        opened = kind(**options, **(_s3_options() if scheme == "s3" else {}))
    if scheme == "s3":
        opened.retries = _ANSWERS
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
    if isinstance(error, PermissionError) or names & _DENIED or without_account:
        return StorageDenied(
            f"the store does not let {url} be read or written ({said}); it goes by "
            f"{store.credentials}: check these and what they allow"
        )
    if isinstance(error, TimeoutError | ConnectionError) or names & _UNREACHABLE:
        return StorageUnreachable(
            f"the store of {url} does not answer ({said}); check the network and the endpoint"
            + (" (AWS_ENDPOINT_URL)" if store is _S3 else "")
        )
    if isinstance(error, OSError | ValueError) or names & _OTHER:
        return StorageError(f"{url} cannot be read or written ({said})")
    return None


def _s3_options() -> dict[str, Any]:
    options: dict[str, Any] = {
        "use_listings_cache": False,
        "config_kwargs": {
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _SILENT_SECONDS,
            "retries": {"mode": "standard", "max_attempts": _REQUESTS},
        },
    }
    # Named, so that a file system is not shared with that of another endpoint.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return options | ({"endpoint_url": endpoint} if endpoint else {})


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
    if ":" in host and "@" in host:
        raise ConfigurationError(
            f"{without_password(url)}: a URL is no place for a password, since it is printed and "
            "kept; leave it out, and give it in the environment"
        )
    if not host and scheme.lower() != "memory":
        raise ConfigurationError(f"{url} names no bucket; write it as scheme://bucket/folder/file")
