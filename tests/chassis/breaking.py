"""What the SQL of a migration does that the previous version, which still serves, does not survive."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

BREAKING = {
    "drops what is used": r"^DROP (TABLE|SCHEMA|VIEW|SEQUENCE|FUNCTION|TYPE)\b",
    "drops a column": r"^ALTER TABLE \S+ DROP (?!CONSTRAINT\b)",
    "renames": r"\bRENAME\b",
    "changes a type": r"\bALTER (COLUMN )?\S+ (SET DATA )?TYPE\b",
    "demands a value that the previous version does not write": r"\bSET NOT NULL$",
    "adds a column that the previous version does not fill": r"\bADD COLUMN (?!.*\b(DEFAULT|GENERATED)\b).*NOT NULL",
    "fills in nothing where the previous version relies on it": r"\bDROP (DEFAULT|IDENTITY)\b",
    "lets in what the previous version does not expect": r"\bDROP NOT NULL$|^ALTER TABLE \S+ DROP CONSTRAINT\b",
    "drops what `ON CONFLICT` may name": r"^DROP INDEX \S*\buq_",
    "keeps writers of a table that grows waiting: IF NOT EXISTS, and by hand before": (
        r"^CREATE (UNIQUE )?INDEX (?!IF NOT EXISTS )\S+ ON \w+\.(audit|versions|outbox|runs)\b"
    ),
}
RULE = r"^CREATE UNIQUE INDEX\b|\bADD (CONSTRAINT|CHECK|UNIQUE|PRIMARY KEY|FOREIGN KEY|EXCLUDE)\b"
"""What refuses rows from now on; `NOT VALID` spares those that are there, and not those that are still written."""
COLUMN = r"^ALTER TABLE (\S+) ADD COLUMN (\w+) (.*)"
TABLE = r"^(?:ALTER TABLE|CREATE TABLE|CREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?\S+ ON) (\S+)"


@dataclass(slots=True)
class _Made:
    """What the migration itself makes, of which the previous version knows nothing."""

    tables: set[str] = field(default_factory=set)
    empty: set[tuple[str, str]] = field(default_factory=set)
    """Columns that are null wherever the previous version writes."""
    off: set[tuple[str, str]] = field(default_factory=set)
    """Columns that are false there."""

    @classmethod
    def by(cls, statements: list[str]) -> Self:
        made = cls()
        for statement in statements:
            if found := re.match(COLUMN, statement, re.IGNORECASE):
                table, column, rest = found.groups()
                if not re.search(r"\b(DEFAULT|GENERATED)\b", rest, re.IGNORECASE):
                    made.empty.add((table, column))
                elif re.search(r"\bDEFAULT false\b", rest, re.IGNORECASE):
                    made.off.add((table, column))
            elif re.match("CREATE TABLE", statement, re.IGNORECASE):
                made.tables.add(_table(statement))
        return made

    def is_apart(self, rule: str) -> bool:
        """Tell whether the rule holds for every row that the previous version writes, as it is about new columns."""
        table = _table(rule)
        compared, _, condition = rule.partition(" WHERE ")
        if any(table == of and re.search(rf"(?<!NOT )\b{column}\b", condition) for of, column in self.off):
            return True
        about_null = re.search("NULLS NOT DISTINCT|IS NOT NULL|PRIMARY KEY", compared, re.IGNORECASE)
        return not about_null and any((table, word) in self.empty for word in re.findall(r"\w+", compared))


def breakages(sql: str) -> list[str]:
    """Tell what the previous version does not survive."""
    statements = list(_statements(sql))
    made = _Made.by(statements)
    found = []
    for statement in statements:
        if _table(statement) in made.tables:
            continue
        found += [what for what, pattern in BREAKING.items() if re.search(pattern, statement, re.IGNORECASE)]
        if re.search(RULE, statement, re.IGNORECASE) and not made.is_apart(statement):
            found.append("adds a rule that the previous version may break")
    return found


def _statements(sql: str) -> Iterator[str]:
    """Answer statements in one shape: on one line, without words that may be left out, each with one action."""
    added = r"^ADD (?!COLUMN|CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)"
    for raw in re.sub(r"--.*", "", sql).split(";"):
        statement = re.sub(r" (IF EXISTS|(?<!INDEX )IF NOT EXISTS|ONLY|CONCURRENTLY)\b", "", " ".join(raw.split()))
        if not (altered := re.match(r"ALTER TABLE \S+ ", statement, re.IGNORECASE)):
            yield statement
            continue
        for action in re.split(r", (?=(?:ADD|ALTER|DROP)\b)", statement[altered.end() :], flags=re.IGNORECASE):
            yield altered[0] + re.sub(added, "ADD COLUMN ", action, flags=re.IGNORECASE)


def _table(statement: str) -> str:
    found = re.match(TABLE, statement, re.IGNORECASE)
    return found[1] if found else ""
