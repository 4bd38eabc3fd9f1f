"""`residua export-reviews`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residua.cli.common import app, escape, say


@app.command(
    "export-reviews",
    epilog="Example: residua export-reviews reviews.sqlite reviewed/ --model part",
)
def export_reviews(
    database: Annotated[
        str,
        typer.Argument(
            help="The review store: reviews.sqlite in the --data of residua serve, or a URL such "
            "as postgresql://host/database.",
            envvar="RESIDUA_DATABASE",
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="The folder to write, new or empty.")],
    model: Annotated[
        str | None, typer.Option(help="Pictures of this model alone. [default: of all]")
    ] = None,
) -> None:
    """Write reviewed pictures to FOLDER/normal and FOLDER/anomalous, for fit and evaluate.

    FOLDER/reviews.csv says what is known of each. A text in it that begins with = + - or @ has an
    apostrophe before it, so that no spreadsheet takes it for a formula.
    """
    from contextlib import closing

    from residua.service.store.addresses import existing_database
    from residua.service.store.exporting import export_folder
    from residua.service.store.store import ReviewStore

    with closing(ReviewStore.open(existing_database(database), make=False)) as store:
        count = export_folder(store, folder, model=model)
    say(f"written: {escape(str(folder))} (reviewed pictures: {count:,})")
