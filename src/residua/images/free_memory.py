"""How much memory this program may still take, by the system and by the limits set to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def free_memory(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """Return the bytes that can still be taken without swapping; None where nothing tells.

    On Linux that is the kernel's estimate (``MemAvailable``), or what a control group (version 1
    or 2, as containers and batch systems set them) leaves, if less; elsewhere the unused pages, or
    else all memory of the machine.

    Parameters
    ----------
    proc, cgroups : Path
        Where the kernel tells of the system and of control groups.
    """
    free = _of_system(proc)
    return None if free is None else max(0, min(free, *_of_groups(proc, cgroups)))


def _of_system(proc: Path) -> int | None:
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        try:
            return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):  # Windows, and what a system does not know
            continue
    return None


def _of_groups(proc: Path, cgroups: Path) -> Iterator[int]:
    """Yield what each group leaves that this program is in; a group is bound by those above it."""
    yield 1 << 62
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            root, limit, used = cgroups, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root, limit, used = cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # Inside a container the group may be mounted as the root, whatever it is called outside.
        group = Path(path.strip("/"))
        for folder in (group, *group.parents):
            left = _left_in(root / folder, limit, used)
            if left is not None:
                yield left


def _left_in(folder: Path, limit: str, used: str) -> int | None:
    try:
        most = int((folder / limit).read_text())
        taken = int((folder / used).read_text())
        stat = (folder / "memory.stat").read_text()
        # The kernel gives up cached files before it refuses memory.
        return most - taken + _cached(stat)
    except (OSError, ValueError, IndexError):  # not there, or "max"
        return None


def _cached(stat: str) -> int:
    counts = dict(line.split() for line in stat.splitlines())
    # In version 1 the totals count the groups below; in version 2 all counts do.
    prefix = "total_" if "total_inactive_file" in counts else ""
    return sum(int(counts.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
