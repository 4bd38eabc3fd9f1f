"""The README's commands and code do what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from residua import load_dataset
from residua.images.preprocess import InputSpec

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def workplace(
    tmp_path_factory: pytest.TempPathFactory, write_backbone: Callable[..., Path]
) -> Path:
    """A folder with pictures in good/, incoming/ … and a backbone, as the README supposes."""
    root = tmp_path_factory.mktemp("readme")
    write_backbone(root / "mobilenet_v2.onnx")
    spec = InputSpec(height=48, width=48, channels=1)
    for name, split, count in (
        ("good", "train", 60),
        ("photos", "train", 20),
        ("incoming", "test", 12),
    ):
        (root / name).mkdir()
        source = load_dataset("surfaces", split, n=count, size=(48, 48))
        for batch in source.batches(spec, count):
            for index, image in zip(batch.indices, batch.images, strict=True):
                Image.fromarray(image[..., 0]).save(root / name / f"{index:03}.png")
    return root


def test_the_commands_run_in_order(workplace: Path) -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("residua ")]
    assert len(commands) >= 3
    for command in commands:
        done = subprocess.run(
            [BIN / "residua", *shlex.split(command, comments=True)[1:]],
            cwd=workplace,
            capture_output=True,
            text=True,
            check=False,
        )
        expected = (0, 3) if "--fail-on-anomaly" in command else (0,)
        assert done.returncode in expected, (command, done.stderr)
    for made in ("part.residua", "scores.csv", "maps/000.png.png"):
        assert (workplace / made).exists(), made


@pytest.mark.filterwarnings("ignore::residua.errors.ResiduaWarning")
def test_the_python_code_runs(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    code = blocks("python")
    assert code
    for block in code:
        exec(compile(block, "README.md", "exec"), {})
    assert (workplace / "from-python.residua").is_dir()


def test_the_scripts_it_names_are_there_and_executable() -> None:
    names = set(re.findall(r"scripts/(\w+)", README))
    assert {"demo", "test"} <= names
    for name in names:
        assert os.access(ROOT / "scripts" / name, os.X_OK), name


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/guide.md"])
def test_no_link_to_a_file_is_dead(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target
