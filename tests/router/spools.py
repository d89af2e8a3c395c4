"""What a router has written of its requests and not told yet."""

import json
from pathlib import Path
from typing import Any

from modelbus.router.ledger.packing import batch_of


def spooled(state_dir: Path) -> list[Any]:
    """Answer the requests on disk, as they will be told."""
    files = sorted((state_dir / "usage").glob("*.spool"))
    lines = [line for path in files for line in path.read_bytes().splitlines(keepends=True)]
    batches = [batch for line in lines if (batch := batch_of(line)) is not None]
    return [request for batch in batches for request in json.loads(batch.body)["requests"]]
