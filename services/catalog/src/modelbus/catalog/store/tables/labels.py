"""What models are sorted and labelled by, and how much each of them was used, which some labels tell."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from modelbus.catalog.store.tables.schema import (
    key,
    life,
    metadata,
    number,
    refers,
    text,
    time,
    unique_while_it_lives,
)

capabilities = sa.Table(
    "capabilities",
    metadata,
    key(),
    text("name"),
    text("display_name"),
    text("description", nullable=True),
    text("domain"),
    sa.Column("input_types", ARRAY(sa.Text), nullable=False),
    sa.Column("output_types", ARRAY(sa.Text), nullable=False),
    *life(),
)
unique_while_it_lives(capabilities, "name")

categories = sa.Table(
    "categories",
    metadata,
    key(),
    text("name"),
    text("display_name"),
    text("description", nullable=True),
    refers("parent_id", "categories", nullable=True),
    number("position"),
    *life(),
)
unique_while_it_lives(categories, "name")
sa.Index("ix_categories_parent_id", categories.c.parent_id)

tags = sa.Table(
    "tags",
    metadata,
    key(),
    text("name"),
    text("display_name"),
    text("description", nullable=True),
    text("color", nullable=True),
    number("position"),
    sa.Column("rule", JSONB(none_as_null=True)),
    *life(),
)
unique_while_it_lives(tags, "name")

model_usage = sa.Table(
    "model_usage",
    metadata,
    sa.Column("day", sa.Date, primary_key=True),
    # No foreign key: routers tell late, and of models that are gone.
    sa.Column("model_id", sa.Uuid, primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
)

heard_usage = sa.Table(
    "heard_usage",
    metadata,
    sa.Column("event_id", sa.Uuid, primary_key=True),
    time("told_at"),
)
sa.Index("ix_heard_usage_told_at", heard_usage.c.told_at)
