"""Pictures, their contents and reviews, the bytes in use, and the state of drift."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "residua_contents",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_residua_contents"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Pictures are compressed already.
        op.execute("ALTER TABLE residua_contents ALTER COLUMN data SET STORAGE EXTERNAL")
    op.create_table(
        "residua_pictures",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("model", sa.String(500), nullable=False),
        sa.Column("revision", sa.String(500), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("media_type", sa.String(500), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(53), nullable=False),
        sa.Column("threshold", sa.Float(53), nullable=False),
        sa.Column("lower", sa.Float(53), nullable=True),
        sa.Column("fitted_upper", sa.Float(53), nullable=True),
        sa.Column("anomalous", sa.Boolean(), nullable=False),
        sa.Column("p_value", sa.Float(53), nullable=False),
        sa.Column("margin", sa.Float(53), nullable=False),
        sa.Column("draw", sa.Float(53), nullable=False),
        sa.Column("correct", sa.Boolean(), nullable=True),
        sa.Column("came_up", sa.String(20), nullable=True),
        sa.Column("reviewer", sa.String(500), nullable=True),
        sa.Column("reviewed", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["content"], ["residua_contents.digest"], name="fk_residua_pictures_content"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_residua_pictures"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_residua_pictures_content", "residua_pictures", ["content"])
    op.create_index(
        "ix_residua_pictures_counts",
        "residua_pictures",
        ["model", "anomalous", "correct", "came_up"],
    )
    for by, then in (("margin", "model"), ("draw", "model"), ("created", "id")):
        op.create_index(
            f"ix_residua_pictures_waiting_{by}",
            "residua_pictures",
            [by, then],
            sqlite_where=sa.text("correct IS NULL"),
            postgresql_where=sa.text("correct IS NULL"),
        )
    op.create_table(
        "residua_reviews",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("picture", _NUMBER, nullable=False),
        sa.Column("reviewed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reviewer", sa.String(500), nullable=True),
        sa.Column("correct", sa.Boolean(), nullable=True),
        sa.Column("came_up", sa.String(20), nullable=True),
        sa.ForeignKeyConstraint(
            ["picture"],
            ["residua_pictures.id"],
            name="fk_residua_reviews_picture",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_residua_reviews"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_residua_reviews_picture", "residua_reviews", ["picture"])
    usage = op.create_table(
        "residua_usage",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_residua_usage"),
    )
    op.bulk_insert(usage, [{"id": 1, "size": 0, "held": 0}])
    op.create_table(
        "residua_drift",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("model", sa.String(500), nullable=False),
        sa.Column("revision", sa.String(500), nullable=False),
        sa.Column("station", sa.String(500), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("saved", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_residua_drift"),
    )
