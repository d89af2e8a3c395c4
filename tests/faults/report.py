"""The table of faults: what was seen of each, as Markdown."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from faults.trial import Seen

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- The table is written by make faults. -->\n", "<!-- End of the table. -->"

HEAD = (
    "| fault | requests | without an answer | longest answer | changes | not made | worst staleness | all well after |",
    "|---|---|---|---|---|---|---|---|",
)


def table(trials: Iterable[Seen]) -> str:
    """Answer a line for each fault."""
    return "\n".join([*HEAD, *(_line(seen) for seen in trials)])


def write_table(trials: Iterable[Seen]) -> None:
    """Put the table into the documents, in place of the one before."""
    text = f"{BEGIN}{table(trials)}\n{END}"
    PAGE.write_text(re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: text, PAGE.read_text(), flags=re.DOTALL))


def _line(seen: Seen) -> str:
    cells = (
        seen.fault.name,
        str(seen.asked),
        _counted(seen.failed + seen.refused),
        f"{seen.longest_s:.2f} s",
        str(seen.commits),
        str(seen.refused_writes),
        f"{seen.worst_s:.1f} s",
        f"{seen.recovered_s:.1f} s",
    )
    return f"| {' | '.join(cells)} |"


def _counted(what: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(what.items())) or "0"
