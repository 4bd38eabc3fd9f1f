"""What a terminal shows: the most suspect pictures of a run, and what a model is."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from residua.bundle import Manifest
    from residua.scoring.verdicts import Verdict


class Summary:
    """Counts of a run and its most anomalous pictures, in memory bounded by ``keep``."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
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
        table.add_column("score", justify="right")
        table.add_column("× threshold", justify="right")
        table.add_column("verdict")
        for score, _, verdict in sorted(self._worst, reverse=True):
            ratio = f"{score / verdict.threshold:.2f}" if verdict.threshold else "–"
            mark = "[bold red]● anomalous[/]" if verdict.anomalous else "[green]○ normal[/]"
            table.add_row(escape(verdict.id), f"{score:.6g}", ratio, mark)
        for verdict in self._failures:
            table.add_row(
                escape(verdict.id), "–", "–", f"[yellow]✕ {escape(verdict.error or '')}[/]"
            )
        hidden = self.scored - len(self._worst) + self.failed - len(self._failures)
        if hidden:
            table.caption = f"{hidden:,} more; all of them go to a file with --out scores.csv"
        return table

    def line(self) -> str:
        """Return the run in one line."""
        share = f" ({self.flagged / self.scored:.1%})" if self.scored else ""
        failed = f", [yellow]{self.failed:,} could not be read[/]" if self.failed else ""
        return f"{self.scored:,} scored, [bold]{self.flagged:,} anomalous[/]{share}{failed}"


def info_table(name: str, manifest: Manifest) -> Table:
    """Return what a bundle says of itself."""
    table = Table(title=escape(name), title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for key, value in facts(manifest).items():
        table.add_row(key, escape(value))
    return table


def facts(manifest: Manifest) -> dict[str, str]:
    """Return what a model says of itself, in words, by heading."""
    spec, data, checks, limits = manifest.input, manifest.data, manifest.checks, manifest.threshold
    lower = "" if limits.lower is None else f", lower limit {limits.lower:.6g}"
    pca = (
        "no PCA: the code is not smaller than the picture"
        if checks.pca_mse is None
        else f"PCA of {checks.pca_components} gives {checks.pca_mse:.4g}"
    )
    best = [record for record in manifest.history if record.best]
    return {
        "network": f"{manifest.model.name}, {manifest.model.parameters:,} weights, "
        f"code of {manifest.model.latent_dim:,}",
        "input": f"{spec.height} × {spec.width}, {spec.colour}, {spec.resize}",
        "score": f"{manifest.settings.error_map} error, {manifest.settings.reduction}",
        "threshold": f"{limits.upper:.6g}{lower} by {limits.rule} on {limits.n_normal:,} "
        f"held-out pictures (mean {limits.normal_mean:.6g}, sd {limits.normal_std:.4g})",
        "pictures": f"{data.training:,} training, {data.validation:,} validation, "
        f"{data.calibration:,} calibration, {data.skipped:,} skipped",
        "training": f"{len(manifest.history)} epochs, best "
        f"{best[-1].epoch if best else '–'}, seed {manifest.seed}"
        + (", ended by Ctrl-C" if manifest.interrupted else ""),
        "mean squared error": f"{checks.network_mse:.4g} on validation; the mean picture gives "
        f"{checks.mean_image_mse:.4g}, {pca}",
        "made": f"{manifest.created:%Y-%m-%d %H:%M} UTC, "
        + ", ".join(f"{package} {number}" for package, number in manifest.versions.items()),
    }
