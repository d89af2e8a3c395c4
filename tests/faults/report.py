"""The table of faults: what was seen of each, as Markdown; of a fault that was not caused, what was seen last."""

from collections import Counter
from collections.abc import Iterable
from math import inf
from pathlib import Path
from textwrap import fill

from faults.known import FAULTS, Fault
from faults.trial import Seen

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- The table is written by make faults. -->\n", "<!-- End of the table. -->"

HEAD = (
    "| fault | requests | unanswered | longest | changes | not made | worst staleness | promised | all well after |",
    "|---|---|---|---|---|---|---|---|---|",
)
STALENESS = 6
"""The column."""
WIDTH = 130


def write_table(trials: Iterable[Seen]) -> None:
    """Put what was seen into the documents, in place of what was seen of the same faults before."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table(old, trials)}\n{END}{after}")


def table(old: str, trials: Iterable[Seen]) -> str:
    """Answer a line for each fault of which there is one, and below them which promises were missed."""
    lines = {name: line for line in old.splitlines() if (name := _cells(line)[0]) in {each.name for each in FAULTS}}
    lines |= {seen.fault.name: _line(seen) for seen in trials}
    shown = [(fault, lines[fault.name]) for fault in FAULTS if fault.name in lines]
    return "\n".join([*HEAD, *(line for _, line in shown), "", _missed(shown)])


def _missed(shown: Iterable[tuple[Fault, str]]) -> str:
    seen = [(fault, float(_cells(line)[STALENESS].removesuffix(" s"))) for fault, line in shown]
    missed = [f"{fault.name} ({worst:.1f} s)" for fault, worst in seen if worst > (fault.promised_s or inf)]
    return fill(f"Promised and missed: {'; '.join(missed) or 'none'}.", WIDTH)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _line(seen: Seen) -> str:
    cells = (
        seen.fault.name,
        str(seen.asked),
        _counted(seen.failed + seen.refused),
        f"{seen.longest_s:.2f} s",
        str(seen.commits),
        str(seen.refused_writes),
        f"{seen.worst_s:.1f} s",
        "-" if seen.fault.promised_s is None else f"{seen.fault.promised_s:.0f} s",
        f"{seen.recovered_s:.1f} s",
    )
    return f"| {' | '.join(cells)} |"


def _counted(what: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(what.items())) or "0"
