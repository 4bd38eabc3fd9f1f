from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from numpy.typing import NDArray
from PIL import Image


def test_the_bare_install_gives_most_of_the_advice(
    bundle: Path, blobs: NDArray, tmp_path: Path
) -> None:
    for number, image in enumerate(blobs[:30]):
        Image.fromarray(image).save(tmp_path / f"{number:02}.png")
    program = (
        "import sys\n"
        "for name in ('sklearn', 'torch', 'matplotlib'): sys.modules[name] = None\n"
        "from residua.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "advise", str(bundle), str(tmp_path), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sum(finding["made"] for finding in json.loads(done.stdout)) >= 6
