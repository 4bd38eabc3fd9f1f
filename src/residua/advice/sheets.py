"""The evidence as pictures: one contact sheet a finding, with NumPy and Pillow alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from residua.advice.finding import Finding, Picture
from residua.errors import ImageError, OutputError
from residua.evaluation.scored import Scorer, scorer_of, view
from residua.heatmaps import overlay
from residua.images.source import ImageSource
from residua.writing import whole_file

FINDINGS = "findings.json"
_SIDE = 160
_GAP = 10
_LINE = 13
_COLUMNS = 4
_PAPER, _INK, _FAINT = (255, 255, 255), (20, 20, 20), (110, 110, 110)


def write_advice(
    folder: Path,
    findings: Sequence[Finding],
    model: Any,
    scored: ImageSource,
    training: ImageSource | None = None,
) -> list[Path]:
    """Write ``findings.json`` and the pictures of each finding as ``CHECK.png``.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    findings : sequence of Finding
    model : path-like, BundleScorer or AutoencoderDetector
        For the heat maps.
    scored, training : ImageSource
        Where the pictures come from.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    scorer = scorer_of(model)
    written = [folder / FINDINGS]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps([finding.model_dump() for finding in findings], indent=2)
        with whole_file(written[0]) as beside:
            beside.write_text(text + "\n", encoding="utf-8")
        for finding in findings:
            sheet = contact_sheet(finding, scorer, scored, training)
            if sheet is None:
                continue
            written.append(folder / f"{finding.check}.png")
            with whole_file(written[-1]) as beside:
                sheet.save(beside, "PNG")
    except OSError as error:
        raise OutputError(f"the advice cannot be written to {folder}: {error}") from error
    return written


def contact_sheet(
    finding: Finding, model: Any, scored: ImageSource, training: ImageSource | None = None
) -> Image.Image | None:
    """Draw the pictures of a finding with their notes; None where it has none to show.

    A picture whose heat map belongs beside it has it to its right.
    """
    scorer = scorer_of(model)
    cells: list[tuple[Picture, list[Image.Image]]] = []
    for picture in finding.pictures:
        source = scored if picture.origin == "scored" else training
        if source is None:
            continue
        try:
            cells.append((picture, _seen(scorer, source, picture)))
        except ImageError:
            continue
    if not cells:
        return None
    wide = max(len(images) for _, images in cells)
    width = wide * _SIDE + (wide - 1) * 2
    columns = min(len(cells), max(1, _COLUMNS // wide))
    height = _SIDE + 2 * _LINE + _GAP
    top = 2 * _GAP + _LINE
    rows = -(-len(cells) // columns)
    size = (columns * (width + _GAP) + _GAP, top + rows * height + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    draw.text((_GAP, _GAP), _fitting(finding.title, size[0] - 2 * _GAP, font), _INK, font)
    for number, (picture, images) in enumerate(cells):
        x = _GAP + number % columns * (width + _GAP)
        y = top + number // columns * height
        for place, image in enumerate(images):
            sheet.paste(image, (x + place * (_SIDE + 2), y))
        draw.text((x, y + _SIDE + 1), _fitting(picture.note, width, font), _INK, font)
        draw.text((x, y + _SIDE + 1 + _LINE), _fitting(picture.id, width, font), _FAINT, font)
    return sheet


def _seen(scorer: Scorer, source: ImageSource, picture: Picture) -> list[Image.Image]:
    """Return the picture as the model sees it, and its heat map where that is wanted."""
    seen = view(scorer, source, [picture.position])
    images = [_framed(_rgb(seen.images[0]))]
    if picture.heat_map:
        ceiling = scorer.manifest.map_ceiling
        images.append(_framed(overlay(seen.images[0], seen.error_maps[0], ceiling)))
    return images


def _rgb(picture: NDArray[np.uint8]) -> Image.Image:
    if picture.shape[-1] == 3:
        return Image.fromarray(np.ascontiguousarray(picture))
    grey = np.rint(picture.mean(axis=-1)).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _framed(image: Image.Image) -> Image.Image:
    """Return the picture in a square, its pixels square where it is enlarged."""
    scale = _SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    square = Image.new("RGB", (_SIDE, _SIDE), (235, 235, 235))
    place = ((_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2)
    square.paste(image.convert("RGB").resize(size, how), place)
    return square


def _fitting(text: str, width: int, font: Any) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
