"""How to get the same model and the same report again."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from residua.bundle import CHECKSUMS
from residua.catalogue import DEFAULT_MODEL
from residua.manifest import Manifest
from residua.report.sections import Section, TableBlock, TextBlock
from residua.storage import Location, joined, local_copy, name_of
from residua.summary import threads_and_workers

_TRAINING = "TRUSTED_PICTURES"
_SEEN = "PICTURES"
_TRUSTED = "NORMAL_PICTURES"
_ANOMALOUS = "ANOMALOUS_PICTURES"
_MOST_FILES = 5
# Settings of a fit that are options of `residua fit`, and their names there.
_OPTIONS = {
    "latent_dim": "latent-dim",
    "loss": "loss",
    "error_map": "error-map",
    "reduction": "reduction",
    "score": "score",
    "threshold": "threshold",
    "epochs": "epochs",
    "batch_size": "batch-size",
    "learning_rate": "learning-rate",
    "schedule": "schedule",
    "patience": "patience",
    "calibration_fraction": "calibration-fraction",
    "image_size": "size",
    "channels": "channels",
    "resize": "resize",
    "value_range": "value-range",
    "precision": "precision",
    "device": "device",
    "seed": "seed",
}
# Those of `AutoencoderDetector`, which cannot be asked for them without the training packages.
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "model": DEFAULT_MODEL,
        "latent_dim": None,
        "loss": None,
        "model_options": None,
        "error_map": "absolute",
        "reduction": "mean",
        "score": "surprise",
        "threshold": "auto",
        "epochs": None,
        "batch_size": None,
        "learning_rate": 5e-3,
        "schedule": "one-cycle",
        "patience": None,
        "validation_fraction": 0.1,
        "calibration_fraction": 0.1,
        "image_size": None,
        "channels": None,
        "resize": "stretch",
        "value_range": None,
        "background": (255, 255, 255),
        "precision": "auto",
        "device": "auto",
        "on_failed_fit": "raise",
        "seed": 0,
    }
)
_IN_PYTHON = {"seed": "random_state", "score": "scoring"}


@dataclass(frozen=True)
class Recipe:
    """What leads to a report: shell lines and Python that do the same, and what they started from.

    ``facts`` are seeds, versions and checksums, by name.
    """

    command: str
    python: str
    facts: Mapping[str, str]


def recipe_of(
    manifest: Manifest,
    *,
    bundle: Location | None = None,
    training: str | None = None,
    data: Sequence[str] = (_SEEN,),
    report: Sequence[str] = (),
) -> Recipe:
    """Return how a model was fitted and a report made of it.

    Parameters
    ----------
    manifest : Manifest
    bundle : path-like, URL or None
        The saved model. None: it is not saved.
    training : str or None
        The pictures of the fit, as the command line names them. None: that is not known.
    data : sequence of str
        The pictures of the report, likewise; of many only the first are written out.
    report : sequence of str
        Further words of the command ``residua report``.
    """
    changed = _changed(manifest)
    training = training or _TRAINING
    seen = list(data) if len(data) <= _MOST_FILES else [*data[:_MOST_FILES], "…"]
    name = "model.residua" if bundle is None else name_of(bundle)
    fit = ["residua", "fit", training, "-o", name]
    if "model" in changed:
        fit += ["--model", str(changed["model"])]
    in_words = {
        option: changed[setting] for setting, option in _OPTIONS.items() if setting in changed
    }
    options = dict(changed.get("model_options") or {})
    told = set(_OPTIONS) | {"model"}
    if set(options) == {"backbone"}:
        in_words = {"backbone": options["backbone"], **in_words}
        told.add("model_options")
    for option, value in in_words.items():
        fit += [f"--{option}", *_words(value)]
    python_only = sorted(set(changed) - told)
    lines = [shlex.join(fit), *_again(manifest, name)]
    lines.append(shlex.join(["residua", "report", name, *seen, *report]))
    if python_only:
        what = ", ".join(_IN_PYTHON.get(setting, setting) for setting in python_only)
        lines.insert(0, f"# set from Python only, so use that: {what}")
    return Recipe("\n".join(lines), _python(changed, training, name), _facts(manifest, bundle))


def recipe_section(recipe: Recipe) -> Section:
    """Return the recipe as the report's last section."""
    rows = [(name, value) for name, value in recipe.facts.items()]
    return Section(
        "recipe",
        "Recipe",
        "The same pictures, settings, seed, threads (the variable OMP_NUM_THREADS) and workers "
        "give the same model on the same machine; otherwise its scores differ a little.",
        [
            TextBlock(recipe.command, "code", "On the command line"),
            TextBlock(recipe.python, "code", "In Python"),
            TableBlock("recipe", "What it was made of", "", ("what", "value"), rows),
        ],
    )


def _changed(manifest: Manifest) -> dict[str, Any]:
    """Return the settings that are not the detector's defaults."""
    return {
        setting: value
        for setting, value in manifest.settings.model_dump().items()
        if setting not in DEFAULTS or value != DEFAULTS[setting]
    }


def _again(manifest: Manifest, name: str) -> list[str]:
    """Return the command that fitted the threshold anew, where one did."""
    record = manifest.recalibrated
    if record is None:
        return []
    command = ["residua", "recalibrate", name, _TRUSTED, "--threshold", manifest.threshold.rule]
    if record.anomalous is not None:
        command += ["--anomalous", _ANOMALOUS]
    return [shlex.join(command)]


def _words(value: Any) -> list[str]:
    if isinstance(value, tuple | list):
        if all(isinstance(part, int) for part in value):
            return ["x".join(str(part) for part in value)]
        return [str(part) for part in value]
    return [str(value)]


def _python(changed: Mapping[str, Any], training: str, name: str) -> str:
    arguments = "".join(
        f"    {_IN_PYTHON.get(setting, setting)}={value!r},\n" for setting, value in changed.items()
    )
    made = f"AutoencoderDetector(\n{arguments})" if arguments else "AutoencoderDetector()"
    return (
        "from residua import AutoencoderDetector\n\n"
        f"detector = {made}.fit({training!r})\n"
        f"detector.save({name!r})"
    )


def _facts(manifest: Manifest, bundle: Location | None) -> dict[str, str]:
    data = manifest.data
    facts = {
        "made": f"{manifest.created:%Y-%m-%d %H:%M} UTC",
        "seed": str(manifest.seed),
        "threads": threads_and_workers(manifest),
        "pictures": f"{data.training:,} training, {data.validation:,} validation, "
        f"{data.calibration:,} calibration, {data.skipped:,} skipped",
        "SHA-256 of the training pixels": data.fingerprint,
    }
    if manifest.recalibrated is not None:
        again = manifest.recalibrated
        facts["recalibrated"] = f"{again.created:%Y-%m-%d %H:%M} UTC on {again.pictures:,} pictures"
        facts["SHA-256 of the pixels of recalibration"] = again.fingerprint
    if bundle is not None:
        with local_copy(joined(bundle, CHECKSUMS)) as copy:
            sums = copy.read_bytes()
        facts[f"SHA-256 of {CHECKSUMS}, which covers the whole bundle"] = hashlib.sha256(
            sums
        ).hexdigest()
    return facts | {f"version of {name}": number for name, number in manifest.versions.items()}
