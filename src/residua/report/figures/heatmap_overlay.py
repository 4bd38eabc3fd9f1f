"""Where pictures were not rebuilt: heat maps over grey pictures, the flagged region outlined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from residua.errors import InputError
from residua.heatmaps import overlay
from residua.report.figures.bands import BandsDisplay, Cell, ColourScale, Row
from residua.report.figures.inputs import (
    checked_images,
    checked_maps,
    checked_titles,
    scored_pictures,
)
from residua.report.figures.lettering import counted
from residua.report.figures.sheet import Sheet, side_for, thumbnail

_FLAGGED_LINE = "#56B4E9"
_MASK_LINE = "#FFFFFF"


class HeatmapOverlayDisplay(BandsDisplay):
    """Pictures above, their heat maps below, on one scale.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, C), uint8
    error_maps : ndarray of shape (n, H, W)
    ceiling : float
        Full scale of the maps, above 0.
    threshold_map : float, optional
        The region where the map lies above is outlined.
    masks : ndarray of shape (n, H, W), bool, optional
        Where the pictures are truly defective.
    titles : sequence of str, optional
    count : int, optional
        Pictures there are. Default: those shown.

    Examples
    --------
    >>> import numpy as np
    >>> from residua.report.figures import HeatmapOverlayDisplay
    >>> images, maps = np.zeros((1, 8, 8, 1), np.uint8), np.eye(8)[None]
    >>> display = HeatmapOverlayDisplay.from_predictions(
    ...     images, maps, ceiling=1.0, threshold_map=0.5
    ... )
    >>> display.data()["flagged_share"]
    [0.125]
    """

    stem = "heat-maps"
    _most_columns = 4

    def __init__(
        self,
        images: NDArray[np.uint8],
        error_maps: NDArray[np.float64],
        ceiling: float,
        threshold_map: float | None = None,
        masks: NDArray[np.bool_] | None = None,
        titles: Sequence[str] | None = None,
        count: int | None = None,
    ) -> None:
        if not (np.isfinite(ceiling) and ceiling > 0):
            raise InputError(f"the ceiling of the heat maps is {ceiling}; wanted a number above 0")
        self.error_maps = error_maps
        self.ceiling = float(ceiling)
        self.threshold_map = threshold_map
        self.masks = masks
        self.titles = titles
        shown = len(images)
        of = "" if count is None or count == shown else f" of {count:,}"
        self.title = f"Where the error lies: {counted(shown)}{of}"
        self.notes = self._legend()
        side = side_for(2 * shown)
        self._scale = ColourScale(self.ceiling, "error of a pixel")
        self._rows = (
            Row("picture", [thumbnail(picture, side) for picture in images]),
            Row(
                "heat map",
                [
                    _overlaid(picture, error_map, self.ceiling, side)
                    for picture, error_map in zip(images, error_maps, strict=True)
                ],
            ),
        )
        self._captions = [] if titles is None else [[title] for title in titles]

    @classmethod
    def from_predictions(
        cls,
        images: ArrayLike,
        error_maps: ArrayLike,
        *,
        ceiling: float,
        threshold_map: float | None = None,
        masks: ArrayLike | None = None,
        titles: Sequence[object] | None = None,
        n: int = 8,
    ) -> Self:
        """Show the first ``n`` pictures.

        Parameters
        ----------
        images : array-like of shape (N, H, W, C), uint8
        error_maps : array-like of shape (N, H, W)
        ceiling : float
            Full scale, above 0, the same for all pictures of a model.
        threshold_map : float, optional
            Pixels above are outlined.
        masks : array-like of shape (N, H, W), bool, optional
        titles : sequence of N texts, optional
        n : int, default=8

        Raises
        ------
        InputError
            Arrays that do not fit each other, no picture, or a ceiling of 0 or less.
        """
        pictures = checked_images(images)
        maps = checked_maps(error_maps, pictures, "error maps")
        truth = None if masks is None else checked_maps(masks, pictures, "masks") != 0
        texts = checked_titles(titles, len(pictures))
        return cls(
            pictures[:n],
            maps[:n].astype(np.float64),
            ceiling,
            threshold_map,
            None if truth is None else truth[:n],
            None if texts is None else texts[:n],
            len(pictures),
        )

    @classmethod
    def from_estimator(
        cls, detector: Any, X: Any, n: int = 8, *, threshold_map: float | None = None
    ) -> Self:
        """Score ``n`` pictures of X, evenly spaced; full scale is their greatest error."""
        images, scored = scored_pictures(detector, X, n)
        ceiling = float(scored.error_maps.max()) or 1.0
        return cls.from_predictions(
            images, scored.error_maps, ceiling=ceiling, threshold_map=threshold_map, n=n
        )

    def data(self) -> dict[str, list[Any]]:
        """Return the mean and greatest error of each picture, and the shares of the two regions."""
        flat = self.error_maps.reshape(len(self.error_maps), -1)
        nothing = [None] * len(flat)
        level = self.threshold_map
        truth = None if self.masks is None else self.masks.reshape(len(flat), -1)
        return {
            "title": [""] * len(flat) if self.titles is None else list(self.titles),
            "mean_error": flat.mean(axis=1).tolist(),
            "max_error": flat.max(axis=1).tolist(),
            "flagged_share": nothing if level is None else (flat > level).mean(axis=1).tolist(),
            "mask_share": nothing if truth is None else truth.mean(axis=1).tolist(),
        }

    def _legend(self) -> tuple[str, ...]:
        lines = []
        if self.threshold_map is not None:
            some = bool((self.error_maps > self.threshold_map).any())
            lines.append("solid blue line: flagged region" if some else "no pixel is flagged")
        if self.masks is not None:
            some = bool(self.masks.any())
            lines.append("dashed white line: true defect" if some else "no defect is marked")
        return ("; ".join(lines).capitalize() + ".",) if lines else ()

    def _mark(
        self, sheet: Sheet, cell: Cell, x: float, y: float, width: float, height: float
    ) -> None:
        box = (x, y, width, height)
        if cell.row == 1 and self.threshold_map is not None:
            error_map = self.error_maps[cell.column]
            _outline(sheet, error_map, self.threshold_map, box, _FLAGGED_LINE, "solid")
        if self.masks is not None:
            mask = self.masks[cell.column].astype(np.float64)
            _outline(sheet, mask, 0.5, box, _MASK_LINE, "dashed")


def _overlaid(
    picture: NDArray[np.uint8], error_map: NDArray[np.float64], ceiling: float, side: int
) -> NDArray[np.uint8]:
    """Lay the map over the picture at few pixels."""
    height, width = error_map.shape
    longest = max(height, width)
    if longest > side:
        size = (max(1, round(width * side / longest)), max(1, round(height * side / longest)))
        small = Image.fromarray(error_map.astype(np.float32)).resize(size, Image.Resampling.BOX)
        grey = Image.fromarray(picture.mean(axis=-1).astype(np.float32))
        picture = np.asarray(grey.resize(size, Image.Resampling.BOX)).astype(np.uint8)[..., None]
        error_map = np.asarray(small)
    blended = overlay(picture, error_map.astype(np.float32), ceiling)
    factor = max(1, side // max(error_map.shape))
    size = (error_map.shape[1] * factor, error_map.shape[0] * factor)
    return np.asarray(blended.resize(size, Image.Resampling.NEAREST))


def _outline(
    sheet: Sheet,
    values: NDArray[np.float64],
    level: float,
    box: tuple[float, float, float, float],
    colour: str,
    dashes: str,
) -> None:
    """Outline where ``values`` (H, W) lie above ``level``, the picture's edge included."""
    from matplotlib.patheffects import Normal, Stroke

    if not (values > level).any():
        return
    x, y, width, height = box
    rows, columns = values.shape
    # Below the level all around, so that a region at the edge is closed there.
    padded = np.pad(values, 1, constant_values=min(float(values.min()), level) - 1e-9 - abs(level))
    xs = x + width * np.clip((np.arange(columns + 2) - 0.5) / columns, 0, 1)
    ys = y + height * np.clip((np.arange(rows + 2) - 0.5) / rows, 0, 1)
    lines = sheet.ax.contour(
        xs, ys, padded, levels=[level], colors=[colour], linewidths=0.9, linestyles=[dashes]
    )
    lines.set_path_effects([Stroke(linewidth=1.6, foreground="#000000", alpha=0.6), Normal()])
    vertices = sum(len(path.vertices) for path in lines.get_paths())
    # The map of a noisy picture has an outline of thousands of corners.
    lines.set_rasterized(vertices > 1_500)
