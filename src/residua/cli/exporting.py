"""`residua export-reviews`."""

from __future__ import annotations

from typing import Annotated

import typer

from residua.cli.common import app, escape, say
from residua.errors import OutputError


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
    folder: Annotated[str, typer.Argument(help="The folder to write, new or empty, or its URL.")],
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
    from residua.storage import check_output_folder, exists, is_remote, written

    check_output_folder(folder)
    if is_remote(folder) and exists(folder):
        raise OutputError(f"{folder} is not empty; name a new folder")
    with (
        closing(ReviewStore.open(existing_database(database), make=False)) as store,
        written(folder) as place,
    ):
        count = export_folder(store, place, model=model)
    say(f"written: {escape(folder)} (reviewed pictures: {count:,})")
