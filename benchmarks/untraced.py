"""A router whose door knows nothing of traces: what `traces` compares those with that do."""

import sys

from modelbus.router.__main__ import serve
from modelbus.router.ingress.door import Door, Visit
from modelbus.router.journey.trip import Trip
from modelbus.router.ledger.entries import RequestEntry


def _untraced(_door: Door, _visit: Visit, _trip: Trip, entry: RequestEntry) -> RequestEntry:
    return entry


def main() -> int:
    """Serve without them."""
    Door._traced = _untraced  # type: ignore[assignment,method-assign]  # noqa: SLF001 - that there is nothing in its place
    serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
