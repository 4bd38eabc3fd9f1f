"""Pictures and models that many tests share."""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector
from residua.errors import ResiduaWarning

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="takes long: give --long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


def make_blobs(n: int, side: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    """Soft light spots on black, each at a place of its own: easy to learn, never equal."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    y, x = rng.uniform(side * 0.3, side * 0.7, (2, n, 1, 1))
    spots = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * (side / 6) ** 2))
    return np.rint(255 * spots).astype(np.uint8)


def make_stripes(n: int, side: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    """Light and dark stripes: nothing that a model of blobs can rebuild."""
    phase = np.random.default_rng(seed).integers(0, 4, (n, 1, 1))
    rows = np.broadcast_to(np.arange(side)[None, :, None], (n, side, side))
    return np.where((rows + phase) // 2 % 2, 230, 20).astype(np.uint8)


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a thread of its own: Playwright's loop may run in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing remembered from other runs, and leave nothing behind."""
    own = tmp_path_factory.getbasetemp() / f"cache-{uuid4().hex}"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: own)


@pytest.fixture(scope="session")
def blobs() -> NDArray[np.uint8]:
    return make_blobs(160)


@pytest.fixture(scope="session")
def stripes() -> NDArray[np.uint8]:
    return make_stripes(20)


@pytest.fixture(scope="session")
def detector(blobs: NDArray[np.uint8]) -> AutoencoderDetector:
    # Few pictures and epochs: some warnings are due, and have tests of their own.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        return AutoencoderDetector(epochs=12, precision="float32").fit(blobs)


@pytest.fixture(scope="session")
def bundle(detector: AutoencoderDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detector.save(tmp_path_factory.mktemp("bundle") / "blobs.residua")


@pytest.fixture(scope="session")
def write_backbone() -> Callable[..., Path]:
    """Write a small seeded network from pictures (B, 3, H, W) of any size to features as ONNX."""

    def write(
        path: Path,
        *,
        maps: tuple[int, ...] = (8, 16, 32),
        vector: bool = True,
        opset: int = 17,
        sizes: bool = True,
    ) -> Path:
        """Give it maps at these strides, a vector or none, and any size of pictures or one."""
        import torch
        from torch import nn

        class Small(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.halve = nn.ModuleList(
                    nn.Conv2d(a, b, 3, stride=2, padding=1)
                    for a, b in pairwise((3, 4, 6, 8, 10, 12))
                )

            def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
                found, stride = [], 1
                for halve in self.halve:
                    x, stride = nn.functional.leaky_relu(halve(x), 0.2), 2 * stride
                    found += [x] if stride in maps else []
                return [*found, x.mean((2, 3))] if vector else found

        torch.manual_seed(0)
        names = [f"stride_{stride}" for stride in maps] + ["descriptor"] * vector
        axes = {"pictures": {0: "batch", 2: "h", 3: "w"}, "descriptor": {0: "batch"}}
        axes |= {f"stride_{stride}": axes["pictures"] for stride in maps}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns of its own age
            torch.onnx.export(
                Small().eval(),
                (torch.zeros(1, 3, 64, 64),),
                path,
                input_names=["pictures"],
                output_names=names,
                dynamic_axes={n: axes[n] for n in ("pictures", *names)} if sizes else None,
                opset_version=opset,
                dynamo=False,
            )
        return path

    return write


@pytest.fixture(scope="session")
def backbone(write_backbone: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps at strides 8, 16 and 32 with 8, 10 and 12 channels, and a vector of 12 numbers."""
    return write_backbone(tmp_path_factory.mktemp("backbone") / "small.onnx")


@pytest.fixture(scope="session")
def store_endpoint() -> Iterator[str]:
    """Run a server that speaks S3, for as long as the tests last; its address is that of it."""
    moto = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(store_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make an empty bucket of a real S3 server, which the environment leads to; return its URL."""
    import boto3

    set_store_environment(monkeypatch, store_endpoint)
    name = f"residua-test-{uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"


def set_store_environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Have the environment lead to an S3 endpoint, and to no credentials of this machine."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
