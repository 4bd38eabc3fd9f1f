"""The database's tables, brought to those of this version."""

from __future__ import annotations

import threading

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from residua.errors import ConfigurationError, StoreTooNew
from residua.service.store.database import Database
from residua.service.store.failures import place_of
from residua.service.store.tables import VERSION_TABLE

# Any number does; it is the same for all that migrate this store.
_POSTGRESQL_LOCK = 7_331_940_522_011
# Alembic has one place, for all threads, where a migration finds its connection.
_ALEMBIC = threading.Lock()


def migrate(database: Database, *, make: bool = True) -> None:
    """Make the tables, or change those of an earlier version, in one transaction.

    Several processes may do so at once: one migrates, the others wait and find it done.

    Parameters
    ----------
    database : Database
    make : bool, default=True
        Whether tables are made where there are none.

    Raises
    ------
    ConfigurationError
        It is no review store, and is not to become one: ``make`` is false, or it is an SQLite file
        with other tables.
    StoreTooNew
        The tables are those of a later version.
    StoreError
        The database failed.
    """
    config = Config()
    config.set_main_option("script_location", "residua.service.store:migrations")
    script = ScriptDirectory.from_config(config)
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK}
            )
        found = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE}
        ).get_current_heads()
        unknown = set(found) - {revision.revision for revision in script.walk_revisions()}
        if unknown:
            raise StoreTooNew(
                f"{place_of(database.url)} has tables of revision {min(unknown)}, which this "
                f"version of Residua does not know (it knows up to {script.get_current_head()}); "
                "use the version that wrote it, or a later one"
            )
        if not found:
            others = database.is_sqlite and inspect(connection).get_table_names()
            if others or not make:
                raise ConfigurationError(
                    f"{place_of(database.url)} is no review store; name the database of "
                    f"residua serve, for SQLite the file reviews.sqlite in its --data"
                )
        if found != tuple(script.get_heads()):
            with _ALEMBIC:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
