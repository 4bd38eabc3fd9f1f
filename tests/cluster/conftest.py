"""A cluster of two nodes on this machine, each of one processor, and pictures to score on it."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

# Picture formats of these tests: a file that ends whoever reads it, as a fault in a codec does; and
# one that ends workers alone, as want of memory may.
_FATAL_FORMATS = """
import os, signal, sys
from PIL import Image

def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def end_workers(*_):
    if "ray" in sys.modules:
        end()
    raise SyntaxError("no such luck")

Image.register_open("FATAL", end, lambda prefix: prefix.startswith(b"ENDS WHO READS"))
Image.register_open("HEAVY", end_workers, lambda prefix: prefix.startswith(b"ENDS WORKERS"))
"""


class TwoNodes:
    """A cluster of this machine: a head and a second node, which may be lost and comes back."""

    def __init__(self, environment: dict[str, str]) -> None:
        from ray.cluster_utils import Cluster

        self._environment = environment
        with self._in_environment():
            self._cluster: Any = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
            )
            self._second: Any = None
        self.have_two()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def have_two(self) -> None:
        """Bring the second node back where it was lost."""
        if self._second is None:
            with self._in_environment():
                self._second = self._cluster.add_node(num_cpus=1)

    def lose_one(self) -> None:
        """Kill the second node, and all that runs there."""
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def shut_down(self) -> None:
        self._cluster.shutdown()

    def _in_environment(self) -> Any:
        patch = pytest.MonkeyPatch()
        for name, value in self._environment.items():
            patch.setenv(name, value)

        class Undone:
            def __enter__(self) -> None: ...

            def __exit__(self, *_: object) -> None:
                patch.undo()

        return Undone()


def _started(environment: dict[str, str], tries: int = 3) -> TwoNodes:
    """Start the cluster; on a busy machine a node may need longer than Ray waits for it."""
    while True:
        tries -= 1
        try:
            return TwoNodes(environment)
        except Exception:
            if not tries:
                raise


@pytest.fixture(scope="session")
def two_nodes(store_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """Run a cluster as long as the tests last, to which this program is connected."""
    pytest.importorskip("ray")
    from residua.cluster.session import connected

    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(_FATAL_FORMATS)
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    store = {
        "AWS_ENDPOINT_URL": store_endpoint,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        environment = {"PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0", **store}
        nodes = _started(environment)
    patch = pytest.MonkeyPatch()
    # This user has a token, as after any cluster that Ray made here; this one wants none.
    patch.setenv("RAY_AUTH_TOKEN", "5ec2e7" * 8)
    try:
        with connected(nodes.address):
            yield nodes
    finally:
        patch.undo()
        nodes.shut_down()


@pytest.fixture
def cluster(two_nodes: TwoNodes) -> Iterator[TwoNodes]:
    """Have both nodes there, and free of what ran before."""
    import ray

    two_nodes.have_two()
    until = time.monotonic() + 30
    while ray.available_resources().get("CPU", 0) < 2:
        assert time.monotonic() < until, ray.available_resources()
        time.sleep(0.1)
    with warnings.catch_warnings():
        # Ray's own, at each of its releases others.
        warnings.filterwarnings("ignore", module=r"ray\.")
        yield two_nodes


@pytest.fixture(scope="session")
def many(
    blobs: NDArray[np.uint8],
    stripes: NDArray[np.uint8],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder of 980 pictures in two classes, and of three files that are none."""
    folder = tmp_path_factory.mktemp("many")
    shifted = [np.roll(blobs, shift, axis=1) for shift in range(-3, 3)]
    for name, pictures in (("good", np.concatenate(shifted)), ("striped", stripes)):
        (folder / name).mkdir()
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / name / f"{number:04}.png", compress_level=1)
    (folder / "good" / "0100a empty.png").write_bytes(b"")
    (folder / "good" / "0500a cut ü.png").write_bytes(
        (folder / "good" / "0500.png").read_bytes()[:60]
    )
    (folder / "striped" / "text.png").write_bytes(b"no picture at all")
    return folder
