"""What a terminal shows: the most suspect pictures of a run, and what a model is."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from residua.scoring.names import in_words

if TYPE_CHECKING:
    from residua.engines.choice import Choice
    from residua.manifest import Manifest
    from residua.scoring.verdicts import Verdict
    from residua.training.config import FitChecks


class Summary:
    """Counts of a run and its most anomalous pictures, in memory bounded by ``keep``.

    Parameters
    ----------
    keep : int
        Rows of the table, at most.
    fdr : float or None, default=None
        The false-discovery rate at which the pictures were judged together. None: each was judged
        by the threshold.
    """

    def __init__(self, keep: int, fdr: float | None = None) -> None:
        self.keep = keep
        self.fdr = fdr
        self.scored = self.flagged = self.failed = 0
        self._worst: list[tuple[float, int, Verdict]] = []
        self._failures: list[Verdict] = []

    def add(self, verdict: Verdict) -> None:
        """Take in one verdict."""
        if verdict.score is None:
            self.failed += 1
            if len(self._failures) < self.keep:
                self._failures.append(verdict)
            return
        self.scored += 1
        self.flagged += bool(verdict.anomalous)
        entry = (verdict.score, -verdict.index, verdict)
        if len(self._worst) < self.keep:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)

    def table(self, title: str) -> Table:
        """Return the most anomalous first, then what could not be read."""
        table = Table(title=escape(title), title_justify="left")
        table.add_column("picture", overflow="fold")
        for column in ("score", "p", "over threshold"):
            table.add_column(column, justify="right")
        table.add_column("verdict")
        for score, _, verdict in sorted(self._worst, reverse=True):
            # A difference and no quotient: scores may be negative.
            over = f"{score - verdict.threshold:+.3g}".replace("-", "−")
            mark = "[bold red]● anomalous[/]" if verdict.anomalous else "[green]○ normal[/]"
            p = "–" if verdict.p is None else f"{verdict.p:.2g}"
            table.add_row(escape(verdict.id), f"{score:.6g}", p, over, mark)
        for verdict in self._failures:
            said = f"[yellow]✕ {escape(verdict.error or '')}[/]"
            table.add_row(escape(verdict.id), "–", "–", "–", said)
        hidden = self.scored - len(self._worst) + self.failed - len(self._failures)
        if hidden:
            table.caption = f"{hidden:,} more; all of them go to a file with --out scores.csv"
        return table

    def line(self) -> str:
        """Return the run in one line."""
        share = f" ({self.flagged / self.scored:.1%})" if self.scored else ""
        failed = f", [yellow]{self.failed:,} could not be read[/]" if self.failed else ""
        if self.fdr is None:
            return f"{self.scored:,} scored, [bold]{self.flagged:,} anomalous[/]{share}{failed}"
        found = "1 discovery" if self.flagged == 1 else f"{self.flagged:,} discoveries"
        promise = f", at most {100 * self.fdr:.3g}% of them expected to be false"
        return (
            f"{self.scored:,} scored, [bold]{found}[/]{share}"
            f"{promise if self.flagged else ''}{failed}"
        )


def info_table(name: str, manifest: Manifest, *, engine: str | None = None) -> Table:
    """Return what a bundle says of itself and, where it is given, what computes it here."""
    table = Table(title=escape(name), title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for key, value in facts(manifest).items():
        table.add_row(key, escape(value))
    if engine is not None:
        table.add_row("engine here", escape(engine))
    return table


def engines_table(name: str, choice: Choice) -> Table:
    """Return how the engines did, the chosen one first."""
    table = Table(title=f"{escape(name)}: engines", title_justify="left")
    table.add_column("engine", no_wrap=True)
    for column in ("precision", "images/s", "start, s", "deviation"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for number, found in enumerate(choice.measured):
        speed, start, away = found.images_per_second, found.start_seconds, found.deviation
        table.add_row(
            found.engine,
            found.precision,
            "–" if speed is None else f"{speed:,.0f}",
            "–" if start is None else f"{start:.1f}",
            "–" if away is None else f"{away:.1e}",
            escape(found.failure or ("chosen" if number == 0 else "")),
        )
    table.caption = (
        f"{choice.under.threads} threads, {choice.batch} pictures at a time; deviation: greatest "
        f"difference of the scores from those of ONNX Runtime in float32"
    )
    return table


def facts(manifest: Manifest) -> dict[str, str]:
    """Return what a model says of itself, in words, by heading."""
    spec, data, checks, limits = manifest.input, manifest.data, manifest.checks, manifest.threshold
    lower = "" if limits.lower is None else f", lower limit {limits.lower:.6g}"
    labelled = (
        "" if limits.n_anomalous is None else f" and {limits.n_anomalous:,} labelled anomalies"
    )
    best = [record for record in manifest.history if record.best]
    features, settings = manifest.model.backbone is not None, manifest.settings
    code_size = manifest.model.latent_dim
    return {
        "network": f"{manifest.model.name}, {manifest.model.parameters:,} weights, "
        f"code of {code_size:,}",
        "input": f"{spec.height} × {spec.width}, {spec.colour}, {spec.resize}",
        "score": in_words(
            settings.score,
            settings.error_map,
            settings.reduction,
            code_size=code_size,
            features=features,
        ),
        "threshold": f"{limits.upper:.6g}{lower} by {limits.rule} on {limits.n_normal:,} "
        f"held-out pictures (mean {limits.normal_mean:.6g}, sd {limits.normal_std:.4g}){labelled}",
        **_recalibrated(manifest),
        "pictures": f"{data.training:,} training, {data.validation:,} validation, "
        f"{data.calibration:,} calibration, {data.skipped:,} skipped",
        "training": f"{len(manifest.history)} epochs, best "
        f"{best[-1].epoch if best else '–'}, seed {manifest.seed}"
        + f", {threads_and_workers(manifest)}"
        + (", ended by Ctrl-C" if manifest.interrupted else ""),
        "mean squared error": f"{checks.network_mse:.4g} on validation"
        + _beside(checks, features=features),
        "made": f"{manifest.created:%Y-%m-%d %H:%M} UTC, "
        + ", ".join(f"{package} {number}" for package, number in manifest.versions.items()),
    }


def threads_and_workers(manifest: Manifest) -> str:
    """Return with how many threads and workers a model was trained, in words."""
    if manifest.threads is None:
        return "threads not noted"
    threads = f"{manifest.threads} thread{'s' * (manifest.threads != 1)}"
    return threads + f" in each of {manifest.workers} workers" * (manifest.workers > 1)


def _beside(checks: FitChecks, *, features: bool) -> str:
    """Return what simple predictors give where the network was measured."""
    if features:
        return f", of standardised features; their mean gives {checks.mean_image_mse:.4g}"
    pca = (
        "no PCA: the code is not smaller than the picture"
        if checks.pca_mse is None
        else f"PCA of {checks.pca_components} gives {checks.pca_mse:.4g}"
    )
    return f"; the mean picture gives {checks.mean_image_mse:.4g}, {pca}"


def _recalibrated(manifest: Manifest) -> dict[str, str]:
    record = manifest.recalibrated
    if record is None:
        return {}
    before = record.previous_threshold
    return {
        "recalibrated": f"{record.created:%Y-%m-%d %H:%M} UTC on {record.pictures:,} pictures "
        f"({record.source}); the threshold was {before.upper:.6g} by {before.rule} on "
        f"{before.n_normal:,}"
    }
