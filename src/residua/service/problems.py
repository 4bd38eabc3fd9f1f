"""Problem documents: every refusal as RFC 9457 has it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from residua import errors
from residua.service.schemas import Problem

MEDIA_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """A kind of problem."""

    slug: str
    """Last part of its URI."""
    status: int
    """HTTP status."""
    title: str
    """In words."""


# The nearest class of an error's ancestry counts.
KINDS: Mapping[type[BaseException], Kind] = MappingProxyType(
    {
        errors.NotAnImage: Kind("not-an-image", 422, "Not a picture"),
        errors.DamagedImage: Kind("damaged-image", 422, "A damaged picture"),
        errors.ImageTooCostly: Kind("image-too-costly", 422, "A picture that takes too long"),
        errors.ImageTooLarge: Kind("image-too-large", 422, "A picture of too many pixels"),
        errors.UnsupportedImage: Kind("unsupported-image", 422, "A picture of another kind"),
        errors.EmptySource: Kind("nothing-there", 409, "Nothing there to work on"),
        errors.InputError: Kind("unusable-pictures", 422, "Pictures that cannot be used"),
        errors.BadRequest: Kind("bad-request", 400, "A request that cannot be read"),
        errors.ConfigurationError: Kind("bad-request", 400, "A request that cannot be read"),
        errors.UnknownModel: Kind("unknown-model", 404, "No such model"),
        errors.NoSuchPicture: Kind("no-such-picture", 404, "No such picture"),
        errors.WrongMediaType: Kind("wrong-media-type", 415, "A body of another type"),
        errors.RequestTooLarge: Kind("too-large", 413, "Too large a request"),
        errors.UploadTooSlow: Kind("too-slow", 408, "The body did not come in time"),
        errors.TooBusy: Kind("too-busy", 429, "Too much at once"),
        errors.WaitedTooLong: Kind("waited-too-long", 503, "No turn in time"),
        errors.TokenNeeded: Kind("token-needed", 401, "A token is needed"),
        errors.NotAllowed: Kind("not-allowed", 403, "Not allowed"),
        errors.ForeignPage: Kind("foreign-page", 403, "Not by this name, or not from its own page"),
        errors.ReviewsOff: Kind("reviews-off", 409, "Nothing is kept for review"),
        errors.PreviewStale: Kind("preview-stale", 409, "The preview no longer holds"),
        errors.StoreFull: Kind("no-space", 507, "No space left"),
        errors.StoreError: Kind("store-unavailable", 503, "The review store is away"),
        errors.OutputError: Kind("no-space", 507, "It could not be written"),
        errors.EngineFailed: Kind("engine-failed", 500, "The model could not be computed"),
        errors.BundleError: Kind("bundle-unusable", 500, "The model cannot be used"),
    }
)
BY_STATUS: Mapping[int, Kind] = MappingProxyType(
    {
        400: Kind("bad-request", 400, "A request that cannot be read"),
        404: Kind("not-found", 404, "Nothing is here"),
        405: Kind("method-not-allowed", 405, "Not by this method"),
        422: Kind("invalid", 422, "A parameter out of range"),
    }
)
INTERNAL = Kind("internal", 500, "Something went wrong here")
ALL_KINDS = MappingProxyType(
    {kind.slug: kind for kind in (*KINDS.values(), *BY_STATUS.values(), INTERNAL)}
)


def kind_of(error: BaseException) -> Kind:
    """Return the kind of problem that an error is; of one that nobody foresaw, `INTERNAL`."""
    return next((KINDS[one] for one in type(error).__mro__ if one in KINDS), INTERNAL)


def problem_of(error: BaseException, instance: str | None = None) -> Problem:
    """Return an error as a problem document; of one that nobody foresaw nothing is told.

    Parameters
    ----------
    error : exception
    instance : str or None, default=None
        Id of the request.
    """
    kind = kind_of(error)
    if kind is INTERNAL:
        return problem(kind, "the log has it under this request's id", instance)
    return problem(kind, " ".join(str(error).split()), instance)


def problem(kind: Kind, detail: str, instance: str | None = None) -> Problem:
    """Return a problem document."""
    return Problem(
        type=f"/problems/{kind.slug}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
    )


def headers_of(error: BaseException) -> dict[str, str]:
    """Return the header fields that belong to an error's answer."""
    retry_after = getattr(error, "retry_after", None)
    if retry_after is None and kind_of(error).status == 503:
        retry_after = 5
    found = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if isinstance(error, errors.TokenNeeded):
        found["WWW-Authenticate"] = 'Bearer realm="residua"'
    return found
