"""What holds for every figure, at any number of classes, methods, thresholds or pictures."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from residua.errors import OutputError
from residua.report import figures
from residua.report.figures import Display
from residua.training.config import EpochRecord

# Pixels by which boxes may touch: they hold the line's full height, not its letters.
_TOUCH = 1.0


def drawn_texts(figure: Any) -> list[tuple[str, Any]]:
    """Return each text that is drawn, with its box in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    found: list[tuple[str, Any]] = []

    def visit(artist: Any) -> None:
        if not artist.get_visible():
            return
        if isinstance(artist, Text):
            if artist.get_text().strip():
                found.append((artist.get_text(), artist.get_window_extent(renderer)))
        elif isinstance(artist, Axis):
            # The ticks beyond the limits exist and are not drawn.
            low, high = sorted(artist.get_view_interval())
            slack = 1e-9 * (high - low)
            for tick in [*artist.get_major_ticks(), *artist.get_minor_ticks()]:
                if low - slack <= tick.get_loc() <= high + slack:
                    visit(tick.label1)
                    visit(tick.label2)
            visit(artist.label)
            visit(artist.offsetText)
        else:
            hidden = not getattr(artist, "axison", True)
            for child in artist.get_children():
                if not (hidden and isinstance(child, Axis)):
                    visit(child)

    visit(figure)
    return found


def text_faults(figure: Any) -> list[str]:
    """Say which texts overlap or leave the figure."""
    texts = drawn_texts(figure)
    width, height = figure.canvas.get_width_height()
    faults = [
        f"{text!r} leaves the figure: {box.extents.round(1)} of {width} x {height}"
        for text, box in texts
        if min(box.x0, box.y0) < -_TOUCH or box.x1 > width + _TOUCH or box.y1 > height + _TOUCH
    ]
    for (one, a), (other, b) in combinations(texts, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        if across > _TOUCH and down > _TOUCH:
            faults.append(f"{one!r} and {other!r} overlap by {across:.1f} x {down:.1f} pixels")
    return faults


def _names(n: int) -> list[str]:
    return [f"$class_{i}$ {'with a rather long name ' * (i % 3)}".strip() for i in range(n)]


def _pictures(n: int, side: int = 24, channels: int = 3) -> Any:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def _rebuilt(images: Any) -> Any:
    return np.clip(images.astype(np.float32) / 255 * 0.8 + 0.05, 0, 1)


def _scores(n: int) -> tuple[Any, Any]:
    """Scores of n normal and n anomalous pictures."""
    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.gamma(3, 0.002, n), rng.gamma(3, 0.006, n)])
    return scores, np.arange(2 * n) >= n


def _history(n: int) -> list[EpochRecord]:
    return [
        EpochRecord(
            epoch=e,
            train_loss=0.9**e,
            val_loss=0.01 + 0.9**e,
            images_per_second=1000.0,
            best=True,
        )
        for e in range(1, n + 1)
    ]


def _class_overview(n: int) -> Display:
    labels = _names(n) * 2
    return figures.ClassOverviewDisplay.from_predictions(_pictures(2 * n), labels)


def _many_a_class(n: int) -> Display:
    display = figures.ClassOverviewDisplay
    return display.from_predictions(_pictures(4 * n), _names(n) * 4, per_class=3)


def _thresholds(n: int) -> dict[str, float]:
    return {f"percentile {name}": 0.005 + 0.0001 * i for i, name in enumerate(_names(n))}


def _roc(n: int) -> Display:
    scores, anomalous = _scores(n)
    grid = np.linspace(0, 1, 20)
    return figures.ROCDisplay.from_predictions(
        anomalous,
        scores,
        threshold=0.01,
        operating_points={name: (0.1 + i / 200, 0.4) for i, name in enumerate(_names(n))},
        band=(grid, grid**2, grid**0.3),
        auroc_text="AUROC 0.812 [0.79, 0.83], 95 % interval",
    )


def _model_reconstructions(n: int) -> Display:
    images = _pictures(10)
    models = {name: _rebuilt(images) for name in _names(n)}
    return figures.ModelReconstructionsDisplay.from_predictions(images, models)


def _differences(n: int) -> Display:
    images, scores = _pictures(n), _scores(n)[0][:n]
    return figures.DifferencesDisplay.from_predictions(
        images, _rebuilt(images), scores, flagged=scores > 0.006, n=16
    )


def _heatmaps(n: int) -> Display:
    images = _pictures(n)
    maps = np.zeros((n, 24, 24))
    maps[:, 3:9, 0:8] = 0.4
    return figures.HeatmapOverlayDisplay.from_predictions(
        images,
        maps,
        ceiling=0.5,
        threshold_map=0.3,
        masks=maps > 0.2,
        titles=_names(n),
        n=12,
    )


def _projection(n: int) -> Display:
    codes = np.random.default_rng(2).normal(size=(2 * n, 6))
    return figures.ProjectionDisplay.from_predictions(codes, _scores(n)[1], title="Codes")


FIGURES: dict[str, Callable[[int], Display]] = {
    "class overview": _class_overview,
    "class overview, three a class": _many_a_class,
    "anomalous samples": lambda n: figures.AnomalousSamplesDisplay.from_predictions(
        _pictures(n), titles=_names(n)
    ),
    "learning curves": lambda n: figures.LearningCurvesDisplay.from_history(_history(n)),
    "reconstructions": lambda n: figures.ReconstructionsDisplay.from_predictions(
        _pictures(n), _rebuilt(_pictures(n)), titles=_names(n)
    ),
    "differences": _differences,
    "error histogram": lambda n: figures.ErrorHistogramDisplay.from_predictions(
        _scores(n)[0][:n],
        anomalous_scores=_scores(n)[0][n:],
        limits=list(_thresholds(n).items()),
    ),
    "error density": lambda n: figures.ErrorDensityDisplay.from_predictions(
        *_scores(n), thresholds=_thresholds(n)
    ),
    "roc": _roc,
    "precision-recall": lambda n: figures.PrecisionRecallDisplay.from_predictions(
        _scores(n)[1], _scores(n)[0], threshold=0.01
    ),
    "confusion": lambda n: figures.ConfusionDisplay.from_predictions(
        _scores(n)[1], _scores(n)[0] > 0.008
    ),
    "sorted errors": lambda n: figures.SortedErrorsDisplay.from_predictions(
        _scores(n)[0], threshold=0.01, anomalous=_scores(n)[1]
    ),
    "projection": _projection,
    "model comparison": lambda n: figures.ModelComparisonDisplay.from_results(
        _names(n), np.linspace(0.0123, 0.0007, n), np.linspace(0.06, 1, n), spreads=[0.001] * n
    ),
    "model comparison over decades": lambda n: figures.ModelComparisonDisplay.from_results(
        _names(n), np.geomspace(12.3, 1e-5, n), np.linspace(0.06, 1, n)
    ),
    "model reconstructions": _model_reconstructions,
    "heat maps": _heatmaps,
    "leaderboard": lambda n: figures.LeaderboardDisplay.from_results(
        [(name, 0.9 - i / 200, 0.85 - i / 200, 0.95) for i, name in enumerate(_names(n))]
    ),
}


@pytest.fixture(params=FIGURES)
def make(request: pytest.FixtureRequest) -> Callable[[int], Display]:
    return FIGURES[request.param]


def test_every_display_class_is_among_the_figures_tested_here() -> None:
    tested = {type(make(2)).__name__ for make in FIGURES.values()}
    assert tested == set(figures.__all__) - {"Display"}


@pytest.mark.parametrize("n", [1, 2, 10, 102])
def test_no_text_overlaps_another_or_leaves_the_figure(
    make: Callable[[int], Display], n: int
) -> None:
    figure = make(n).plot().figure_
    assert drawn_texts(figure)
    assert text_faults(figure) == []


def test_the_check_of_texts_sees_an_overlap_and_a_text_outside() -> None:
    figure = Figure((3, 2))
    figure.text(0.1, 0.5, "a text that lies here")
    figure.text(0.15, 0.52, "and another upon it")
    figure.text(0.9, 0.1, "leaves the figure")
    assert [fault.split(" leaves")[0].split(" and ")[0] for fault in text_faults(figure)] == [
        "'leaves the figure'",
        "'a text that lies here'",
    ]


@pytest.mark.parametrize("n", [1, 2, 10, 102])
def test_svg_is_valid_small_and_embeds_small_pictures(
    make: Callable[[int], Display], n: int
) -> None:
    text = make(n).svg()
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("aria-label")
    assert len(text) < 2_000_000
    pattern = r"data:image/\w+;base64,([A-Za-z0-9+/=\s]+)"
    assert "nan" not in re.sub(pattern, "", text)
    for data in re.findall(pattern, text):
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert max(picture.size) <= 160


def test_columns_of_data_have_one_length_and_plain_values(make: Callable[[int], Display]) -> None:
    columns = make(10).data()
    lengths = {len(column) for column in columns.values()}
    assert len(lengths) == 1
    plain = (str, int, float, bool, type(None))
    assert all(type(value) in plain for column in columns.values() for value in column)


def test_ids_in_svg_begin_with_the_prefix_and_references_find_them(
    make: Callable[[int], Display],
) -> None:
    text = make(2).svg("one-")
    ids = set(re.findall(r'\bid="([^"]+)"', text))
    assert ids
    assert all(name.startswith("one-") for name in ids)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= ids


def test_svg_of_the_same_data_is_the_same(make: Callable[[int], Display]) -> None:
    assert make(2).svg() == make(2).svg()


def test_a_figure_draws_on_axes_that_are_given(make: Callable[[int], Display]) -> None:
    display = make(10)
    mine = Figure((9, 5))
    pair = isinstance(display, figures.ModelComparisonDisplay)
    axes = mine.subplots(1, 2) if pair else mine.add_subplot(1, 2, 2)
    assert display.plot(axes) is display
    assert display.figure_ is mine
    assert display.axes_ == (list(axes) if pair else [axes])
    assert display.ax_ is display.axes_[0]
    FigureCanvasAgg(mine).draw()


def test_plotting_leaves_the_settings_of_matplotlib_as_they_were(
    make: Callable[[int], Display],
) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    make(2).svg()
    assert dict(matplotlib.rcParams) == before


def test_save_svg_writes_a_whole_file(tmp_path: Path) -> None:
    display = FIGURES["confusion"](5)
    path = display.save_svg(tmp_path / f"{display.stem}.svg")
    assert path.name == "confusion.svg"
    assert path.read_text(encoding="utf-8").startswith("<?xml")
    ET.parse(path)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match="missing"):
        display.save_svg(tmp_path / "missing" / "roc.svg")


def test_names_in_other_scripts_and_with_control_characters_are_drawn() -> None:
    names = ["ネジ", "болт", "a\nb\tc", "\x00\x07", "🔩", "x" * 300, ""]
    display = figures.ClassOverviewDisplay.from_predictions(_pictures(len(names)), names)
    assert text_faults(display.plot().figure_) == []
    ET.fromstring(display.svg())


def test_figures_are_imported_without_matplotlib_and_drawn_without_pyplot() -> None:
    code = (
        "import sys, residua.report.figures as f; assert 'matplotlib' not in sys.modules\n"
        "f.ConfusionDisplay.from_predictions([0, 1], [0, 1]).svg()\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
