"""A stand-in for the service: what it says is built from the service's own records, so that it
cannot say what the service could not."""

from __future__ import annotations

import base64
import io
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import unquote

import numpy as np
from PIL import Image
from pydantic import BaseModel

from residua.heatmaps import colourise
from residua.service import schemas

_WHEN = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
THRESHOLD = 0.5
SIDE = 32


def png(seed: int = 0, width: int = 48, height: int = 40) -> bytes:
    """A grey picture with a light spot: a PNG."""
    rows, columns = np.mgrid[:height, :width]
    y, x = np.random.default_rng(seed).uniform(0.3, 0.7, 2) * (height, width)
    spot = 40 + 190 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * (height / 6) ** 2))
    return _encoded(np.rint(spot).astype(np.uint8))


def _encoded(pixels: np.ndarray[Any, Any]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def _data_url(pixels: np.ndarray[Any, Any]) -> str:
    return "data:image/png;base64," + base64.b64encode(_encoded(pixels)).decode()


def picture(name: str, seed: int = 0) -> dict[str, Any]:
    """A file as Playwright takes it. A number in the name is its score: spot_0.7.png."""
    return {"name": name, "mimeType": "image/png", "buffer": png(seed)}


@cache
def _views(seed: int) -> dict[str, str]:
    seen = np.asarray(Image.open(io.BytesIO(png(seed))).resize((SIDE, SIDE)))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    heat = np.exp(-((rows - 12) ** 2 + (columns - 20) ** 2) / 30).astype(np.float32)
    return {
        "heatmap": _data_url(colourise(heat, 1.0)),
        "reconstruction": _data_url(np.rint(seen * 0.8).astype(np.uint8)),
        "input": _data_url(seen),
    }


@cache
def _normal_scores() -> np.ndarray[Any, Any]:
    return np.sort(np.random.default_rng(7).gamma(9, 0.025, 199))


def drift(*, alarm: bool = False) -> schemas.Drift:
    return schemas.Drift(
        watched=512,
        window=256,
        looks=4,
        distance=0.31 if alarm else 0.05,
        p_value=2e-6 if alarm else 0.42,
        level=1e-3,
        alarm=alarm,
        since=_WHEN if alarm else None,
        direction="higher" if alarm else None,
        words="The latest 256 scores are higher than those of calibration."
        if alarm
        else "The latest 256 scores look like those of calibration.",
    )


def detail(name: str, **changes: Any) -> schemas.ModelDetail:
    """A model with its card; ``changes`` replace fields."""
    scores = _normal_scores()
    counts, edges = np.histogram(scores, 24)
    fields: dict[str, Any] = {
        "name": name,
        "revision": "a1b2c3d4e5f6",
        "input": schemas.InputSize(height=SIDE, width=SIDE, channels=1, resize="stretch"),
        "threshold": schemas.Limits(
            upper=THRESHOLD,
            lower=None,
            rule="conformal(0.01)",
            n_normal=len(scores),
            promised_rate=0.01,
        ),
        "rebuilds_pixels": True,
        "loaded": _WHEN,
        "drift": drift(),
        "facts": [
            schemas.Fact(name="network", value="conv, code of 32"),
            schemas.Fact(name="trained on", value="1,024 pictures, 4 March 2026"),
            schemas.Fact(name="quality", value="AUROC 0.981 (0.974 to 0.988)"),
        ],
        "warnings": [],
        "calibration": schemas.Calibration(
            n=len(scores),
            edges=edges.tolist(),
            counts=counts.tolist(),
            quantiles=np.quantile(scores, np.linspace(0, 1, 101)).tolist(),
        ),
    }
    return schemas.ModelDetail(**(fields | changes))


def quality(right: int, wrong: int, *, caveat: str | None = None) -> schemas.Quality:
    none = right + wrong == 0
    rate = None if none else schemas.Rate(value=right / (right + wrong), low=0.55, high=0.93)
    return schemas.Quality(
        true_positives=right,
        false_positives=wrong,
        true_negatives=right,
        false_negatives=wrong,
        precision=rate,
        recall=rate,
        caveat=caveat,
    )


def _p_value(score: float) -> float:
    scores = _normal_scores()
    return float((1 + np.sum(scores >= score)) / (1 + len(scores)))


def score_in(name: str) -> float:
    found = re.search(r"_(-?\d+(?:\.\d+)?)", name)
    return float(found[1]) if found else 0.2


@dataclass
class Refusal:
    """What the stand-in answers, once, instead of doing what it is asked."""

    method: str
    part: str
    status: int
    detail: str
    retry_after: str | None = None
    raw: bytes | None = None


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    names: list[str]
    body: Any


@dataclass
class Station:
    """A stand-in for the service: its state is for tests to set, and to read."""

    url: str = ""
    token: str | None = None
    models: dict[str, schemas.ModelDetail] = field(
        default_factory=lambda: {"blobs": detail("blobs")}
    )
    session: schemas.Session = field(
        default_factory=lambda: schemas.Session(
            role="admin", name=None, keep="all", max_bytes=1_000_000, max_pictures=16
        )
    )
    kept: dict[int, schemas.KeptPicture] = field(default_factory=dict)
    random: schemas.Quality = field(
        default_factory=lambda: quality(0, 0, caveat="None was judged.")
    )
    refusals: list[Refusal] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    preview: schemas.RecalibrationPreview | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    gated: str | None = None

    def refuse(self, method: str, part: str, status: int, detail: str = "", **how: Any) -> None:
        self.refusals.append(Refusal(method, part, status, detail, **how))

    def hold(self, part: str) -> None:
        """Answer nothing of this path until ``gate`` is set."""
        self.gate.clear()
        self.gated = part

    def calls(self, method: str, part: str) -> list[Asked]:
        return [one for one in self.asked if one.method == method and part in one.path]

    def keep(self, count: int) -> None:
        """Have pictures wait for review, the most uncertain first."""
        for k in range(1, count + 1):
            score = 0.5 + 0.01 * k * (-1) ** k
            self.kept[k] = schemas.KeptPicture(
                id=k,
                model="blobs",
                revision="a1b2c3d4e5f6",
                name=f"kept-{k}.png",
                created=_WHEN,
                score=score,
                threshold=THRESHOLD,
                lower=None,
                verdict="anomalous" if score > THRESHOLD else "normal",
                p_value=_p_value(score),
                width=48,
                height=40,
                media_type="image/png",
                size=900,
                truth=None,
                correct=None,
                reviewed_by=None,
                reviewed=None,
            )

    # What each address answers: a record, or the type of the content with the content.

    def answer(self, asked: Asked) -> BaseModel | tuple[str, bytes] | None:
        path = [unquote(part) for part in asked.path.split("/")[2:]]
        match asked.method, path:
            case "GET", ["session"]:
                return self.session
            case "GET", ["models"]:
                wanted = schemas.ModelSummary.model_fields
                return schemas.ModelList(
                    models=[
                        schemas.ModelSummary(**{k: getattr(one, k) for k in wanted})
                        for one in self.models.values()
                    ]
                )
            case "GET", ["models", name]:
                return self.models[name]
            case "POST", ["models", name, "score"]:
                return self._scored(name, asked.names)
            case "POST", ["models", name, "drift", "reset"]:
                self.models[name] = self.models[name].model_copy(update={"drift": drift()})
                return self.models[name]
            case "POST", ["models", name, "recalibration", "preview"]:
                schemas.RecalibrationRequest.model_validate(asked.body)
                return self.preview
            case "POST", ["models", name, "recalibration"]:
                given = schemas.Confirmation.model_validate(asked.body)
                assert self.preview is not None
                assert given.confirmation == self.preview.confirmation
                self.models[name] = self.models[name].model_copy(
                    update={"threshold": self.preview.after, "revision": "ffff00001111"}
                )
                return self.models[name]
            case _, ["reviews", *rest]:
                return self._review(asked, rest)
        raise KeyError(asked.path)

    def _scored(self, name: str, names: list[str]) -> schemas.ScoreResponse:
        model = self.models[name]
        limits = model.threshold
        results = []
        for index, called in enumerate(names):
            result: dict[str, Any] = {"index": index, "name": called, "threshold": limits.upper}
            result["lower"] = limits.lower
            if "broken" in called:
                result["error"] = schemas.Problem(
                    type="/problems/not-an-image",
                    title="Not an image",
                    status=422,
                    detail="It ends after 12 bytes; send the whole file.",
                )
            else:
                score = score_in(called)
                low = limits.lower is not None and score < limits.lower
                result |= {
                    "score": score,
                    "verdict": "anomalous" if score > limits.upper or low else "normal",
                    "p_value": _p_value(score),
                    "width": 48,
                    "height": 40,
                    "kept": index + 1,
                    **_views(index),
                }
            results.append(schemas.PictureResult(**result))
        return schemas.ScoreResponse(model=name, revision=model.revision, results=results)

    def _review(self, asked: Asked, path: list[str]) -> BaseModel | tuple[str, bytes] | None:
        waiting = [one for one in self.kept.values() if one.truth is None]
        match asked.method, path:
            case "GET", ["queue"]:
                limit = int(asked.query["limit"][0])
                if asked.query["order"] == ["latest"]:
                    waiting.reverse()
                return schemas.ReviewQueue(waiting=len(waiting), items=waiting[:limit])
            case "GET", ["summary"]:
                done = len(self.kept) - len(waiting)
                return schemas.ReviewSummary(
                    model="blobs",
                    kept=len(self.kept),
                    flagged=sum(one.verdict == "anomalous" for one in self.kept.values()),
                    waiting=len(waiting),
                    size=900 * len(self.kept),
                    full=False,
                    random=self.random,
                    all=quality(done, 0),
                )
            case "GET", ["export"]:
                return "application/zip", b"PK\x05\x06" + bytes(18)
            case "GET", [number, "picture"]:
                return "image/png", png(int(number))
            case "GET", [number, "views"]:
                one = self.kept[int(number)]
                fields = {k: getattr(one, k) for k in ("name", "score", "verdict", "threshold")}
                shown = {k: v for k, v in _views(one.id).items() if k in asked.query["include"]}
                return schemas.PictureResult(index=0, **fields, p_value=one.p_value, **shown)
            case "PUT", [number, "judgement"]:
                said = schemas.Judgement.model_validate(asked.body)
                return self._judged(int(number), said.correct)
            case "DELETE", [number, "judgement"]:
                return self._judged(int(number), None)
            case "DELETE", [number]:
                del self.kept[int(number)]
                return None
        raise KeyError(asked.path)

    def _judged(self, number: int, correct: bool | None) -> schemas.KeptPicture:
        one = self.kept[number]
        other = {"normal": "anomalous", "anomalous": "normal"}[one.verdict]
        truth = None if correct is None else one.verdict if correct else other
        self.kept[number] = one.model_copy(update={"truth": truth, "correct": correct})
        return self.kept[number]
