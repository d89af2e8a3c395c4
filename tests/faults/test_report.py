"""The table of faults keeps what was seen last, and says what was promised and missed."""

from collections import Counter

from faults.known import BY_NAME, FAULTS, Fault
from faults.report import table
from faults.trial import Seen

FIRST, SECOND = FAULTS[:2]
ALONE = BY_NAME["a router is killed, all else frozen"]
PROMISED_S = 5.0


def seen(worst_s: float, fault: Fault = FIRST) -> Seen:
    return Seen(fault, 10, Counter(), Counter(), 0.1, 5, 0, worst_s, 1.0)


def test_a_fault_that_was_not_caused_keeps_its_line_and_one_that_is_no_more_loses_it() -> None:
    kept = f"| {SECOND.name} | 10 | 0 | 0.10 s | 5 | 0 | 0.5 s | 5 s | 1.0 s |"

    lines = table(f"{kept}\n{kept.replace(SECOND.name, 'the moon is killed')}", [seen(0.5)]).splitlines()

    assert lines[2:4] == [kept.replace(SECOND.name, FIRST.name), kept]
    assert "the moon is killed" not in "\n".join(lines)


def test_what_is_above_its_promise_is_named_below_the_table() -> None:
    assert table("", [seen(PROMISED_S)]).endswith("Promised and missed: none.")
    assert table("", [seen(PROMISED_S + 0.1)]).endswith(f"{FIRST.name} ({PROMISED_S + 0.1:.1f} s).")


def test_where_nothing_is_promised_nothing_is_missed() -> None:
    told = table("", [seen(60.0, ALONE)])

    assert "| 60.0 s | - |" in told
    assert told.endswith("Promised and missed: none.")
