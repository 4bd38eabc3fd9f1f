"""`residua report`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from residua.cli.common import (
    Anomalous,
    BundlePath,
    FittedOn,
    Normal,
    Pictures,
    Threads,
    app,
    console,
    escape,
    pictures,
    say,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@app.command(epilog="Example: residua report part.residua incoming/ --normal good -o report.html")
def report(
    bundle: BundlePath,
    data: Pictures,
    output: Annotated[
        str, typer.Option("--output", "-o", help="The page to write, NAME.html, or its URL.")
    ] = "report.html",
    train: FittedOn = None,
    normal: Normal = None,
    anomalous: Anomalous = None,
    title: Annotated[
        str | None, typer.Option(help="What stands on top. [default: the names of both]")
    ] = None,
    no_advice: Annotated[bool, typer.Option("--no-advice", help="Leave the advice out.")] = False,
    max_gallery: Annotated[
        int, typer.Option(help="Pictures in the gallery, at most.", min=0)
    ] = 300,
    threads: Threads = None,
) -> None:
    """Write a report as one HTML page, and beside it a folder with every number and figure.

    Without --normal or --anomalous a data set's own anomalous classes count, and in a folder the
    class "good" is normal; else the report does without the truth.
    """
    from residua.evaluation.evaluate import evaluate
    from residua.evaluation.scored import name_of, score_source, scorer_of
    from residua.evaluation.truth import known_truth
    from residua.images.resolve import resolve_source
    from residua.report.page.write import check_report, write_report
    from residua.report.recipe import recipe_of
    from residua.storage import written_beside

    with written_beside(output) as place:
        # Before the work, all that can be refused at once.
        check_report(place, max_gallery)
        scorer = scorer_of(bundle, threads=threads)
        named = pictures(data)
        source = resolve_source(named, prefer="test")
        training = None if train is None else resolve_source(train, prefer="train")
        truth = known_truth(named, source.labels, normal=normal, anomalous=anomalous)
        with _Watched(scorer, len(source)) as watched:
            scored = score_source(watched, source, truth=truth, workers=threads)
        what, name = name_of(named), name_of(bundle)
        with console().status("evaluation"):
            found = evaluate(scored, model=scorer, model_name=name, data_name=what)
        findings = []
        if not no_advice:
            from residua.advice.advise import advise

            findings = advise(scorer, scored, training=training, console=console())
        words = ["--train", train] if train is not None else []
        words += [word for name in normal or () for word in ("--normal", name)]
        words += [word for name in anomalous or () for word in ("--anomalous", name)]
        with console().status("figures and page"):
            written = write_report(
                place,
                title=title or f"{name.removesuffix('.residua')} on {what}",
                model=scorer,
                scored=scored,
                evaluation=found,
                findings=findings,
                recipe=recipe_of(
                    scored.manifest,
                    bundle=bundle,
                    training=train,
                    data=data,
                    report=[*words, "-o", place.name],
                ),
                training=training,
                max_gallery=max_gallery,
            )
        size = written.stat().st_size / 1e6
    say(f"report: {escape(output)} ({size:.1f} MB)")
    say(f"numbers and figures: {escape(output.removesuffix(written.suffix))}/")


class _Watched:
    """A scorer that shows on standard error how far it is."""

    def __init__(self, scorer: Any, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self.manifest = scorer.manifest
        self.calibration_scores: NDArray[np.float64] = scorer.calibration_scores
        self._scorer = scorer
        self._progress = Progress(
            "scoring",
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console(),
            transient=True,
        )
        self._task = self._progress.add_task("scoring", total=total)

    def __enter__(self) -> _Watched:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def score_batch(self, images: NDArray[np.uint8]) -> Any:
        """Score pictures."""
        return self._scorer.score_batch(images)

    def batches(self, source: Any) -> Iterator[tuple[Any, Any]]:
        """Score a source and move the bar on with each batch."""
        for batch, scored in self._scorer.batches(source):
            self._progress.advance(self._task, len(batch.indices) + len(batch.failures))
            yield batch, scored
