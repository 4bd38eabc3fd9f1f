from __future__ import annotations

import pytest

pytest.importorskip("ray")

from cluster_scoring import NODES, PICTURES, PROCESSORS, Costs


def test_what_is_projected_follows_from_what_a_picture_costs() -> None:
    costs = Costs(
        reading=0.002,
        computing=0.0075,
        rest=0.0005,
        bytes_read=20_000,
        bytes_named=50,
        bytes_written=40,
        bytes_decoded=196_608,
        naming=1e-6,
    )
    assert (PICTURES, NODES, PROCESSORS) == (10**9, 100, 16)
    assert costs.projected() == [
        ("workers' time, hours", "1.7"),  # 10⁹ × 10 ms among 1,600
        ("read by a node, MB/s", "32"),
        ("read by all nodes, GB/s", "3.2"),
        ("hours of a node", "174"),
        ("the driver's own work, hours", "0.3"),
        ("names that the driver holds, GB", "50"),
        ("scores, GB", "40"),
    ]
