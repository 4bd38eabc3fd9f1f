from __future__ import annotations

import io
import shutil
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from residua.bundle import open_bundle
from residua.runtime import BundleScorer

Run = Callable[..., Any]


def keep(running: Any, contents: list[bytes]) -> list[int]:
    ids = [one["kept"] for one in running.score(*contents).json()["results"]]
    assert all(ids)
    return ids


def judge(running: Any, id: int, *, correct: bool, order: str = "uncertain") -> Any:
    answer = running.client.put(
        f"/v1/reviews/{id}/judgement", json={"correct": correct, "order": order}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(("keep_what", "kept"), [("off", 0), ("flagged", 5), ("all", 15)])
def test_what_is_kept_follows_from_what_is_told(
    run: Run, normal: list[bytes], odd: list[bytes], keep_what: str, kept: int
) -> None:
    running = run(retention={"keep": keep_what})
    results = running.score(*normal[:10], *odd[:5]).json()["results"]
    found = [one for one in results if one["kept"] is not None]
    flagged = sum(one["verdict"] == "anomalous" for one in results)
    assert len(found) == (flagged if keep_what == "flagged" else kept)
    answer = running.client.get("/v1/reviews/queue")
    if keep_what == "off":
        assert answer.status_code == 409
        assert answer.json()["type"] == "/problems/reviews-off"
    else:
        assert answer.json()["waiting"] == len(found)


def test_the_queue_begins_with_the_least_certain(
    run: Run, normal: list[bytes], odd: list[bytes]
) -> None:
    running = run()
    keep(running, [*normal[:15], *odd[:5]])
    items = running.client.get("/v1/reviews/queue", params={"limit": 50}).json()["items"]
    away = [abs(one["score"] - one["threshold"]) for one in items]
    assert len(away) == 20
    assert away == sorted(away)
    latest = running.client.get("/v1/reviews/queue", params={"order": "latest"}).json()["items"]
    assert [one["id"] for one in latest] == sorted((one["id"] for one in latest), reverse=True)


def test_a_judgement_is_kept_counted_and_can_be_taken_back(
    run: Run, normal: list[bytes], odd: list[bytes]
) -> None:
    running = run()
    ids = keep(running, [normal[0], odd[0]])
    assert judge(running, ids[0], correct=True)["truth"] == "normal"
    assert judge(running, ids[1], correct=False)["truth"] == "normal"
    summary = running.client.get("/v1/reviews/summary", params={"model": "blobs"}).json()
    assert (summary["kept"], summary["waiting"]) == (2, 0)
    assert summary["all"]["false_positives"] == summary["all"]["true_negatives"] == 1
    answer = running.client.delete(f"/v1/reviews/{ids[1]}/judgement")
    assert answer.json()["truth"] is answer.json()["correct"] is None
    assert running.client.get("/v1/reviews/queue").json()["waiting"] == 1
    figures = running.client.get("/metrics").text
    assert 'residua_reviews_total{correct="true"} 1.0' in figures


def test_a_kept_picture_comes_back_as_it_was_sent_and_as_nothing_that_runs(
    run: Run, odd: list[bytes]
) -> None:
    running = run()
    (id,) = keep(running, [odd[0]])
    answer = running.client.get(f"/v1/reviews/{id}/picture")
    assert answer.content == odd[0]
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_kept_picture_is_looked_at_without_being_counted(run: Run, odd: list[bytes]) -> None:
    running = run()
    (id,) = keep(running, [odd[0]])
    seen = running.client.get(f"/v1/reviews/{id}/views", params={"include": ["heatmap", "input"]})
    assert seen.json()["heatmap"].startswith("data:image/png")
    assert seen.json()["reconstruction"] is None
    assert seen.json()["kept"] is None
    assert 'verdict="anomalous"} 1.0' in running.client.get("/metrics").text


def test_the_export_is_a_folder_of_both_classes(
    run: Run, normal: list[bytes], odd: list[bytes]
) -> None:
    running = run()
    for id in keep(running, [*normal[:3], *odd[:2]]):
        judge(running, id, correct=True)
    answer = running.client.get("/v1/reviews/export")
    assert answer.headers["Content-Type"] == "application/zip"
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert sum("normal/" in name for name in names) == 3
    assert sum("anomalous/" in name for name in names) == 2
    assert any(name.endswith("reviews.csv") for name in names)


def test_nothing_reviewed_is_nothing_to_export(run: Run) -> None:
    answer = run().client.get("/v1/reviews/export")
    assert answer.status_code == 409
    assert "review some first" in answer.json()["detail"]


def test_a_removed_picture_is_gone(run: Run, odd: list[bytes]) -> None:
    running = run()
    (id,) = keep(running, [odd[0]])
    judge(running, id, correct=True)
    assert running.client.delete(f"/v1/reviews/{id}").status_code == 204
    for path in ("", "/picture", "/views"):
        answer = running.client.get(f"/v1/reviews/{id}{path}")
        assert answer.status_code == 404
        assert answer.json()["type"] == "/problems/no-such-picture"


def test_reviews_are_there_after_a_restart(run: Run, odd: list[bytes]) -> None:
    running = run()
    (id,) = keep(running, [odd[0]])
    judge(running, id, correct=False)
    running.stop()
    assert run().client.get(f"/v1/reviews/{id}").json()["correct"] is False


def test_a_limit_of_bytes_drops_the_oldest_and_never_what_was_reviewed(
    run: Run, odd: list[bytes]
) -> None:
    one, other = sorted(odd, key=len)[-1], sorted(odd, key=len)[0]
    assert one != other
    running = run(retention={"keep": "all", "max_bytes": len(one)})
    (first,) = keep(running, [other])
    (second,) = keep(running, [one])
    assert running.client.get(f"/v1/reviews/{first}").status_code == 404
    judge(running, second, correct=True)
    (result,) = running.score(other).json()["results"]
    assert result["kept"] is None
    assert "fill the store" in result["keeping_failed"]
    assert result["verdict"] == "anomalous"
    assert running.client.get("/v1/reviews/summary").json()["full"]
    assert running.client.get(f"/v1/reviews/{second}").json()["correct"] is True


@pytest.fixture
def own(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "own.residua"))


def preview(running: Any, **request: Any) -> Any:
    return running.client.post("/v1/models/blobs/recalibration/preview", json=request)


def test_a_recalibration_is_shown_then_confirmed_then_served(
    run: Run, own: Path, normal: list[bytes], odd: list[bytes]
) -> None:
    running = run(bundles={"blobs": own})
    for id in keep(running, normal[:40]):
        kept = running.client.get(f"/v1/reviews/{id}").json()
        judge(running, id, correct=kept["verdict"] == "normal", order="random")
    (anomalous,) = keep(running, odd[:1])
    judge(running, anomalous, correct=True)
    before = open_bundle(own).manifest.threshold
    shown = preview(running, threshold="percentile(90)").json()
    assert shown["pictures"] == 40
    assert shown["before"]["upper"] == before.upper
    assert shown["after"]["rule"] == "percentile(90)"
    assert shown["flagged_after"] == 4
    assert shown["reviewed"] == 41
    assert shown["reviewed_right_before"] >= shown["reviewed_right_after"] == 37
    assert open_bundle(own).manifest.threshold == before, "a preview writes nothing"
    revision = running.station.models["blobs"].revision
    done = running.client.post(
        "/v1/models/blobs/recalibration", json={"confirmation": shown["confirmation"]}
    )
    assert done.status_code == 200
    assert done.json()["threshold"]["upper"] == shown["after"]["upper"]
    assert done.json()["revision"] != revision
    assert open_bundle(own).manifest.threshold.upper == shown["after"]["upper"]
    assert running.score(normal[0]).json()["results"][0]["threshold"] == shown["after"]["upper"]
    again = running.client.post(
        "/v1/models/blobs/recalibration", json={"confirmation": shown["confirmation"]}
    )
    assert again.status_code == 409


def test_a_preview_holds_for_what_was_reviewed_by_then(
    run: Run, own: Path, normal: list[bytes]
) -> None:
    running = run(bundles={"blobs": own})
    ids = keep(running, normal[:21])
    for id in ids[:20]:
        judge(running, id, correct=True, order="random")
    shown = preview(running, threshold="percentile(90)").json()
    judge(running, ids[20], correct=True, order="random")
    answer = running.client.post(
        "/v1/models/blobs/recalibration", json={"confirmation": shown["confirmation"]}
    )
    assert answer.status_code == 409
    assert "more was reviewed" in answer.json()["detail"]
    assert open_bundle(own).manifest.recalibrated is None


def test_biased_samples_are_warned_of(run: Run, own: Path, normal: list[bytes]) -> None:
    running = run(bundles={"blobs": own})
    for id in keep(running, normal[:20]):
        judge(running, id, correct=True, order="uncertain")
    assert preview(running).status_code == 409, "none came up in random order"
    shown = preview(running, sample="all", threshold="percentile(90)").json()
    assert "will be too high" in shown["warnings"][0]


def test_normal_pictures_of_a_time_when_only_flagged_ones_were_kept_are_warned_of(
    run: Run, own: Path, normal: list[bytes], odd: list[bytes]
) -> None:
    running = run(bundles={"blobs": own}, retention={"keep": "flagged"})
    for id in keep(running, odd):
        judge(running, id, correct=False, order="random")
    shown = preview(running, threshold="percentile(90)").json()
    assert "Only flagged pictures are kept" in shown["warnings"][0]
    running.stop()
    running = run(bundles={"blobs": own})
    (warning, *_) = preview(running, threshold="percentile(90)").json()["warnings"]
    assert warning.startswith("20 of these 20 normal pictures were flagged when they were kept")
    assert "5.9% are to be expected" in warning


def test_a_fair_sample_is_not_warned_of(run: Run, own: Path, normal: list[bytes]) -> None:
    running = run(bundles={"blobs": own})
    for id in keep(running, normal[:40]):
        kept = running.client.get(f"/v1/reviews/{id}").json()
        judge(running, id, correct=kept["verdict"] == "normal", order="random")
    assert preview(running, threshold="percentile(90)").json()["warnings"] == []


@pytest.mark.parametrize(("uncertain", "warned"), [(1, False), (2, True)])
def test_a_random_sample_that_lacks_the_uncertain_ones_is_warned_of(
    run: Run, own: Path, normal: list[bytes], uncertain: int, warned: bool
) -> None:
    running = run(bundles={"blobs": own})
    for n, id in enumerate(keep(running, normal[:16])):
        kept = running.client.get(f"/v1/reviews/{id}").json()
        order = "uncertain" if n < uncertain else "random"
        judge(running, id, correct=kept["verdict"] == "normal", order=order)
    warnings = preview(running, threshold="percentile(10)").json()["warnings"]
    found = [one for one in warnings if "never came up at random" in one]
    assert bool(found) == warned
    assert not warned or "will be too low" in found[0]
    assert not warned or "up to 12.5% of normal pictures" in found[0]


def test_a_preview_computes_as_the_service_does_and_one_at_a_time(
    run: Run, own: Path, normal: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[dict[str, Any]] = []
    at_once: list[int] = []
    running = run(bundles={"blobs": own}, threads=1, engine="torch")
    for id in keep(running, normal[:20]):
        judge(running, id, correct=True, order="random")
    busy = threading.Semaphore(0)

    class Noted(BundleScorer):
        def __init__(self, path: Any, **options: Any) -> None:
            opened.append(options)
            super().__init__(path, **options)

        def batches(self, source: Any) -> Any:
            busy.release()
            at_once.append(busy._value)
            time.sleep(0.05)
            yield from super().batches(source)
            busy.acquire()

    monkeypatch.setattr("residua.recalibration.BundleScorer", Noted)
    monkeypatch.setattr("residua.service.recalibrations.BundleScorer", Noted)
    with ThreadPoolExecutor(3) as several:
        answers = list(
            several.map(lambda _: preview(running, threshold="percentile(90)"), range(3))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert opened == [{"threads": 1, "engine": "torch", "precision": "float32"}] * 6
    assert at_once == [1] * 6


@pytest.mark.parametrize("request_", [{"threshold": "best_f1"}, {"threshold": "no_such(1)"}])
def test_a_rule_that_cannot_be_fitted_is_refused(
    run: Run, own: Path, normal: list[bytes], request_: dict[str, str]
) -> None:
    running = run(bundles={"blobs": own})
    for id in keep(running, normal[:5]):
        judge(running, id, correct=True, order="random")
    assert preview(running, **request_).status_code == 400
