"""The tables of the review store, the same in SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

# Other programs may have tables, and Alembic revisions, in the same PostgreSQL database.
VERSION_TABLE = "residua_revision"
TEXT_LENGTH = 500


class UtcTime(TypeDecorator[datetime]):
    """A moment, which SQLite keeps without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Bring a moment of any zone to UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite numbers rows by itself in a column of just this type.
_Number = BigInteger().with_variant(Integer, "sqlite")
_Double = Float(53)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

CONTENTS = Table(
    "residua_contents",
    METADATA,
    # SHA-256 of the data, hexadecimal: equal pictures are stored once.
    Column("digest", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    # Last, so that the size is read without it.
    Column("data", LargeBinary, nullable=False),
)

PICTURES = Table(
    "residua_pictures",
    METADATA,
    Column("id", _Number, primary_key=True),
    Column(
        "content",
        String(64),
        ForeignKey("residua_contents.digest"),
        nullable=False,
        index=True,
    ),
    Column("model", String(TEXT_LENGTH), nullable=False),
    Column("revision", String(TEXT_LENGTH), nullable=False),
    Column("name", String(TEXT_LENGTH), nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("media_type", String(TEXT_LENGTH), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("score", _Double, nullable=False),
    Column("threshold", _Double, nullable=False),
    Column("lower", _Double),
    Column("fitted_upper", _Double),
    Column("anomalous", Boolean, nullable=False),
    Column("p_value", _Double, nullable=False),
    Column("margin", _Double, nullable=False),
    # Random, in [0, 1): the place in the random order.
    Column("draw", _Double, nullable=False),
    # What counts of residua_reviews: the latest, unless it was withdrawn.
    Column("correct", Boolean),
    Column("came_up", String(20)),
    Column("reviewer", String(TEXT_LENGTH)),
    Column("reviewed", UtcTime),
    # A number that was given once is never given again: a page may still show the old picture.
    sqlite_autoincrement=True,
)
_waiting = PICTURES.c.correct.is_(None)
for _by, _then in (("margin", "model"), ("draw", "model"), ("created", "id")):
    Index(
        f"ix_residua_pictures_waiting_{_by}",
        PICTURES.c[_by],
        PICTURES.c[_then],
        sqlite_where=_waiting,
        postgresql_where=_waiting,
    )
# Covers the counts of a summary.
Index(
    "ix_residua_pictures_counts",
    PICTURES.c.model,
    PICTURES.c.anomalous,
    PICTURES.c.correct,
    PICTURES.c.came_up,
)

REVIEWS = Table(
    "residua_reviews",
    METADATA,
    Column("id", _Number, primary_key=True),
    Column(
        "picture",
        _Number,
        ForeignKey("residua_pictures.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("reviewed", UtcTime, nullable=False),
    Column("reviewer", String(TEXT_LENGTH)),
    # Null: what was said before is withdrawn.
    Column("correct", Boolean),
    Column("came_up", String(20)),
    sqlite_autoincrement=True,
)

# One row. Who changes pictures locks it first, so that the sums hold and writers take turns.
USAGE = Table(
    "residua_usage",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Bytes of all contents.
    Column("size", BigInteger, nullable=False),
    # Bytes of those of which a picture is reviewed.
    Column("held", BigInteger, nullable=False),
)

DRIFT = Table(
    "residua_drift",
    METADATA,
    # SHA-256 of the three below, which can be longer than what PostgreSQL takes into an index.
    Column("digest", String(64), primary_key=True),
    Column("model", String(TEXT_LENGTH), nullable=False),
    Column("revision", String(TEXT_LENGTH), nullable=False),
    Column("station", String(TEXT_LENGTH), nullable=False),
    # JSON.
    Column("state", Text, nullable=False),
    Column("saved", UtcTime, nullable=False),
)
