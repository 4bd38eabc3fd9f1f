"""A request's pictures to their verdicts: decoded, computed, kept, watched for drift."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np

from residua.errors import BadRequest, ImageError, StoreError
from residua.scoring.calibration import p_values
from residua.scoring.verdicts import ScoredBatch
from residua.service.admission import Admission
from residua.service.batching import Batcher
from residua.service.forms import Upload
from residua.service.keeping import Keeper
from residua.service.metrics import Metrics
from residua.service.pictures import Decoded, decode_upload, printable_upload, views_of
from residua.service.problems import kind_of, problem_of
from residua.service.schemas import PictureResult, View
from residua.service.served import ServedModel
from residua.service.settings import Limits
from residua.service.store.pictures import NewPicture

# Bytes of pictures that one thread decodes in turn: handing work over takes as long as decoding
# a small picture.
_BYTES_AT_A_TIME = 1 << 16


class _Taken(NamedTuple):
    """A picture on its way: decoded and queued, or found to be none."""

    number: int
    name: str
    decoded: Decoded | None
    scored: Future[ScoredBatch] | None
    error: ImageError | None


class _Queued:
    """The pictures of one request that are queued, while a thread may be adding to them."""

    def __init__(self) -> None:
        self._futures: list[Future[ScoredBatch]] = []
        self.given_up = False

    def add(self, future: Future[ScoredBatch]) -> None:
        self._futures.append(future)
        if self.given_up:
            future.cancel()

    def give_up(self) -> None:
        """Take back what was not computed yet, and what is queued from now on."""
        self.given_up = True
        for future in self._futures:
            future.cancel()


class _Found(NamedTuple):
    """One picture with all that is known of it."""

    result: PictureResult
    decoded: Decoded | None


class Scoring:
    """Scores the pictures of requests.

    Parameters
    ----------
    batcher : Batcher
    pool : ThreadPoolExecutor
        Threads that decode pictures and write heat maps.
    admission : Admission
    keeper : Keeper
    metrics : Metrics
    limits : Limits
    """

    def __init__(
        self,
        batcher: Batcher,
        pool: ThreadPoolExecutor,
        admission: Admission,
        keeper: Keeper,
        metrics: Metrics,
        limits: Limits,
    ) -> None:
        self._batcher, self._pool, self._admission = batcher, pool, admission
        self._keeper, self._metrics, self._limits = keeper, metrics, limits

    async def score(
        self,
        model: ServedModel,
        uploads: Sequence[Upload],
        views: frozenset[View] = frozenset(),
        *,
        request_id: str | None = None,
    ) -> list[PictureResult]:
        """Score pictures, in their order; one that cannot be read becomes a result with an error.

        Raises
        ------
        TooBusy, WaitedTooLong, RequestTooLarge
            There is no room, or no turn in time.
        """
        with self._admission.hold_pictures(len(uploads)):
            found = await self._found(model, uploads, views, request_id)
            return await self._kept(model, uploads, found)

    async def look(
        self, model: ServedModel, name: str, content: bytes, views: frozenset[View]
    ) -> PictureResult:
        """Score a picture again to look at it: it is neither kept nor counted.

        Raises
        ------
        TooBusy, WaitedTooLong
            As for `score`.
        """
        with self._admission.hold_pictures(1):
            (found,) = await self._found(model, [Upload(name, content)], views, None)
        return found.result

    async def _found(
        self,
        model: ServedModel,
        uploads: Sequence[Upload],
        views: frozenset[View],
        request_id: str | None,
    ) -> list[_Found]:
        loop = asyncio.get_running_loop()
        queued = _Queued()

        async def taken_and_scored(some: list[tuple[int, Upload]]) -> list[_Found]:
            taken = await loop.run_in_executor(self._pool, self._taken, model, some, queued)
            await _computed([one.scored for one in taken if one.scored is not None])
            finish = partial(self._finished, model, taken, views, request_id)
            return await loop.run_in_executor(self._pool, finish) if views else finish()

        tasks = [asyncio.create_task(taken_and_scored(some)) for some in _portions(uploads)]
        try:
            portions = await asyncio.gather(*tasks)
        except BaseException:
            queued.give_up()
            for task in tasks:
                task.cancel()
            raise
        return [one for portion in portions for one in portion]

    def _taken(
        self, model: ServedModel, some: list[tuple[int, Upload]], queued: _Queued
    ) -> list[_Taken]:
        """Decode pictures one after the other, and queue each as soon as it is."""
        found = []
        for index, upload in some:
            if queued.given_up:
                break
            name = printable_upload(upload.name, index)
            try:
                decoded = decode_upload(
                    upload.content, model.manifest.input, name, self._limits.max_pixels
                )
            except ImageError as error:
                self._metrics.problems.labels(kind_of(error).slug).inc()
                found.append(_Taken(index, name, None, None, error))
                continue
            scored = self._batcher.submit(model, decoded.image)
            queued.add(scored)
            found.append(_Taken(index, name, decoded, scored, None))
        return found

    def _finished(
        self,
        model: ServedModel,
        taken: list[_Taken],
        views: frozenset[View],
        request_id: str | None,
    ) -> list[_Found]:
        limits, rebuilds = model.manifest.threshold, model.manifest.model.rebuilds_pixels
        scores = [float(one.scored.result().scores[0]) for one in taken if one.scored is not None]
        # Together, since each call sorts the calibration scores.
        p = iter(p_values(scores, model.calibration_scores).tolist())
        found = []
        for one in taken:
            if one.decoded is None or one.scored is None or one.error is not None:
                failed = PictureResult(
                    index=one.number,
                    name=one.name,
                    threshold=limits.upper,
                    lower=limits.lower,
                    error=problem_of(one.error or BadRequest("no picture"), request_id),
                )
                found.append(_Found(failed, None))
                continue
            scored = one.scored.result()
            seen = views_of(views, one.decoded.image, scored, model.manifest.map_ceiling)
            result = PictureResult(
                index=one.number,
                name=one.name,
                score=float(scored.scores[0]),
                verdict="anomalous" if limits.is_anomalous(scored.scores)[0] else "normal",
                threshold=limits.upper,
                lower=limits.lower,
                p_value=next(p),
                width=one.decoded.width,
                height=one.decoded.height,
                heatmap=seen.get("heatmap"),
                reconstruction=seen.get("reconstruction") if rebuilds else None,
                input=seen.get("input"),
            )
            found.append(_Found(result, one.decoded))
        return found

    async def _kept(
        self, model: ServedModel, uploads: Sequence[Upload], found: Sequence[_Found]
    ) -> list[PictureResult]:
        """Count what was found and have kept what is to be."""
        scores: list[float] = []
        wanted: list[tuple[int, NewPicture]] = []
        for one, upload in zip(found, uploads, strict=True):
            result = one.result
            if result.score is None or result.verdict is None or one.decoded is None:
                continue
            scores.append(result.score)
            self._metrics.verdicts.labels(model.name, result.verdict).inc()
            if self._keeper.wants(anomalous=result.verdict == "anomalous"):
                wanted.append((result.index, _new_picture(model, upload, result, one.decoded)))
        self._watch(model, scores)
        results = [one.result for one in found]
        if not wanted:
            return results
        failure: str | None = None
        ids: list[int | None]
        try:
            ids = await self._keeper.keep([picture for _, picture in wanted])
        except StoreError as error:
            ids, failure = [None] * len(wanted), str(error)
        for (index, _), number in zip(wanted, ids, strict=True):
            why = None
            if number is None:
                self._metrics.not_kept.inc()
                why = failure or "pictures that were reviewed fill the store; remove some"
            else:
                self._metrics.kept.inc()
            results[index] = results[index].model_copy(
                update={"kept": number, "keeping_failed": why}
            )
        return results

    def _watch(self, model: ServedModel, scores: list[float]) -> None:
        if not scores:
            return
        limits = model.manifest.threshold
        self._metrics.scores.observe(
            model.name, model.revision, scores, model.calibration_scores, limits.upper
        )

        def observe() -> None:
            if model.observe(scores) is not None:
                self._keeper.save_drift(model)

        # A look takes milliseconds, which other requests should not wait for.
        self._pool.submit(observe)


def _portions(uploads: Sequence[Upload]) -> list[list[tuple[int, Upload]]]:
    """Share out numbered pictures, so that one thread has some work with each portion."""
    portions: list[list[tuple[int, Upload]]] = []
    room = 0
    for index, upload in enumerate(uploads):
        if room <= 0:
            portions.append([])
            room = _BYTES_AT_A_TIME
        portions[-1].append((index, upload))
        room -= len(upload.content)
    return portions


async def _computed(futures: Sequence[Future[ScoredBatch]]) -> None:
    """Wait for all."""
    if not futures:
        return
    loop = asyncio.get_running_loop()
    done, left = loop.create_future(), len(futures)

    def count() -> None:
        nonlocal left
        left -= 1
        if not left and not done.done():
            done.set_result(None)

    for future in futures:
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(count))
    await done


def _new_picture(
    model: ServedModel, upload: Upload, result: PictureResult, decoded: Decoded
) -> NewPicture:
    limits = model.manifest.threshold
    assert result.score is not None
    assert result.p_value is not None
    return NewPicture(
        model=model.name,
        revision=model.revision,
        name=result.name,
        content=upload.content,
        media_type=decoded.media_type,
        width=decoded.width,
        height=decoded.height,
        score=result.score,
        threshold=limits.upper,
        lower=limits.lower,
        anomalous=result.verdict == "anomalous",
        p_value=result.p_value,
        margin=margin(result.score, limits.upper, limits.lower, limits.normal_std),
    )


def margin(score: float, upper: float, lower: float | None, spread: float) -> float:
    """Return how far a score is from the nearest limit, in spreads of normal scores.

    The smaller it is, the less certain is the verdict.
    """
    away = [abs(score - limit) for limit in (upper, lower) if limit is not None]
    return min(away) / max(spread, float(np.finfo(np.float64).tiny))
