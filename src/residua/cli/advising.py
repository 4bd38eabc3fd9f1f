"""`residua advise`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.common import (
    AsJson,
    BundlePath,
    FittedOn,
    Pictures,
    Threads,
    app,
    console,
    escape,
    pictures,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from residua.advice.finding import Finding

_MARKS = {"warning": "[bold red]✗[/]", "advice": "[bold yellow]![/]", "fine": "[green]✓[/]"}
_NOT_MADE = "[dim]–[/]"
_WIDEST = 100


@app.command(epilog="Example: residua advise part.residua incoming/ --train good/ --anomalous bad")
def advise(
    bundle: BundlePath,
    data: Pictures,
    train: FittedOn = None,
    normal: Annotated[
        list[str] | None, typer.Option(help="A normal class, may be given again.")
    ] = None,
    anomalous: Annotated[
        list[str] | None, typer.Option(help="An anomalous class, may be given again.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder, or its URL, for findings.json and the evidence as PNG."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the samples.", min=0)] = 0,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Say what the scores tell about the data and the model, and what to do.

    ✗ verdicts cannot be trusted before it is mended, ! worth doing, ✓ nothing amiss, – could not
    be checked.
    """
    from residua.advice.advise import advise as run
    from residua.evaluation.scored import score_source, scorer_of
    from residua.evaluation.truth import known_truth
    from residua.images.resolve import resolve_source
    from residua.storage import check_output_folder, written

    check_output_folder(out)
    scorer = scorer_of(bundle, threads=threads)
    named = pictures(data)
    source = resolve_source(named, prefer="test")
    training = None if train is None else resolve_source(train, prefer="train")
    truth = known_truth(named, source.labels, normal=normal, anomalous=anomalous)
    scored = score_source(scorer, source, truth=truth, workers=threads)
    findings = run(scorer, scored, training=training, seed=seed, console=console())
    if as_json:
        rows = [finding.model_dump() for finding in findings]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        _print(findings)
    if out is not None:
        from residua.advice.sheets import write_advice

        with written(out) as folder:
            files = write_advice(folder, findings, scorer, source, training)
        say(f"findings and {len(files) - 1} sheets of pictures: {escape(out)}")


def _print(findings: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.padding import Padding

    page = Console()
    page = Console(width=min(page.width, _WIDEST), soft_wrap=False)
    for finding in findings:
        mark = _MARKS[finding.severity] if finding.made else _NOT_MADE
        page.print(f"{mark} [bold]{escape(finding.title)}[/]", highlight=False)
        page.print(Padding(escape(finding.evidence), (0, 0, 0, 2)), highlight=False)
        if finding.action:
            page.print(Padding(f"[cyan]→ {escape(finding.action)}[/]", (0, 0, 0, 2)))
        page.print()
    counts = {name: sum(f.severity == name and f.made for f in findings) for name in _MARKS}
    unmade = sum(not finding.made for finding in findings)
    page.print(
        f"Warnings {counts['warning']}, advice {counts['advice']}, fine {counts['fine']}, not "
        f"checked {unmade}.",
        highlight=False,
    )
