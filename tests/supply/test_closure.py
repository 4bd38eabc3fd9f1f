"""Which versions are pinned for machines other than the one on which the lock runs."""

from __future__ import annotations

import pytest

pytest.importorskip("packaging.metadata")
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from supply import index
from supply.closure import Closure, Unresolved
from supply.environments import Environment, environments, fits_a_python
from supply.lock import Choice, _pin, changes
from supply.pins import Pin

LINUX = Environment((3, 11), 0, ("linux", "Linux", "posix", "x86_64"))
WINDOWS = Environment((3, 13), 99, ("win32", "Windows", "nt", "AMD64"))
# What each wheel needs.
WHEELS: dict[str, list[str]] = {
    "app-1.0-py3-none-any.whl": ["colour>=1; sys_platform == 'win32'", "net[fast]"],
    "colour-1.0-py3-none-any.whl": [],
    "colour-1.1-py3-none-any.whl": [],
    "colour-2.0rc1-py3-none-any.whl": [],
    "net-3.0-cp311-cp311-manylinux_2_28_x86_64.whl": ["card", "driver==5.*"],
    "net-3.0-cp313-cp313-win_amd64.whl": ["quick; extra == 'fast'"],
    "quick-1.0-py3-none-any.whl": [],
    "driver-5.0-py3-none-any.whl": ["card<2"],
    "driver-6.0-py3-none-any.whl": [],
    "card-1.0-py3-none-any.whl": [],
    "card-2.0-py3-none-any.whl": [],
}


@pytest.fixture(autouse=True)
def made_up_index(monkeypatch: pytest.MonkeyPatch) -> None:
    def wheels(name: str) -> tuple[index.Wheel, ...]:
        found = []
        for file in WHEELS:
            of, version, _, tags = parse_wheel_filename(file)
            if of == name:
                found.append(index.Wheel(version, tags, file, file, yanked=False))
        return tuple(found)

    monkeypatch.setattr(index, "wheels", wheels)
    monkeypatch.setattr(index, "needs", lambda url: tuple(WHEELS[url]))


def test_a_machine_gets_what_its_markers_and_its_own_wheel_ask_for() -> None:
    closure = Closure({"app": "1.0", "net": "3.0"})
    closure.add(["app"], WINDOWS)
    assert closure.versions == {"app": "1.0", "net": "3.0", "colour": "1.1", "quick": "1.0"}


def test_a_choice_of_its_own_gives_way_to_a_later_requirement() -> None:
    closure = Closure({"net": "3.0"})
    closure.add(["net"], LINUX)
    assert closure.versions == {"net": "3.0", "driver": "5.0", "card": "1.0"}


def test_a_version_that_was_pinned_before_is_kept_where_it_fits() -> None:
    closure = Closure({"app": "1.0", "net": "3.0"}, preferred={"colour": "1.0", "quick": "0.1"})
    closure.add(["app"], WINDOWS)
    assert closure.versions["colour"] == "1.0"


def test_what_pip_chose_does_not_give_way() -> None:
    with pytest.raises(Unresolved, match=r"driver needs card<2.*scripts/lock --upgrade card"):
        Closure({"net": "3.0", "card": "2.0"}).add(["net"], LINUX)


def test_a_requirement_that_nothing_satisfies_names_the_machine() -> None:
    with pytest.raises(Unresolved, match=r"Python 3.11 on linux x86_64: no wheel of card>9"):
        Closure({}).add(["card>9"], LINUX)


def test_a_machine_without_a_wheel_is_told() -> None:
    closure = Closure({"net": "3.0"})
    closure.add(["net"], Environment((3, 12), 0, LINUX.system))
    assert closure.without_wheel == {("net", "Python 3.12 on linux x86_64")}


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("cp311-cp311-manylinux_2_28_x86_64", True),
        ("cp313-cp313-musllinux_1_2_aarch64", True),
        ("cp39-abi3-win_amd64", True),
        ("py3-none-macosx_11_0_arm64", True),
        ("py2.py3-none-any", True),
        ("cp310-cp310-win_amd64", False),
        ("cp313-cp313t-win_amd64", False),
        ("cp314-cp314-win_amd64", False),
        ("cp314-abi3-win_amd64", False),
        ("py2-none-any", False),
        ("pp310-pypy310_pp73-win_amd64", False),
    ],
)
def test_hashes_are_listed_for_wheels_of_our_pythons_on_any_system(tag: str, fits: bool) -> None:
    interpreters, abi, platform = tag.split("-")
    tags = [Tag(one, abi, platform) for one in interpreters.split(".")]
    assert any(map(fits_a_python, tags)) == fits


def test_this_machine_s_python_takes_a_wheel_as_pip_does() -> None:
    tags = LINUX.tags()
    old, new = (tags[Tag("cp311", "cp311", f"manylinux_2_{minor}_x86_64")] for minor in (17, 28))
    assert new < old < tags[Tag("py3", "none", "any")]
    assert Tag("cp311", "cp311", "win_amd64") not in tags


def test_three_systems_and_three_pythons_are_looked_at() -> None:
    assert {one.python for one in environments()} == {(3, 11), (3, 12), (3, 13)}
    assert {one.system[0] for one in environments()} == {"linux", "darwin", "win32"}


def test_a_change_of_pins_is_told_line_by_line() -> None:
    old = {"a": Pin("a", "1", frozenset()), "b": Pin("b", "1", frozenset())}
    new = {"a": Pin("a", "2", frozenset()), "c": Pin("c", "3", frozenset())}
    assert changes(old, new) == ["a: 1 → 2", "b: 1 → —", "c: — → 3"]


def test_a_file_that_is_not_on_the_index_is_no_pin() -> None:
    (sha256,) = (wheel.sha256 for wheel in index.wheels("driver") if str(wheel.version) == "5.0")
    assert _pin("driver", "5.0", Choice("Driver", "5.0", "", sha256, ()), None) == Pin(
        "Driver", "5.0", frozenset({sha256})
    )
    with pytest.raises(Unresolved, match=r"Driver 5\.0: .* not on PyPI"):
        _pin("driver", "5.0", Choice("Driver", "5.0", "", 64 * "0", ()), None)


def test_a_build_of_another_index_joins_those_of_the_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index, "cpu_torch_hashes", lambda version: set())
    old = Pin("torch", "2.0", frozenset({"of another system"}))
    pin = _pin("torch", "2.0", Choice("torch", "2.0", "cpu", "here", ()), old)
    assert pin.hashes == {"here", "of another system"}
    assert _pin("torch", "2.1", Choice("torch", "2.1", "cpu", "here", ()), old).hashes == {"here"}
