"""`python -m modelbus.contracts schemas FOLDER` writes the JSON Schema of every event, `asyncapi FILE` all in one."""

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modelbus.contracts.asyncapi import asyncapi
from modelbus.contracts.schemas import EVENTS, schema_of, schema_path


def main() -> None:
    """Write the schemas of the present versions, or the AsyncAPI document; schemas of older versions stay."""
    parser = argparse.ArgumentParser(prog="modelbus-contracts", description=__doc__)
    parser.add_argument("what", choices=["schemas", "asyncapi"])
    parser.add_argument("place", type=Path)
    wishes = parser.parse_args()
    if wishes.what == "asyncapi":
        _write(wishes.place, asyncapi(version("modelbus-contracts")), in_order=False)
        return
    for event in EVENTS:
        _write(wishes.place / schema_path(event), schema_of(event), in_order=True)


def _write(path: Path, document: dict[str, Any], *, in_order: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, sort_keys=in_order) + "\n")


if __name__ == "__main__":
    main()
