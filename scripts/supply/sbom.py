"""The bill of materials of a release: CycloneDX JSON with what Residua brings at run time.

    scripts/sbom            # writes dist/residua-VERSION.cdx.json

It holds this version, every distribution of all extras as constraints.txt pins it for this machine,
with its licence, the hashes of its wheels and what it needs in turn. What only an extra brings is
marked optional.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import Distribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from supply.installed import closure
from supply.licences import licence
from supply.pins import ROOT, Pin, canonical, read
from supply.requirements import requirements

INDEX = "https://pypi.org/simple"


def bill(pins: dict[str, Pin], version: str) -> Bom:
    """Return the bill of this environment.

    Parameters
    ----------
    pins
        Every distribution's hashes, by canonical name.
    version
        That of Residua.

    Raises
    ------
    LookupError
        If something is not installed or not pinned in the version that is installed.
    """
    product = Component(
        name="residua",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=f"residua=={version}",
        purl=PackageURL("pypi", name="residua", version=version),
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )
    bare, whole = closure(requirements()), closure(requirements("all"))
    parts = {
        name: _component(
            name, one.distribution, _pinned(name, one.distribution, pins), required=name in bare
        )
        for name, one in whole.items()
    }
    bom = Bom(components=parts.values())
    bom.metadata.component = product
    direct = {canonical(Requirement(line).name) for line in requirements("all")}
    bom.register_dependency(product, [parts[name] for name in parts if name in direct])
    for name, one in whole.items():
        bom.register_dependency(parts[name], [parts[other] for other in sorted(one.needs)])
    return bom


def _pinned(name: str, found: Distribution, pins: dict[str, Pin]) -> Pin:
    if name not in pins or pins[name].version != found.version.partition("+")[0]:
        raise LookupError(f"{name} {found.version} is not what constraints.txt pins; scripts/setup")
    return pins[name]


def _component(name: str, found: Distribution, pin: Pin, *, required: bool) -> Component:
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=one) for one in sorted(pin.hashes)]
    return Component(
        name=pin.name,
        version=found.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}=={found.version}",
        purl=PackageURL("pypi", name=name, version=pin.version),
        scope=ComponentScope.REQUIRED if required else ComponentScope.OPTIONAL,
        licenses=[LicenseFactory().make_from_string(licence(found))],
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(f"{INDEX}/{name}/"),
                hashes=hashes,
                comment="the wheels that may be installed",
            )
        ],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bill and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, metavar="FILE")
    out: Path | None = parser.parse_args(arguments).out
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if out is None:
        out = ROOT / "dist" / f"residua-{project['version']}.cdx.json"
    try:
        made = JsonV1Dot6(bill(read(), project["version"])).output_as_string(indent=2)
    except LookupError as why:
        print(why, file=sys.stderr)
        return 1
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(made + "\n", encoding="utf-8")
    print(out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
