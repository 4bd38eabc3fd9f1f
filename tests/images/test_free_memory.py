"""How much memory there is, as the kernel and control groups tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from residua.images.free_memory import free_memory

MEGABYTE = 1 << 20


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    write(folder / "meminfo", "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 2048000 kB")
    return folder


@pytest.fixture
def cgroups(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def version_2(folder: Path, limit: object, used: int, cached: int = 0) -> None:
    write(folder / "memory.max", limit)
    write(folder / "memory.current", used)
    write(folder / "memory.stat", f"anon 5\nactive_file {cached}\ninactive_file 7\nshmem 3")


def test_it_is_what_the_kernel_says_where_no_group_binds(proc, cgroups):
    assert free_memory(proc, cgroups) == 2000 * MEGABYTE
    write(proc / "self" / "cgroup", "0::/")
    version_2(cgroups, "max", 5)
    assert free_memory(proc, cgroups) == 2000 * MEGABYTE


def test_a_group_of_version_2_leaves_its_limit_less_what_cannot_be_given_up(proc, cgroups):
    write(proc / "self" / "cgroup", "0::/job/step")
    version_2(cgroups / "job" / "step", 500 * MEGABYTE, 300 * MEGABYTE, cached=100 * MEGABYTE)
    assert free_memory(proc, cgroups) == 300 * MEGABYTE + 7


def test_a_group_is_bound_by_those_above_it(proc, cgroups):
    write(proc / "self" / "cgroup", "0::/job/step")
    version_2(cgroups / "job" / "step", "max", 0)
    version_2(cgroups / "job", 50 * MEGABYTE, 20 * MEGABYTE)
    assert free_memory(proc, cgroups) == 30 * MEGABYTE + 7


def test_a_container_that_sees_its_group_as_the_root_is_bound_by_it(proc, cgroups):
    write(proc / "self" / "cgroup", "0::/docker/1a2b")
    version_2(cgroups, 50 * MEGABYTE, 20 * MEGABYTE)
    assert free_memory(proc, cgroups) == 30 * MEGABYTE + 7


def test_a_group_of_version_1_counts_the_groups_below_it(proc, cgroups):
    write(proc / "self" / "cgroup", "9:name=systemd:/\n4:memory:/job\n3:cpu,cpuacct:/\n0::/")
    folder = cgroups / "memory" / "job"
    write(folder / "memory.limit_in_bytes", 90 * MEGABYTE)
    write(folder / "memory.usage_in_bytes", 80 * MEGABYTE)
    totals = f"total_active_file {MEGABYTE}\ntotal_inactive_file {2 * MEGABYTE}"
    write(folder / "memory.stat", f"active_file 1\ninactive_file 2\n{totals}")
    assert free_memory(proc, cgroups) == 13 * MEGABYTE


def test_a_group_that_takes_more_than_its_limit_leaves_nothing(proc, cgroups):
    write(proc / "self" / "cgroup", "0::/")
    version_2(cgroups, 5, 90 * MEGABYTE)
    assert free_memory(proc, cgroups) == 0


@pytest.mark.parametrize("known", [{"SC_AVPHYS_PAGES": 30}, {"SC_PHYS_PAGES": 30}])
def test_elsewhere_it_is_the_pages_there_are(known, tmp_path, monkeypatch):
    pages = {"SC_PAGE_SIZE": 4096, **known}

    def sysconf(name: str) -> int:
        if name not in pages:
            raise ValueError("unrecognized configuration name")
        return pages[name]

    monkeypatch.setattr(os, "sysconf", sysconf, raising=False)
    assert free_memory(tmp_path, tmp_path) == 30 * 4096


def test_it_is_unknown_where_nothing_tells(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert free_memory(tmp_path, tmp_path) is None
