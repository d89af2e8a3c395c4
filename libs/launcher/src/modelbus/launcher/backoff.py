"""How long to wait before a program that died is started again."""

FIRST_S = 0.5
LONGEST_S = 30.0
STEADY_S = 60.0
"""A program that has lived this long starts over with the shortest delay."""


def next_delay(last_s: float, lived_s: float) -> float:
    """Double the last delay, up to the longest; zero stands for no delay yet."""
    if not last_s or lived_s >= STEADY_S:
        return FIRST_S
    return min(2 * last_s, LONGEST_S)
