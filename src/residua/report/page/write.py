"""The report, written: one HTML file that needs nothing else, and its folder of numbers."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from residua.advice.finding import Finding
from residua.errors import ConfigurationError, OutputError
from residua.evaluation.evaluate import Evaluation
from residua.evaluation.scored import ScoredSet, scorer_of
from residua.images.source import ImageSource
from residua.report.figures import Display
from residua.report.page.gallery import Gallery, gallery_of
from residua.report.page.numbers import check_report_folder, write_folder
from residua.report.page.render import rendered
from residua.report.page.steps import live_payload
from residua.report.recipe import Recipe, recipe_of
from residua.report.sections import FigureBlock, Section, TableBlock
from residua.report.standard import standard_sections
from residua.workspace import alone_in
from residua.writing import check_folder, whole_file

MOST_BYTES = 10_000_000
# Of that, what is left free for what cannot be foreseen to the byte.
_SPARE = 250_000
_LEAST_GALLERY = 1_000_000
_MOST_GALLERY = 5_000_000
_DPI = 130
# Seconds for which another report of the same name is waited for.
_PATIENCE = 60.0


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    model: Any,
    scored: ScoredSet,
    evaluation: Evaluation,
    findings: Sequence[Finding] = (),
    sections: Sequence[Section] = (),
    recipe: Recipe | None = None,
    training: ImageSource | None = None,
    max_gallery: int = 300,
) -> Path:
    """Write a report as one HTML file, and a folder of its numbers and figures beside it.

    The file opens without a network, is under 10 MB whatever the number of pictures, and is
    replaced only when the new one is whole. The folder has the file's name without ``.html``.

    Parameters
    ----------
    path : path-like
        The file, NAME.html.
    title : str
        What stands on top.
    model : path-like, BundleScorer or AutoencoderDetector
        What scored the pictures; it is asked again for those that are shown.
    scored : ScoredSet
    evaluation : Evaluation
        Of ``scored``.
    findings : sequence of Finding, optional
        Advice.
    sections : sequence of Section, optional
        More sections; see `residua.report.sections`.
    recipe : Recipe, optional
        Default: from the model's settings.
    training : ImageSource, optional
        The pictures of the fit, to show those that the advice names.
    max_gallery : int, default=300
        Pictures in the gallery, at most.

    Returns
    -------
    Path
        The HTML file.

    Raises
    ------
    ConfigurationError
        The name does not end in .html, the gallery has a negative size, or two figures or
        sections have one name.
    OutputError
        It cannot be written there.
    MissingExtra
        Jinja2 or matplotlib is not installed.
    """
    final = Path(path)
    folder = check_report(final, max_gallery)
    scorer = scorer_of(model)
    if recipe is None:
        bundle = model if isinstance(model, str | os.PathLike) else None
        recipe = recipe_of(scored.manifest, bundle=bundle)
    parts = standard_sections(
        scorer, scored, evaluation, findings, recipe=recipe, training=training, more=sections
    )
    figures = [block for part in parts for block in part.blocks if isinstance(block, FigureBlock)]
    _check_names(parts)
    drawings = {block.name: block.display.svg(block.name) for block in figures}
    shown = _within(drawings, figures, MOST_BYTES - _SPARE - _LEAST_GALLERY)
    live = live_payload(scored, evaluation)
    page: dict[str, Any] = {
        "title": title,
        "sections": parts,
        "drawings": shown,
        "live": live,
        "evaluation": evaluation,
        "folder": folder.name,
        "unreadable": bool(scored.failures),
    }
    bare = len(rendered(**page, gallery=Gallery([], 0, 1, 1, "")).encode())
    room = min(MOST_BYTES - _SPARE - bare, _MOST_GALLERY)
    gallery = gallery_of(scorer, scored, most=max_gallery, budget=max(room, 0))
    text = rendered(**page, gallery=gallery)
    try:
        folder.mkdir(exist_ok=True)
        # Two at once must not leave the page of one with the numbers of the other.
        with alone_in(folder, "report", patience=_PATIENCE):
            write_folder(
                folder,
                scored=scored,
                evaluation=evaluation,
                findings=findings,
                sections=parts,
                drawings=drawings,
            )
            with whole_file(final) as beside:
                beside.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"the report cannot be written to {final}: {reason}") from error
    return final


def check_report(final: Path, max_gallery: int = 0) -> Path:
    """Return the folder for a report's numbers, refused where the report cannot be written.

    Raises
    ------
    ConfigurationError, OutputError
        As for `write_report`.
    """
    if final.suffix.lower() not in (".html", ".htm"):
        raise ConfigurationError(f"the report is called {final.name!r}; end the name in .html")
    if max_gallery < 0:
        raise ConfigurationError(f"max_gallery is {max_gallery}; wanted 0 or more")
    parent = final.absolute().parent
    if not parent.is_dir():
        raise OutputError(f"the folder {parent} does not exist; make it first: mkdir -p {parent}")
    if final.is_dir():
        raise OutputError(f"{final} is a folder; choose another name for the report")
    check_folder(parent)
    folder = final.with_suffix("")
    check_report_folder(folder)
    return folder


def _check_names(sections: Sequence[Section]) -> None:
    blocks = [block for section in sections for block in section.blocks]
    files = [block.name for block in blocks if isinstance(block, FigureBlock | TableBlock)]
    files += ["scores", "evaluation", "findings", "contents", "unreadable"]
    for names in ([section.anchor for section in sections], files):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"two parts of the report are called {twice[0]!r}; rename one")


def _within(
    drawings: dict[str, str], figures: Sequence[FigureBlock], budget: int
) -> dict[str, str]:
    """Return the figures as markup for the page; the heaviest become pictures until all fit."""
    shown = dict(drawings)
    heaviest = sorted(figures, key=lambda block: -len(drawings[block.name]))
    for block in heaviest:
        if sum(map(len, shown.values())) <= budget:
            break
        picture = _as_picture(block.display)
        if len(picture) < len(shown[block.name]):
            shown[block.name] = picture
    return shown


def _as_picture(display: Display) -> str:
    from html import escape

    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    display.figure_.figure.savefig(drawn, format="png", dpi=_DPI)
    Image.open(drawn).convert("RGB").save(small, "JPEG", quality=85)
    content = base64.b64encode(small.getvalue()).decode("ascii")
    return f'<img alt="{escape(display.title)}" src="data:image/jpeg;base64,{content}">'
