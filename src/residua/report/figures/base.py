"""What every figure can do: be plotted, be saved as SVG, and hand out its numbers."""

from __future__ import annotations

import base64
import io
import os
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self
from xml.sax.saxutils import quoteattr

from PIL import Image

from residua.errors import MissingExtra, OutputError
from residua.report.figures import style
from residua.report.figures.lettering import printable
from residua.writing import whole_file

_ID = re.compile(r'(\bid="|href="#|url\(#)')
_PNG = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")
# Smaller pictures stay as they are, without loss.
_SMALL_PNG = 1_500
_JPEG_QUALITY = 88


class Display(ABC):
    """A figure of the report, usable alone.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was plotted; the first, where there are several.
    axes_ : list of matplotlib Axes
    figure_ : matplotlib Figure
    """

    stem: ClassVar[str]
    """The name of its files, without ending."""
    title: str
    """What stands above the figure."""
    ax_: Any
    axes_: list[Any]
    figure_: Any

    def plot(self, ax: Any = None) -> Self:
        """Draw the figure.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. Default: a new figure of the right size, outside pyplot.

        Returns
        -------
        self : Display
            With ``ax_``, ``axes_`` and ``figure_``.

        Raises
        ------
        MissingExtra
            matplotlib is not installed.
        """
        try:
            with style.drawing():
                self.axes_ = self._plot(ax)
        except ModuleNotFoundError as error:
            missing = MissingExtra.behind(error)
            if missing is None:
                raise
            raise missing from error
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        return self

    @abstractmethod
    def _plot(self, ax: Any) -> list[Any]:
        """Draw on ``ax`` or on a new figure; return the axes."""

    @abstractmethod
    def data(self) -> dict[str, list[Any]]:
        """Return the numbers behind the figure as columns of one length."""

    def svg(self, prefix: str | None = None) -> str:
        """Return the figure, as last plotted, as SVG without an XML prolog, to stand in a page.

        Parameters
        ----------
        prefix : str, optional
            Begins every id, so that many figures can stand in one page. Default: the stem.
        """
        if not hasattr(self, "figure_"):
            self.plot()
        buffer = io.BytesIO()
        with style.drawing():
            root = self.figure_.figure
            root.savefig(buffer, format="svg", metadata={"Date": None, "Creator": "Residua"})
        text = buffer.getvalue().decode()
        text = text[text.index("<svg") :]
        text = text.replace(
            "<svg", f'<svg role="img" aria-label={quoteattr(printable(self.title))}', 1
        )
        text = _ID.sub(rf"\g<1>{self.stem if prefix is None else prefix}-", text)
        return _PNG.sub(_lighter, text)

    def save_svg(self, path: str | os.PathLike[str]) -> Path:
        """Save the figure as an SVG file.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        final = Path(path)
        text = '<?xml version="1.0" encoding="utf-8"?>\n' + self.svg()
        try:
            with whole_file(final) as beside:
                beside.write_text(text, encoding="utf-8")
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"the figure cannot be written to {final}: {reason}") from error
        return final

    def _repr_svg_(self) -> str:
        return self.svg()


def _lighter(found: re.Match[str]) -> str:
    """Return an embedded photograph as JPEG where that is much smaller."""
    png = base64.b64decode(found[1])
    if len(png) <= _SMALL_PNG:
        return found[0]
    with Image.open(io.BytesIO(png)) as picture:
        if picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255):
            return found[0]
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    if len(buffer.getvalue()) > 0.7 * len(png):
        return found[0]
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
