"""Known vulnerabilities of what is pinned, by pip-audit, where PyPI's service for them answers.

    scripts/check runs it

pip-audit counts a version that the service does not know as skipped and reports that nothing was
found, even where all are. So what was not looked up is never called free of vulnerabilities here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from supply.pins import CONSTRAINTS, Pin, read

SERVICE = "https://pypi.org/pypi"
# Time in which the service has to answer at all, and in which the audit has to end: less where a
# person waits for a commit than in continuous integration.
FIRST_ANSWER_SECONDS = 5
SECONDS = 120 if os.environ.get("CI") else 30


@dataclass(frozen=True)
class Accepted:
    """A vulnerability that we live with for a time."""

    reason: str
    until: date
    """From this day on it fails the check again."""


ACCEPTED: dict[str, Accepted] = {}
"""By identifier, as PYSEC-… or CVE-…; each with why it does not reach us."""


def main() -> int:
    """Audit the pins; returns 1 if a vulnerability is known that nobody accepted."""
    pins = read()
    if not answers(pins["pip"]):
        print("vulnerabilities: not audited, as PyPI's service for them does not answer")
        return 0
    report = _report(CONSTRAINTS)
    if report is None:
        print(f"vulnerabilities: not audited, as pip-audit did not end well within {SECONDS} s")
        return 0
    lines, looked_up = judged(report, ACCEPTED, datetime.now(UTC).date())
    for line in lines:
        print(line, file=sys.stderr)
    print(f"vulnerabilities: {looked_up} of {len(pins)} versions looked up, {len(lines)} found")
    return 1 if lines else 0


def answers(pin: Pin, service: str = SERVICE) -> bool:
    """Tell whether the service knows the vulnerabilities of a version."""
    try:
        with urlopen(
            f"{service}/{pin.name}/{pin.version}/json", timeout=FIRST_ANSWER_SECONDS
        ) as answer:
            return "vulnerabilities" in json.load(answer)
    except (OSError, HTTPException, ValueError):
        return False


def judged(
    report: dict[str, Any], accepted: dict[str, Accepted], today: date
) -> tuple[list[str], int]:
    """Return a line for each vulnerability that is not accepted today, and the versions looked up.

    Parameters
    ----------
    report
        What pip-audit wrote as JSON.
    """
    lines, looked_up = [], 0
    for dependency in report["dependencies"]:
        if "skip_reason" in dependency:
            continue
        looked_up += 1
        for found in dependency["vulns"]:
            names = [found["id"], *found.get("aliases", [])]
            if any(name in accepted and today < accepted[name].until for name in names):
                continue
            fixed = ", ".join(found.get("fix_versions", [])) or "no version yet"
            what = f"{dependency['name']} {dependency['version']}"
            lines.append(f"{what}: {', '.join(names)}; mended in {fixed}")
    return lines, looked_up


def _report(requirements: Path) -> dict[str, Any] | None:
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip"),
        *("--format", "json", "--progress-spinner", "off", "--timeout", str(FIRST_ANSWER_SECONDS)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        report: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return report


if __name__ == "__main__":
    raise SystemExit(main())
