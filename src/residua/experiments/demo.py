"""The demonstration: generated surfaces, sound ones to learn from, both kinds to judge."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua.bundle_writing import check_writable
from residua.errors import MissingExtra, OutputError
from residua.heatmaps import colourise
from residua.images.datasets import load_dataset
from residua.images.preprocess import InputSpec
from residua.images.source import ImageSource
from residua.results import verdict_file
from residua.scoring.verdicts import Verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from residua.detector import AutoencoderDetector

SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "epochs": 90,
        "latent_dim": 32,
        # Small marks on plates that are otherwise alike: the worst spot says it plainest.
        "error_map": "squared",
        "reduction": "max(2)",
        "scoring": "error",
        "threshold": "zscore(3)",
    }
)
N_TRAIN = 600
SOUND_SHOWN = 4


def run_demo(folder: Path, *, seed: int = 0, console: Console) -> dict[str, float]:
    """Fit on sound surfaces, judge unseen ones, print the verdicts and draw the best and worst.

    Parameters
    ----------
    folder : Path
        Gets ``surfaces.residua``, ``scores.csv``, ``surfaces.png`` and ``report.html``.
    seed : int
        Seed of the pictures and of the weights.
    console : Console
        Where progress and results are shown.

    Returns
    -------
    figures : dict
        "auroc" over pictures and "pixel_auroc" over all pixels of the test pictures.
    """
    # Everything that may be missing is imported before the long part begins.
    try:
        import jinja2  # noqa: F401
        import matplotlib.figure  # noqa: F401

        from residua.advice.advise import advise
        from residua.detector import AutoencoderDetector
        from residua.evaluation.evaluate import evaluate
        from residua.evaluation.scored import score_source
        from residua.report.page.write import write_report
        from residua.report.recipe import Recipe, recipe_of
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error.name or "an import", "all") from error

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made: {error.strerror}") from error
    check_writable(folder / "surfaces.residua")
    console.print("making generated surfaces: sound ones to learn from, both kinds to judge")
    test = load_dataset("surfaces", "test", seed=seed)
    detector = AutoencoderDetector(**SETTINGS, random_state=seed, verbose=1)
    started = time.perf_counter()
    detector.fit(load_dataset("surfaces", "train", n=N_TRAIN, seed=seed))
    console.print(f"fitted in {time.perf_counter() - started:.0f} s")
    model = detector.save(folder / "surfaces.residua")

    verdicts = list(detector.verdicts(test))
    with verdict_file(folder / "scores.csv") as write:
        for verdict in verdicts:
            write(verdict)
    defective = np.array([verdict.label != "good" for verdict in verdicts])
    scored = score_source(detector, test, truth=defective)
    evaluation = evaluate(
        scored, model=detector, model_name="surfaces.residua", data_name="unseen surfaces"
    )
    figures = {
        "auroc": evaluation.ranking["auroc"].value,
        "pixel_auroc": evaluation.pixels["pixel_auroc"].value,
    }
    console.print(_table(verdicts, figures))
    picture = _draw(folder / "surfaces.png", detector, test, verdicts)
    training = load_dataset("surfaces", "train", n=N_TRAIN, seed=seed)
    report = write_report(
        folder / "report.html",
        title="Generated surfaces, sound and defective",
        model=model,
        scored=scored,
        evaluation=evaluation,
        findings=advise(detector, scored, training=training),
        recipe=Recipe(
            f"residua demo --seed {seed}",
            "from pathlib import Path\n\nfrom rich.console import Console\n\n"
            "from residua.experiments.demo import run_demo\n\n"
            f'run_demo(Path("demo-output"), seed={seed}, console=Console())',
            recipe_of(detector.manifest_, bundle=model).facts,
        ),
        training=training,
    )
    written = {
        "model": model,
        "scores": folder / "scores.csv",
        "picture": picture,
        "report": report,
    }
    for what, path in written.items():
        console.print(f"{what}: [bold]{path}[/]", soft_wrap=True)
    return figures


def _table(verdicts: list[Verdict], figures: dict[str, float]) -> Table:
    from rich.table import Table

    table = Table(title="Unseen surfaces", title_justify="left")
    for column in ("kind", "pictures", "flagged", "share", "median score − threshold"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for label in sorted({verdict.label or "" for verdict in verdicts}, key=lambda n: n != "good"):
        rows = [verdict for verdict in verdicts if verdict.label == label]
        flagged = sum(bool(row.anomalous) for row in rows)
        over = float(np.median([(row.score or 0) - row.threshold for row in rows]))
        kind = "good" if label == "good" else f"[red]{label}[/]"
        table.add_row(
            kind,
            str(len(rows)),
            str(flagged),
            f"{flagged / len(rows):.1%}",
            f"{over:+.3g}".replace("-", "−"),
        )
    table.caption = (
        f"AUROC {figures['auroc']:.4f} over pictures, {figures['pixel_auroc']:.4f} over pixels"
    )
    return table


def _draw(
    path: Path,
    detector: AutoencoderDetector,
    test: ImageSource,
    verdicts: list[Verdict],
) -> Path:
    """Draw original, reconstruction and error map of the worst of each kind, and of the best."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = _worst_and_best(verdicts)
    images = _pictures(test, detector.input_spec_, shown)
    rebuilt = detector.reconstruct(test.take(shown))
    maps = detector.error_maps(test.take(shown))
    ceiling = detector.manifest_.map_ceiling

    figure = Figure(figsize=(1.55 * len(shown), 5.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, len(shown))
    for column, index in enumerate(shown):
        verdict = verdicts[int(index)]
        panels: tuple[Any, ...] = (
            images[column],
            np.rint(255 * rebuilt[column]).astype(np.uint8),
            colourise(maps[column], ceiling),
        )
        for row, panel in enumerate(panels):
            axis = axes[row, column]
            axis.imshow(panel.squeeze(), cmap="gray", vmin=0, vmax=255)
            axis.set(xticks=[], yticks=[])
        over = (verdict.score or 0) - verdict.threshold
        side = f"{abs(over):.2g} {'over' if over > 0 else 'under'} limit"
        mark = "● anomalous" if verdict.anomalous else "○ normal"
        colour = "#b3261e" if verdict.anomalous else "#1b6e3c"
        axes[0, column].set_title(f"{verdict.label}\n{mark}\n{side}", fontsize=9, color=colour)
    for row, name in enumerate(("original", "rebuilt", "error")):
        axes[row, 0].set_ylabel(name, fontsize=10)
    figure.suptitle(
        "Unseen surfaces: the highest score of each kind (left), the lowest of all (right)",
        fontsize=11,
    )
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise OutputError(f"the picture {path} cannot be written: {error}") from error
    return path


def _worst_and_best(verdicts: list[Verdict]) -> NDArray[np.int64]:
    """Return the picture of highest score of each defect, and those of lowest score."""
    order = np.argsort([-(verdict.score or 0) for verdict in verdicts])
    worst: dict[str | None, int] = {}
    for index in order.tolist():
        if verdicts[index].label != "good":
            worst.setdefault(verdicts[index].label, index)
    return np.array([*worst.values(), *order[-SOUND_SHOWN:].tolist()], dtype=np.int64)


def _pictures(
    source: ImageSource, spec: InputSpec, indices: NDArray[np.int64]
) -> NDArray[np.uint8]:
    return np.concatenate([batch.images for batch in source.batches(spec, 64, indices)])
