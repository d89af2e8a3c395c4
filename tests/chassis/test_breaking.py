"""What the previous version does not survive of a migration is told from what it does."""

import pytest

from chassis.breaking import breakages

ALTER = "ALTER TABLE sync.watches"
IS_LAST = f"{ALTER} ADD COLUMN is_last BOOLEAN DEFAULT false NOT NULL"
SURVIVED = [
    f"{ALTER} ADD COLUMN note TEXT DEFAULT '' NOT NULL",
    f"{ALTER} ADD COLUMN note TEXT",
    f"{ALTER} ADD note NUMERIC(10, 2), ADD remark TEXT DEFAULT '' NOT NULL",
    f"{ALTER} ADD COLUMN note_id UUID; {ALTER} ADD CONSTRAINT fk FOREIGN KEY(note_id) REFERENCES sync.notes (id)",
    f"{ALTER} ADD COLUMN note TEXT; CREATE UNIQUE INDEX uq_watches_note ON sync.watches (supplier_id, note)",
    f"{IS_LAST}; CREATE UNIQUE INDEX uq_watches_last ON sync.watches (supplier_id) WHERE is_last",
    f"{ALTER} ALTER COLUMN note SET DEFAULT ''",
    "CREATE TABLE sync.notes (note TEXT NOT NULL)",
    "CREATE TABLE sync.notes (note TEXT); CREATE UNIQUE INDEX uq_notes ON sync.notes (note)",
    "CREATE TABLE sync.notes (note TEXT); ALTER TABLE sync.notes ADD CONSTRAINT is_short CHECK (length(note) < 9)",
    "CREATE INDEX ix_watches_note ON sync.watches (note)",
    "CREATE INDEX IF NOT EXISTS ix_runs_note ON sync.runs (note)",
    "DROP INDEX sync.ix_watches_note",
    "-- Running upgrade: DROP TABLE sync.watches",
]
NOT_SURVIVED = [
    f"{ALTER} DROP COLUMN note",
    f"{ALTER} DROP note",
    f"{ALTER} ADD COLUMN remark TEXT, DROP COLUMN IF EXISTS note",
    f"{ALTER} RENAME note TO remark",
    f"{ALTER} ALTER COLUMN note TYPE INTEGER",
    f"{ALTER}\n  ALTER note SET DATA TYPE INTEGER",
    f"{ALTER} ALTER COLUMN note SET NOT NULL",
    f"{ALTER} ALTER COLUMN note DROP NOT NULL",
    f"{ALTER} ALTER COLUMN note DROP DEFAULT",
    f"{ALTER} ADD COLUMN note TEXT NOT NULL",
    f"{ALTER} ADD note TEXT NOT NULL, ADD COLUMN remark TEXT DEFAULT ''",
    f"{ALTER} ADD CONSTRAINT is_short CHECK (length(note) < 9)",
    f"{ALTER} ADD CONSTRAINT is_short CHECK (length(note) < 9) NOT VALID",
    f"{ALTER} ADD CHECK (length(note) < 9)",
    f"{ALTER} ADD CONSTRAINT uq_watches_note UNIQUE (note)",
    f"{ALTER} ADD CONSTRAINT ex_watches EXCLUDE USING gist (span WITH &&)",
    f"{ALTER} ADD CONSTRAINT fk_watches_note FOREIGN KEY(note) REFERENCES sync.notes (note) NOT VALID",
    f"{ALTER} DROP CONSTRAINT is_short",
    f"{ALTER} ADD COLUMN note TEXT; {ALTER} ADD CONSTRAINT is_there CHECK (note IS NOT NULL)",
    f"{ALTER} ADD COLUMN note TEXT; CREATE UNIQUE INDEX uq_watches ON sync.watches (note, number) NULLS NOT DISTINCT",
    f"{IS_LAST}; CREATE UNIQUE INDEX uq_watches_last ON sync.watches (supplier_id) WHERE NOT is_last",
    "ALTER TABLE sync.notes ADD COLUMN note TEXT; CREATE UNIQUE INDEX uq_watches_note ON sync.watches (note)",
    "CREATE UNIQUE INDEX CONCURRENTLY uq_watches_note ON sync.watches (note)",
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_watches_note ON sync.watches (note)",
    "CREATE INDEX ix_runs_note ON sync.runs (note)",
    "DROP INDEX sync.uq_watches_note",
    "DROP TABLE sync.watches",
    "DROP SEQUENCE sync.numbers",
]


@pytest.mark.parametrize(
    ("sql", "is_breaking"), [*((each, False) for each in SURVIVED), *((each, True) for each in NOT_SURVIVED)]
)
def test_what_the_previous_version_does_not_survive_is_told_from_what_it_does(sql: str, *, is_breaking: bool) -> None:
    assert len(breakages(sql)) == is_breaking
