"""How hard a request can be, in five levels."""

LEVELS = ("trivial", "easy", "medium", "hard", "expert")
"""The easiest first."""


def harder(one: str, other: str | None) -> str:
    """Answer the harder of two levels."""
    return one if other is None or LEVELS.index(one) >= LEVELS.index(other) else other
