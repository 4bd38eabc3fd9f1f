"""What the package index has: the files of a distribution, and what one of them needs."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from packaging.metadata import Metadata
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from supply.remote_file import RemoteFile

PYPI = "https://pypi.org/simple"
# Where the builds of torch for processors only lie: torch==2.13.0 there is 2.13.0+cpu.
CPU_TORCH = "https://download.pytorch.org/whl/cpu/torch/"
SECONDS = 60


@dataclass(frozen=True)
class Wheel:
    """A wheel as the index lists it."""

    version: Version
    tags: frozenset[Tag]
    sha256: str
    url: str
    yanked: bool


@cache
def wheels(name: str) -> tuple[Wheel, ...]:
    """Return every wheel that PyPI has of a distribution, by its canonical name."""
    request = Request(f"{PYPI}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urlopen(request, timeout=SECONDS) as answer:
        files = json.load(answer)["files"]
    found = []
    for file in files:
        try:
            _, version, _, tags = parse_wheel_filename(file["filename"])
        except InvalidWheelFilename:  # a source distribution, or a name older than the standard
            continue
        found.append(
            Wheel(version, tags, file["hashes"]["sha256"], file["url"], bool(file.get("yanked")))
        )
    return tuple(found)


@cache
def needs(url: str) -> tuple[str, ...]:
    """Return the requirements that a wheel's metadata names.

    Raises
    ------
    OSError
        If the address does not answer, or not with a wheel.
    """
    try:
        with urlopen(f"{url}.metadata", timeout=SECONDS) as answer:  # PEP 658
            content = answer.read()
    except HTTPError:  # not every index has it; then it is read out of the wheel
        with zipfile.ZipFile(io.BufferedReader(RemoteFile(url))) as archive:
            (name,) = (
                name
                for name in archive.namelist()
                if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
            )
            content = archive.read(name)
    metadata = Metadata.from_email(content, validate=False)
    return tuple(map(str, metadata.requires_dist or []))


def cpu_torch_hashes(version: str) -> set[str]:
    """Return the hashes of torch's builds for processors only; none if their index is silent."""
    try:
        with urlopen(CPU_TORCH, timeout=SECONDS) as answer:
            page = answer.read().decode()
    except (OSError, HTTPException):
        return set()
    named = rf"torch-{re.escape(version)}(?:%2B|\+)cpu-cp31[123]-cp31[123]-[^\"#]*\.whl"
    return set(re.findall(rf"{named}#sha256=([0-9a-f]{{64}})", page))


def best(found: Iterable[Wheel], supported: dict[Tag, int]) -> Wheel | None:
    """Return the wheel that pip would take among those of one version, or None."""
    ranked = [
        (min(supported[tag] for tag in wheel.tags if tag in supported), wheel.url, wheel)
        for wheel in found
        if any(tag in supported for tag in wheel.tags)
    ]
    return min(ranked)[2] if ranked else None
