"""From sections to HTML: the template, the style and the scripts put together."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from residua import __version__
from residua.errors import MissingExtra
from residua.evaluation.evaluate import Evaluation
from residua.report.page.gallery import Card, Gallery, data_uri
from residua.report.sections import Section, legible

_SCRIPTS = ("counts.js", "threshold.js", "gallery.js", "page.js")
# matplotlib styles every element of the page with it; the page does so for its figures alone.
_EVERYWHERE = re.compile(r"<style[^>]*>\s*\*\s*\{[^}]*\}\s*</style>")
# An option of the command line, which must not be broken at its hyphens.
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
_EVIDENCE_SIDE = 160


def rendered(
    *,
    title: str,
    sections: Sequence[Section],
    drawings: dict[str, str],
    gallery: Gallery,
    live: dict[str, Any],
    evaluation: Evaluation,
    folder: str,
    unreadable: bool,
) -> str:
    """Return the page.

    Raises
    ------
    MissingExtra
        Jinja2 is not installed.
    """
    try:
        import jinja2
        from markupsafe import Markup, escape
    except ModuleNotFoundError as error:
        raise MissingExtra.of("jinja2", "report") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("residua.report.page", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean,
    )
    environment.tests["a"] = lambda block, name: type(block).__name__ == name
    environment.filters["options"] = lambda text: Markup(
        _OPTION.sub(r'<code class="option">\g<0></code>', str(escape(legible(text))))
    )
    environment.filters["evidence"] = lambda picture: data_uri(picture, _EVIDENCE_SIDE)
    script = "\n".join(_read(name) for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    text: str = environment.get_template("report.html.j2").render(
        title=title,
        sections=sections,
        drawings={name: Markup(_EVERYWHERE.sub("", drawing)) for name, drawing in drawings.items()},
        gallery=gallery,
        classes=sorted({card.label for card in gallery.cards}),
        e=evaluation,
        live=live,
        folder=quote(folder, errors="surrogateescape"),
        folder_name=folder,
        unreadable=unreadable,
        version=__version__,
        style=Markup(_read("report.css")),
        script=Markup(script),
        script_digest=digest,
        data=Markup(_as_json(live, gallery.cards)),
    )
    return text


def _read(name: str) -> str:
    return files("residua.report.page").joinpath(name).read_text(encoding="utf-8")


def _clean(value: Any) -> Any:
    """Make text legible; leave markup and numbers as they are."""
    return legible(value) if type(value) is str else value


def _as_json(live: dict[str, Any], cards: Sequence[Card]) -> str:
    """Return the page's data as JSON that cannot end the element it stands in."""
    rows = [
        {
            "id": card.id,
            "label": card.label,
            "truth": card.truth,
            "score": card.score,
            "p": card.p,
            "rebuilt": card.rebuilt,
            "heat": card.heat,
        }
        for card in cards
    ]
    text = json.dumps({"live": live, "cards": rows}, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
