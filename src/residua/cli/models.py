"""`residua models`."""

from __future__ import annotations

import json
from typing import Any

import typer

from residua.cli.common import AsJson, app, escape, print_table


@app.command(epilog="Example: residua models")
def models(as_json: AsJson = False) -> None:
    """List the networks: what each is, when to choose it, its weights and its cost."""
    from residua.catalogue import CATALOGUE, LARGE, SMALL
    from residua.plugins import installed_plugins

    plugins = [plugin for plugin in installed_plugins() if plugin.name not in CATALOGUE]
    if as_json:
        records: list[dict[str, Any]] = [
            {
                "name": name,
                "what": card.what,
                "when": card.when,
                "source": card.source,
                "weights": {_words(SMALL): card.weights_small, _words(LARGE): card.weights_large},
                "training": {
                    _words(SMALL): card.training_small,
                    _words(LARGE): card.training_large,
                },
                "scoring": {_words(SMALL): card.scoring_small, _words(LARGE): card.scoring_large},
                "package": None,
            }
            for name, card in CATALOGUE.items()
        ]
        records += [{"name": p.name, "what": p.target, "package": p.package} for p in plugins]
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return
    _show(CATALOGUE, plugins)


def _show(catalogue: Any, plugins: list[Any]) -> None:
    from rich.table import Table

    table = Table(title="Networks", title_justify="left", show_lines=True)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is, and when to choose it", ratio=1)
    for column in ("weights", "training", "scoring"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, card in catalogue.items():
        what, when, source = map(escape, (card.what, card.when, card.source))
        table.add_row(
            f"[bold]{name}[/]",
            f"{what}\n[bold]for:[/] {when}\n[dim]{source}[/]",
            f"{_short(card.weights_small)}\n{_short(card.weights_large)}",
            f"{_times(card.training_small)}\n{_times(card.training_large)}",
            f"{_times(card.scoring_small)}\n{_times(card.scoring_large)}",
        )
    for plugin in plugins:
        table.add_row(
            f"[bold]{escape(plugin.name)}[/]", escape(f"{plugin.target}, of {plugin.package}")
        )
    table.caption = (
        "first line: grey pictures of 28 × 28; second line: colour pictures of 128 × 128; "
        "times are multiples of conv's; –: as the backbone has it"
    )
    table.caption_justify = "left"
    print_table(table)


def _words(shape: tuple[int, int, int]) -> str:
    return "x".join(map(str, shape))


def _short(count: int | None) -> str:
    if count is None:
        return "–"
    return f"{count / 1e6:.1f} M" if count >= 1_000_000 else f"{round(count / 1e3)} k"


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"× {ratio:.1f}"
