"""Run the benchmarks of docs/performance.md, one after the other, and write the page.

    scripts/bench              # those without a result
    scripts/bench performance --again   # all of them

Each result is written as soon as it is there: a call that was stopped goes on where it stopped.
Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from _page import PAGE, RESULTS, write_page

HERE = Path(__file__).parent
NAMES = (
    "training_speed",
    "scoring_speed",
    "time_to_accuracy",
    "folder_scoring",
    "training_colour",
    "peers",
    "start_time",
    "installed_size",
    "scoring_memory",
    "growth",
    "roofline",
    "folder_reading",
    "decoders",
    "report_time",
    "service_load",
    "cluster_scoring",
)


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    made.add_argument("--again", action="store_true", help="measure what has a result, too")
    options = made.parse_args()
    failed = []
    for name in NAMES:
        if (RESULTS / f"{name}.json").exists() and not options.again:
            print(f"{name}: kept from before")
            continue
        print(f"{name}", flush=True)
        done = subprocess.run([sys.executable, HERE / f"{name}.py", "--page"])
        if done.returncode:
            failed.append(name)
    write_page()
    print(f"page: {PAGE}")
    if failed:
        raise SystemExit(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
