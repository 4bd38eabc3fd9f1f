"""The real service, in the place of the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from residua.service.settings import Limits, Retention, ServiceSettings

from .real_service import Service, copied


@pytest.fixture
def settings(bundle: Path, tmp_path: Path) -> ServiceSettings:
    """What the service is told; tests replace it where they need another one."""
    return ServiceSettings(
        bundles={"blobs": copied(bundle, tmp_path)},
        data=tmp_path,
        retention=Retention(keep="all"),
        limits=Limits(queue=8),
        reload_seconds=0.05,
        threads=1,
    )


@pytest.fixture
def station(settings: ServiceSettings) -> Iterator[Service]:
    service = Service(settings)
    yield service
    service.stop()
