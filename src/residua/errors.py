"""Every error and warning that Residua raises on purpose.

::

    ResiduaError
    ├── InputError (ValueError)            the pictures that were given
    │   ├── EmptySource                    nothing there to read
    │   ├── NoReadableImage                files, but not one of them decodes
    │   ├── TooFewImages                   fewer than the step needs
    │   ├── IdenticalImages                nothing to learn: all pictures are equal
    │   ├── IdenticalScores                calibration scores without a tail to fit
    │   ├── BadArray                       shape, type, NaN or range of an array
    │   ├── BadLabels                      labels or classes that do not fit the pictures
    │   └── ImageError                     one picture; becomes an error row in a batch
    │       ├── UnreadableFile             missing, a dangling link, no permission
    │       ├── NotAnImage                 the content is of no format that Pillow knows
    │       ├── DamagedImage               truncated or corrupt
    │       ├── ImageTooCostly             more work than the limit on pixels allows
    │       ├── ImageTooLarge              more pixels than the limit, or than memory allows
    │       └── UnsupportedImage           a mode or depth that has no reading as a picture
    ├── DatasetError                       the registered data sets
    │   ├── UnknownDataset (ValueError)
    │   ├── DatasetUnavailable             not on disk and no mirror answers
    │   └── DatasetCorrupt                 content that is not the published one
    ├── ConfigurationError (ValueError)    a parameter outside its range
    │   ├── UnknownName                    no such model, rule, map …; the nearest are offered
    │   ├── PluginFailed                   another package's model that cannot be imported
    │   └── BrokenContract                 a model that does not do what is asked of models
    ├── TrainingError
    │   ├── TrainingDiverged               the loss became NaN or infinite
    │   ├── NothingLearned                 no better than predicting the mean picture, twice
    │   └── CannotResume                   no checkpoint, or one of another fit
    ├── BundleError                        the saved model
    │   ├── BundleNotFound
    │   ├── NotABundle                     a folder or file of another kind
    │   ├── BundleIncomplete               a file of it is missing or cut short
    │   ├── BundleAltered                  a file's checksum differs
    │   ├── BundleRefused                  it holds what no saved model does, and is not run
    │   ├── BundleTooNew                   written by a later schema
    │   └── NetworkNotInstalled            its model is of a package that is not there
    ├── EngineFailed                       no engine computes a batch, or none can be measured
    ├── RequestRefused                     a request that the service does not carry out
    │   ├── BadRequest                     no pictures, or a body that is not what it says
    │   ├── UnknownModel                   no model of that name is served
    │   ├── WrongMediaType                 a body of a type that is not taken
    │   ├── RequestTooLarge                more bytes or pictures than the limit
    │   ├── UploadTooSlow                  the body did not come in time
    │   ├── ComeAgain                      it may succeed later, and says when
    │   │   ├── TooBusy                    the queue is full
    │   │   └── WaitedTooLong              the queue was too slow
    │   ├── TokenNeeded                    no bearer token, or one that is not known
    │   ├── NotAllowed                     the token's role does not reach
    │   ├── ForeignPage                    a request that another site's page sent
    │   ├── ReviewsOff                     nothing is kept, so nothing can be reviewed
    │   └── PreviewStale                   what was previewed is not what would be done now
    ├── OutputError                        a result that could not be written
    │   └── OtherRun                       a folder of results that belong to other inputs
    ├── ClusterError                       work on many machines
    │   ├── ClusterUnavailable             no cluster answers, or one of other versions
    │   └── WorkersLost                    workers end again and again, or cannot start
    ├── StoreError                         the database of kept pictures and reviews
    │   ├── StoreUnavailable               it cannot be reached, or does not answer in time
    │   ├── StoreFull                      no space on disk, or read-only
    │   ├── StoreInUse                     another service keeps its reviews there
    │   ├── StoreTooNew                    its tables are those of a later version
    │   └── NoSuchPicture                  no picture is kept under this number
    ├── StorageError                       an object store refuses what was asked of it
    │   ├── NothingStored                  no such bucket or object
    │   ├── StorageDenied                  what may not be read or written, such as one object
    │   │   └── CredentialsRefused         none at hand, or expired or wrong ones
    │   └── StorageUnreachable             the store does not answer; it may be tried again
    ├── LedgerError                        the record of a folder or camera that is watched
    │   ├── LedgerInUse                    another process works on it
    │   └── LedgerUnusable                 damaged, too new, or that of another source
    └── MissingExtra (ImportError)         an optional dependency; names the extra to install

    ResiduaWarning (UserWarning)
    ├── SkippedImages                      unreadable pictures left out of a fit
    ├── TooFewForThreshold                 fewer held-out pictures than the promised rate needs
    ├── NoSpread                           all calibration scores are equal
    ├── Discarded                          an interrupted fit that is not resumed
    ├── WorseThanPCA                       a linear code of the same size rebuilds better
    ├── CollapsedCode                      all normal pictures have the same code
    ├── ConfoundedScore                    the score follows how much there is in a picture
    ├── NoBottleneck                       the code is not smaller than the picture
    ├── LearnedNothing                 no better than the mean picture, where that is tolerated
    ├── EngineReplaced                     ONNX Runtime computes in another engine's place
    └── Restarted                          a first training learned nothing; a new seed is tried
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from types import MappingProxyType

# The modules that the bare install lacks, and the extra that brings each.
_EXTRAS = MappingProxyType(
    {
        "adlfs": "azure",
        "alembic": "serve",
        "fastapi": "serve",
        "fsspec": "s3",
        "gcsfs": "gcs",
        "jinja2": "report",
        "lightning": "train",
        "matplotlib": "report",
        "onnx": "train",
        "openvino": "openvino",
        "optuna": "refine",
        "prometheus_client": "serve",
        "psycopg": "postgres",
        "pyarrow": "parquet",
        "python_multipart": "serve",
        "ray": "ray",
        "s3fs": "s3",
        "safetensors": "train",
        "scipy": "report",
        "sklearn": "report",
        "sqlalchemy": "serve",
        "starlette": "serve",
        "torch": "train",
        "uvicorn": "serve",
        "watchfiles": "watch",
    }
)


class ResiduaError(Exception):
    """Base of every error that Residua raises on purpose."""


class InputError(ResiduaError, ValueError):
    """The pictures that were given cannot be used as they are."""


class EmptySource(InputError):
    """There is nothing to read: an empty folder, list or array."""


class NoReadableImage(InputError):
    """There are files, but not one of them decodes to a picture."""


class TooFewImages(InputError):
    """Fewer pictures than the step needs."""


class IdenticalImages(InputError):
    """All pictures are equal, so there is nothing to learn."""


class IdenticalScores(InputError):
    """So many calibration scores are equal that the threshold rule has nothing to go by."""


class BadArray(InputError):
    """An array whose shape, type or values are not those of pictures."""


class BadLabels(InputError):
    """Labels or classes that do not fit the pictures."""


class ImageError(InputError):
    """One picture that cannot be read; in a batch it becomes a row with this error."""


class UnreadableFile(ImageError):
    """A file that is missing, behind a dangling link, or without permission to read."""


class NotAnImage(ImageError):
    """A file whose content is of no format that Pillow knows."""


class DamagedImage(ImageError):
    """A picture that is truncated or corrupt."""


class ImageTooCostly(ImageError):
    """A picture whose size is allowed and that would take far longer than its size should."""


class ImageTooLarge(ImageError):
    """A picture of more pixels than the limit, as decompression bombs have, or than fit memory."""


class UnsupportedImage(ImageError):
    """A picture whose mode or depth has no reading as grey or colour."""


class DatasetError(ResiduaError):
    """A registered data set cannot be had."""


class UnknownDataset(DatasetError, ValueError):
    """No data set is registered under this name."""


class DatasetUnavailable(DatasetError):
    """The data set is not on disk and no mirror answers."""


class DatasetCorrupt(DatasetError):
    """The data set's content is not the published one."""


class ConfigurationError(ResiduaError, ValueError):
    """A parameter outside its range, or parameters that contradict each other."""


class UnknownName(ConfigurationError):
    """No model, rule, error map … is registered under this name."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """Build the error for ``name``, offering the nearest of the ``known`` names."""
        return cls(f"no {kind} is called {name!r}; {nearest_names(name, known)}")


class PluginFailed(ConfigurationError):
    """A model that another package offers cannot be imported, or not told from another."""


class BrokenContract(ConfigurationError):
    """A model that does not do what fitting, scoring and saving ask of one."""


class TrainingError(ResiduaError):
    """Training did not end in a usable model."""


class TrainingDiverged(TrainingError):
    """The loss became NaN or infinite."""


class NothingLearned(TrainingError):
    """The network rebuilds no better than the mean picture does, from two seeds."""


class CannotResume(TrainingError):
    """There is no checkpoint to go on from, or it belongs to another fit."""


class BundleError(ResiduaError):
    """A saved model cannot be used."""


class BundleNotFound(BundleError):
    """Nothing lies at the bundle's path."""


class NotABundle(BundleError):
    """What lies at the path is not a saved Residua model."""


class BundleIncomplete(BundleError):
    """A file of the bundle is missing or cut short."""


class BundleAltered(BundleError):
    """A file of the bundle is not the one that was saved."""


class BundleRefused(BundleError):
    """The bundle holds what no saved model does, such as a link, and nothing of it is run."""


class BundleTooNew(BundleError):
    """The bundle was written by a later version of the schema."""


class NetworkNotInstalled(BundleError):
    """The bundle's model is of a package that is not installed; ONNX Runtime still scores it."""


class EngineFailed(ResiduaError):
    """ONNX Runtime could not compute a batch, or the engines could not be measured."""


class RequestRefused(ResiduaError):
    """The service does not carry out a request."""


class BadRequest(RequestRefused, ValueError):
    """There are no pictures in it, or its body is not what its headers say."""


class UnknownModel(RequestRefused):
    """No model of that name is served."""


class WrongMediaType(RequestRefused):
    """The body is of a type that is not taken."""


class RequestTooLarge(RequestRefused):
    """It has more bytes or more pictures than the limit."""


class UploadTooSlow(RequestRefused):
    """The body did not come in time."""


class ComeAgain(RequestRefused):
    """It may succeed a little later."""

    def __init__(self, text: str, *, retry_after: int = 1) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        """Seconds to wait before coming again."""


class TooBusy(ComeAgain):
    """As many pictures as may wait are waiting."""


class WaitedTooLong(ComeAgain):
    """A picture's turn did not come in time."""


class TokenNeeded(RequestRefused):
    """There is no bearer token, or one that is not known."""


class NotAllowed(RequestRefused):
    """The token's role does not allow it."""


class ForeignPage(RequestRefused):
    """The page of another site sent it, or it names a host that this service is not."""


class ReviewsOff(RequestRefused):
    """Nothing is kept, so that there is nothing to review."""


class PreviewStale(RequestRefused):
    """What was previewed is not what would be done now."""


class OutputError(ResiduaError):
    """A result could not be written."""


class OtherRun(OutputError):
    """A folder of results was begun with other inputs, another model or other settings."""


class ClusterError(ResiduaError):
    """Work on a cluster of machines did not come to its end."""


class ClusterUnavailable(ClusterError):
    """No cluster answers at the address, or it runs other versions."""


class WorkersLost(ClusterError):
    """Workers ended again and again, or not one of them could start."""


class StoreError(ResiduaError):
    """The database of kept pictures and their reviews did not do what was asked of it."""


class StoreUnavailable(StoreError):
    """The database cannot be reached, or does not answer in time; it may be tried again."""


class StoreFull(StoreError):
    """The database takes nothing more: its disk is full, or it is read-only."""


class StoreInUse(StoreError):
    """Another service keeps its reviews in the same SQLite file."""


class StoreTooNew(StoreError):
    """The database's tables are those of a later version of Residua."""


class NoSuchPicture(StoreError):
    """No picture is kept under this number."""


class StorageError(ResiduaError):
    """An object store refuses what was asked of it."""


class NothingStored(StorageError):
    """There is no such bucket, or no such object."""


class StorageDenied(StorageError):
    """The credentials do not allow it, or there are none."""


class CredentialsRefused(StorageDenied):
    """There are no credentials, or the store takes them for expired or wrong: for all objects."""


class StorageUnreachable(StorageError):
    """The object store does not answer; it may be tried again."""


class LedgerError(ResiduaError):
    """The record of what was scored of a folder or camera cannot be used."""


class LedgerInUse(LedgerError):
    """Another process works on the ledger."""


class LedgerUnusable(LedgerError):
    """The ledger cannot be read or written, is too new, or is that of another source."""


class MissingExtra(ResiduaError, ImportError):
    """An optional dependency is not installed."""

    @classmethod
    def behind(cls, error: ModuleNotFoundError) -> MissingExtra | None:
        """Build the error for a failed import; None where no extra brings the module."""
        module = (error.name or "").partition(".")[0]
        extra = _EXTRAS.get(module)
        return None if extra is None else cls.of(module, extra)

    @classmethod
    def of(cls, module: str, extra: str) -> MissingExtra:
        """Build the error for ``module``, which the optional ``extra`` brings."""
        return cls(
            f"this needs {module!r}, which is not installed; "
            f"install it with: pip install 'residua[{extra}]'"
        )


class ResiduaWarning(UserWarning):
    """Base of every warning that Residua gives."""


class SkippedImages(ResiduaWarning):
    """Unreadable pictures were left out of a fit."""


class TooFewForThreshold(ResiduaWarning):
    """Fewer pictures were held out than the threshold's false-positive rate needs."""


class NoSpread(ResiduaWarning):
    """All calibration scores are equal, so the threshold is that score."""


class Discarded(ResiduaWarning):
    """An interrupted fit is started afresh, since resuming was not asked for."""


class WorseThanPCA(ResiduaWarning):
    """A linear code (PCA) of the same size rebuilds held-out pictures better."""


class CollapsedCode(ResiduaWarning):
    """All normal pictures have the same code, so that distances between codes say nothing."""


class ConfoundedScore(ResiduaWarning):
    """The score follows how much there is in a picture, rather than how strange it is."""


class NoBottleneck(ResiduaWarning):
    """The code has at least as many numbers as the picture, so a copy is possible."""


class LearnedNothing(ResiduaWarning):
    """The network rebuilds no better than the mean picture, and the caller tolerates it."""


class EngineReplaced(ResiduaWarning):
    """An engine that is missing, fails or gives other scores is replaced by ONNX Runtime."""


class Restarted(ResiduaWarning):
    """A first training learned nothing and is repeated from a new seed."""


def nearest_names(name: str, known: Iterable[str]) -> str:
    """Say which of the ``known`` names are nearest to ``name``, or list them all."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(n) for n in near) + "?"
    return "known are " + ", ".join(repr(n) for n in names)
