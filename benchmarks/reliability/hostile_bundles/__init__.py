"""Bundles as someone with bad intent would make them: one fault each, with checksums that fit."""

from __future__ import annotations

from reliability.hostile_bundles import arrays, files, graphs, manifests
from reliability.hostile_bundles.case import KEPT, SECRET, Case, make, sign

CASES: tuple[Case, ...] = (*files.CASES, *manifests.CASES, *arrays.CASES, *graphs.CASES)

__all__ = ["CASES", "KEPT", "SECRET", "Case", "make", "sign"]
