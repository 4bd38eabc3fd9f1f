"""A Ray cluster of two nodes on this machine, with one processor each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from tests.conftest import set_store_environment


@pytest.fixture(scope="session")
def cluster(store_endpoint: str) -> Iterator[str]:
    """Start it; return the address of its head. Its workers reach the store of the tests."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as environment, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        set_store_environment(environment, store_endpoint)
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
        )
        nodes.add_node(num_cpus=1)
    try:
        yield nodes.address
    finally:
        nodes.shutdown()
