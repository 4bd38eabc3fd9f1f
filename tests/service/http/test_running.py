"""What the service tells of itself: health, metrics, log, reloads."""

from __future__ import annotations

import json
import logging
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.errors import BundleNotFound, ConfigurationError
from residua.recalibration import recalibrate
from residua.service.logs import JsonLines, TextLines
from residua.service.settings import ServiceSettings
from residua.service.station import Station
from residua.service.store.store import ReviewStore

Run = Callable[..., Any]


def figure(running: Any, name: str, **labels: str) -> float:
    text = running.client.get("/metrics").text
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name:
            have = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            if labels.items() <= have.items():
                return float(found[3])
    raise AssertionError(f"{name} {labels} is not in:\n{text}")


def test_health_and_readiness(run: Run) -> None:
    running = run()
    assert running.client.get("/healthz").json() == {"status": "ok", "detail": []}
    assert running.client.get("/readyz").json() == {"status": "ok", "detail": []}


def test_metrics_count_verdicts_scores_errors_and_requests(
    run: Run, normal: list[bytes], odd: list[bytes]
) -> None:
    running = run()
    results = running.score(*normal[:10], *odd[:5], b"none").json()["results"]
    flagged = sum(one["verdict"] == "anomalous" for one in results)
    assert figure(running, "residua_verdicts_total", model="blobs", verdict="anomalous") == flagged
    assert figure(running, "residua_problems_total", kind="not-an-image") == 1
    assert figure(running, "residua_score_bucket", model="blobs", le="+Inf") == 15
    threshold = results[0]["threshold"]
    at_most = figure(running, "residua_score_bucket", model="blobs", le=f"{threshold:.12g}")
    assert at_most == 15 - flagged
    route = "/v1/models/{name}/score"
    assert figure(running, "residua_requests_total", route=route, status="200") == 1
    assert figure(running, "residua_request_seconds_count", route=route) == 1
    assert figure(running, "residua_kept_total") == 15
    assert figure(running, "residua_queue_pictures") == 0
    assert figure(running, "residua_threshold", model="blobs") == threshold
    assert figure(running, "residua_batch_pictures_sum") == 15


def test_a_made_up_path_adds_no_series(run: Run) -> None:
    running = run()
    for n in range(20):
        running.client.get(f"/made-up-{n}")
    text = running.client.get("/metrics").text
    assert "made-up" not in text
    assert figure(running, "residua_requests_total", route="other", status="404") == 20


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_drift_is_seen_on_the_model_and_in_the_metrics_and_survives_a_restart(
    run: Run, odd: list[bytes]
) -> None:
    running = run()
    for _ in range(5):
        running.score(*odd)
    wait_until(lambda: running.client.get("/v1/models/blobs").json()["drift"]["looks"] == 2)
    drift = running.client.get("/v1/models/blobs").json()["drift"]
    assert drift["alarm"]
    assert drift["direction"] == "higher"
    assert "higher than those of calibration" in drift["words"]
    assert figure(running, "residua_drift_alarm", model="blobs") == 1
    assert figure(running, "residua_drift_distance", model="blobs") > 0.5
    running.stop()
    again = run()
    assert again.client.get("/v1/models/blobs").json()["drift"]["alarm"]
    after = again.client.post("/v1/models/blobs/drift/reset").json()["drift"]
    assert not after["alarm"]
    assert figure(again, "residua_drift_alarm", model="blobs") == 0


def test_a_bundle_is_replaced_under_load_and_no_request_is_dropped(
    run: Run, bundle: Path, tmp_path: Path, normal: list[bytes], blobs: NDArray[np.uint8]
) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "own.residua"))
    running = run(bundles={"blobs": own}, reload_seconds=0.05)
    first = running.station.models["blobs"].revision
    statuses: list[int] = []
    revisions: list[str] = []
    enough = threading.Event()

    def load() -> None:
        import httpx

        with httpx.Client(base_url=running.url, timeout=20) as client:
            while not enough.is_set():
                answer = client.post(
                    "/v1/models/blobs/score", files=[("images", one) for one in normal[:3]]
                )
                statuses.append(answer.status_code)
                revisions.append(answer.json().get("revision", ""))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for percentile in (70, 80, 90):
        before = running.station.models["blobs"].revision
        recalibrate(own, blobs[:40], threshold=f"percentile({percentile})")
        wait_until(lambda before=before: running.station.models["blobs"].revision != before)
    last = running.station.models["blobs"].revision
    count = len(revisions)
    wait_until(lambda: len(revisions) > count + 8)
    enough.set()
    for thread in threads:
        thread.join(20)
    assert set(statuses) == {200}
    assert revisions[0] == first
    assert revisions[-1] == last
    assert figure(running, "residua_reloads_total", model="blobs", outcome="done") == 3


def test_a_broken_replacement_degrades_and_says_so(
    run: Run, bundle: Path, tmp_path: Path, normal: list[bytes]
) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "own.residua"))
    running = run(bundles={"blobs": own}, reload_seconds=0.02)
    (own / "SHA256SUMS").write_text("broken")
    wait_until(lambda: running.client.get("/readyz").json()["status"] == "degraded")
    assert running.score(normal[0]).status_code == 200
    assert "altered" in running.client.get("/v1/models/blobs").json()["reload_failed"]
    assert figure(running, "residua_model_fresh", model="blobs") == 0


def test_the_log_has_a_line_a_request_and_nothing_of_the_pictures(
    run: Run, odd: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    running = run()
    with caplog.at_level(logging.INFO, "residua.service"):
        answer = running.client.post(
            "/v1/models/blobs/score",
            params={"filename": "customer-4711.png"},
            content=odd[0],
            headers={"Content-Type": "image/png", "Authorization": "Bearer hidden-token-hidden"},
        )
        wait_until(lambda: any(one.getMessage() == "request" for one in caplog.records))
    (record,) = [one for one in caplog.records if one.getMessage() == "request"]
    line = json.loads(JsonLines().format(record))
    assert line["request"] == answer.headers["X-Request-ID"]
    assert line["route"] == "/v1/models/{name}/score"
    assert (line["status"], line["pictures"], line["anomalous"]) == (200, 1, 1)
    assert line["bytes"] == len(odd[0])
    for form in (JsonLines(), TextLines()):
        text = form.format(record)
        assert "\n" not in text
        assert "4711" not in text
        assert "hidden" not in text


def test_the_page_and_its_files_come_with_their_rules(run: Run) -> None:
    running = run()
    page = running.client.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["X-Frame-Options"] == "DENY"


def test_the_trap_is_told_on_the_model_card(run: Run) -> None:
    running = run()
    model = running.station.models["blobs"]
    wait_until(lambda: model.fooled_by is not None)
    model.fooled_by = None
    card = running.client.get("/v1/models/blobs").json()
    assert {fact["name"] for fact in card["facts"]} >= {"network", "threshold", "training"}
    assert not any("without content" in one for one in card["warnings"])
    model.fooled_by = ("constant", "gradient")
    card = running.client.get("/v1/models/blobs").json()
    assert card["warnings"][-1].startswith("Pictures without content (constant, gradient) score")


def test_late_scores_of_an_old_revision_leave_those_of_the_new_one(
    run: Run, bundle: Path, tmp_path: Path, blobs: NDArray[np.uint8]
) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "own.residua"))
    running = run(bundles={"blobs": own})
    models, scores = running.station.models, running.station.metrics.scores
    old = models["blobs"]
    recalibrate(own, blobs[:40], threshold="percentile(50)")
    models.refresh("blobs")
    for model in (old, models["blobs"], old, models["blobs"]):
        upper = model.manifest.threshold.upper
        scores.observe("blobs", model.revision, [0.5] * 3, model.calibration_scores, upper)
    labels = {"model": "blobs", "le": "+Inf"}
    assert figure(running, "residua_score_bucket", **labels) == 6
    assert old.revision not in running.client.get("/metrics").text


def test_a_new_revision_goes_on_with_its_drift_before_it_is_served(
    run: Run, bundle: Path, tmp_path: Path, odd: list[bytes], blobs: NDArray[np.uint8]
) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "own.residua"))
    running = run(bundles={"blobs": own}, reload_seconds=1000.0)
    for _ in range(5):
        running.score(*odd)
    wait_until(lambda: running.station.models["blobs"].drift.looks == 2)
    seen = running.station.models["blobs"].drift
    running.station.keeper.save_drift(running.station.models["blobs"])
    recalibrate(own, blobs[:40], threshold="percentile(50)")
    running.station.models.refresh("blobs")
    assert running.station.models["blobs"].drift.watched == 0
    resumed: list[int] = []
    resume = running.station.keeper.resume_drift

    def resume_and_look(model: Any) -> None:
        resume(model)
        resumed.append(model.drift.watched)
        assert running.station.models["blobs"].revision != model.revision, "it is served already"

    running.station.keeper.resume_drift = resume_and_look
    shutil.rmtree(own)
    shutil.copytree(bundle, own)
    reload = running.station.models.refresh("blobs")
    assert reload.failure is None
    assert resumed == [seen.watched]
    assert running.station.models["blobs"].drift == seen


@pytest.mark.parametrize("database", ["mysql://nowhere/reviews", None])
def test_a_service_that_cannot_start_leaves_no_thread(
    bundle: Path, tmp_path: Path, database: str | None
) -> None:
    before = set(threading.enumerate())
    bundles = {"blobs": bundle} if database else {"blobs": bundle, "none": tmp_path / "none"}
    settings = ServiceSettings(bundles=bundles, data=tmp_path, database=database)
    with pytest.raises((ConfigurationError, BundleNotFound)):
        Station(settings)
    left = {one.name for one in set(threading.enumerate()) - before}
    assert not {name for name in left if name.startswith("residua")}


def test_a_bundle_replaced_while_the_store_opens_is_taken_up(
    run: Run,
    bundle: Path,
    tmp_path: Path,
    blobs: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Path(shutil.copytree(bundle, tmp_path / "own.residua"))
    opened = Station._open_store

    def slow(station: Station) -> ReviewStore:
        recalibrate(own, blobs[:40], threshold="percentile(50)")
        time.sleep(0.2)
        return opened(station)

    monkeypatch.setattr(Station, "_open_store", slow)
    running = run(bundles={"blobs": own}, reload_seconds=0.02)
    for count, rule in enumerate(("percentile(50)", "percentile(60)"), 1):
        done = f'residua_reloads_total{{model="blobs",outcome="done"}} {count}.0'
        wait_until(lambda done=done: done in running.client.get("/metrics").text)
        assert running.station.models["blobs"].manifest.threshold.rule == rule
        recalibrate(own, blobs[:40], threshold="percentile(60)")
