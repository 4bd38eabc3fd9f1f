"""constraints.txt: complete, hashed, within the ranges of pyproject.toml, and read by pip so."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from supply import index
from supply.bounds import lower_bounds
from supply.lock import _hashes
from supply.pins import CONSTRAINTS, Pin, canonical, read, text
from supply.requirements import requirements, to_build

DIRECT = sorted({*requirements("all,dev,fuzz"), *to_build()})


def test_every_pin_has_a_hash() -> None:
    assert [name for name, pin in read().items() if not pin.hashes] == []


@pytest.mark.parametrize("line", DIRECT)
def test_every_direct_dependency_is_pinned_within_its_range(line: str) -> None:
    requirement = Requirement(line)
    pin = read()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin.version)


def test_the_file_is_as_the_lock_writes_it() -> None:
    assert CONSTRAINTS.read_text().startswith(text(read(), "Python 3.11 to 3.13"))


def test_the_lock_says_where_the_index_of_builds_for_processors_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(index, "wheels", lambda _: ())
    monkeypatch.setattr(index, "CPU_TORCH", "http://127.0.0.1:9")
    assert _hashes("torch", "2.13.0") == set()
    assert "no hashes of torch's CPU builds: their index is silent" in capsys.readouterr().err


def test_the_file_is_small_enough_to_be_read_in_a_review() -> None:
    assert CONSTRAINTS.stat().st_size < 500_000


@pytest.mark.parametrize(
    "line",
    ["pillow>=13", "pillow==13.0 --hash=md5:0123", "pillow==13.0 --hash=sha256:0123", "-r other"],
)
def test_a_line_that_is_no_hashed_pin_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "constraints.txt"
    path.write_text(f"{line}\n")
    with pytest.raises(ValueError, match="not a pin"):
        read(path)


def test_a_distribution_that_is_pinned_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "constraints.txt"
    path.write_text("ruamel.yaml==1.0\nruamel_yaml==1.0\n")
    with pytest.raises(ValueError, match="twice"):
        read(path)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with two wheels, of which one needs the other."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, needs in (("outer", "Requires-Dist: inner\n"), ("inner", "")):
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", "")
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}"
            )
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{info}/RECORD", "")
    return folder


def installed(wheels: Path, pins: dict[str, Pin], tmp_path: Path) -> tuple[int, str]:
    """Let pip install outer as scripts/install does, and return its status and what it says."""
    constraints = tmp_path / "constraints.txt"
    constraints.write_text(text(pins, "Python 3"))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--isolated", "install", "--require-hashes"),
            *("--only-binary", ":all:", "--no-index", "--find-links", wheels),
            *("--target", tmp_path / "there", "--constraint", constraints, "outer"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def pin(wheels: Path, name: str) -> Pin:
    content = (wheels / f"{name}-1.0-py3-none-any.whl").read_bytes()
    return Pin(name, "1.0", frozenset({sha256(content).hexdigest(), 64 * "0"}))


def test_pip_installs_what_has_a_hash_of_the_list(wheels: Path, tmp_path: Path) -> None:
    pins = {name: pin(wheels, name) for name in ("outer", "inner")}
    assert installed(wheels, pins, tmp_path)[0] == 0
    assert (tmp_path / "there" / "inner.py").exists()


def test_pip_installs_nothing_of_which_one_file_was_exchanged(wheels: Path, tmp_path: Path) -> None:
    pins = {name: pin(wheels, name) for name in ("outer", "inner")}
    with zipfile.ZipFile(wheels / "inner-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("more.py", "print('hello')")
    status, said = installed(wheels, pins, tmp_path)
    assert status != 0
    assert "DO NOT MATCH THE HASHES" in said
    assert not (tmp_path / "there").exists()


def test_pip_installs_nothing_that_is_not_in_the_list(wheels: Path, tmp_path: Path) -> None:
    status, said = installed(wheels, {"outer": pin(wheels, "outer")}, tmp_path)
    assert status != 0
    assert "inner" in said
    assert not (tmp_path / "there").exists()


def test_the_oldest_versions_are_the_lower_bounds_of_pyproject() -> None:
    oldest = lower_bounds(requirements("all"))
    assert {canonical(Requirement(line).name) for line in requirements("all")} == {
        canonical(name) for name in oldest
    }
    for line in requirements("all"):
        requirement = Requirement(line)
        assert str(requirement.specifier) == f">={oldest[requirement.name]}"


@pytest.mark.parametrize("line", ["numpy", "numpy<3", "numpy==2.0.*", "residua[serve]"])
def test_a_dependency_without_a_lower_bound_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="no lower bound"):
        lower_bounds([line])


def test_groups_hold_what_the_groups_in_them_hold(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[build-system]\nrequires = ["builder>=1"]\n'
        '[project]\ndependencies = ["bare>=1"]\n[project.optional-dependencies]\n'
        'one = ["first>=1"]\nboth = ["residua[one]", "second>=1"]\n'
        '[dependency-groups]\nbuild = ["editor>=1"]\ntest = ["tester>=1"]\n'
        'dev = [{include-group = "test"}, "tool>=1"]\n'
    )
    assert requirements("", path) == ["bare>=1"]
    assert requirements("both", path) == ["bare>=1", "first>=1", "second>=1"]
    assert requirements("one,dev", path) == ["bare>=1", "first>=1", "tester>=1", "tool>=1"]
    assert to_build(path) == ["builder>=1", "editor>=1"]
    with pytest.raises(KeyError):
        requirements("none", path)
