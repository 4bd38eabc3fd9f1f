"""The promises of docs/reliability.md, each put to the test for longer than a test may take.

    scripts/bench reliability [--only kill-score,fuzz-decoder] [--again] [--list] [--page]

Each result is kept as soon as it is there, in .bench/reliability.json, and a call that was stopped
goes on where it stopped. With --page the table goes to docs/reliability.md, where checks without a
result are named as such, and the results to docs/results/reliability.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from _page import between_marks
from _table import machine, markdown
from reliability.check import Check, Finding
from residua.writing import write_text

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".bench" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / "docs" / "results" / "reliability.json"
# Each has a function checks(), which yields them.
MODULES = (
    "kills",
    "serve_kills",
    "clusters",
    "cluster_fitting",
    "fuzzing",
    "hostile",
    "numbers",
)


@dataclass(frozen=True)
class Result:
    """A finding, and when and how long it was looked for."""

    promise: str
    kept: bool
    figures: str
    seconds: float
    finished: str
    commit: str = "unknown"
    """That was tried; + where files differed from it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks that have no result yet; returns 1 where a promise was not kept."""
    options = _parser().parse_args(arguments)
    checks = {check.name: check for check in _checks()}
    if options.list:
        for check in checks.values():
            print(f"{check.name:24} {check.promise}")
        return 0
    wanted = options.only.split(",") if options.only else list(checks)
    unknown = [name for name in wanted if name not in checks]
    if unknown:
        print(f"no such check: {', '.join(unknown)}; see --list", file=sys.stderr)
        return 2
    results = _kept()
    for name in wanted:
        if name in results and not options.again:
            continue
        print(f"{name}: {checks[name].promise}", flush=True)
        results[name] = _tried(checks[name])
        print(f"  {_words(results[name])}", flush=True)
        KEPT.parent.mkdir(exist_ok=True)
        write_text(KEPT, _json(results))
    if options.page:
        _publish(checks, results)
    return 0 if all(results[name].kept for name in wanted) else 1


def _checks() -> Iterator[Check]:
    for name in MODULES:
        yield from importlib.import_module(f"reliability.{name}").checks()


def _tried(check: Check) -> Result:
    start = time.monotonic()
    try:
        finding = check.run()
    except Exception as error:
        traceback.print_exc()
        finding = Finding(kept=False, figures=f"{type(error).__name__}: {error}".partition("\n")[0])
    return Result(
        check.promise,
        finding.kept,
        finding.figures,
        round(time.monotonic() - start, 1),
        datetime.now(UTC).isoformat(timespec="seconds"),
        _commit(),
    )


def _commit() -> str:
    git = ("git", "-C", str(ROOT))
    try:
        name = subprocess.check_output([*git, "rev-parse", "--short", "HEAD"], text=True).strip()
        changed = subprocess.check_output([*git, "status", "--porcelain", "--untracked-files=no"])
    except (OSError, subprocess.CalledProcessError):  # an archive of the files alone
        return "unknown"
    return f"{name}+" if changed else name


def _kept() -> dict[str, Result]:
    if not KEPT.exists():
        return {}
    found = json.loads(KEPT.read_text(encoding="utf-8"))["checks"]
    return {name: Result(**result) for name, result in found.items()}


def _publish(checks: dict[str, Check], results: dict[str, Result]) -> None:
    there = {name: results[name] for name in checks if name in results}
    RESULTS.parent.mkdir(exist_ok=True)
    write_text(RESULTS, _json(there))
    rows = [
        (result.promise, _verdict(result), result.figures, f"{result.seconds:,.0f} s")
        if (result := there.get(name))
        else (check.promise, "?", "not tried yet in this form", "")
        for name, check in checks.items()
    ]
    table = markdown(("promise", "kept", "measured", "took"), rows)
    commits = ", ".join(dict.fromkeys(result.commit for result in there.values()))
    where = f"Measured on {machine()}, of commit {commits}."
    page = PAGE.read_text(encoding="utf-8")
    write_text(PAGE, between_marks(page, "checks", f"{table}\n\n{where}"))


def _json(results: dict[str, Result]) -> str:
    checks = {name: asdict(result) for name, result in results.items()}
    return json.dumps({"machine": machine(), "checks": checks}, indent=2, ensure_ascii=False) + "\n"


def _words(result: Result) -> str:
    return f"{_verdict(result)}: {result.figures} ({result.seconds:,.0f} s)"


def _verdict(result: Result) -> str:
    return "yes" if result.kept else "NO"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", help="names of checks, with commas between")
    parser.add_argument("--again", action="store_true", help="run those too that have a result")
    parser.add_argument("--page", action="store_true", help="write the table of the page")
    parser.add_argument("--list", action="store_true", help="name the checks")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
