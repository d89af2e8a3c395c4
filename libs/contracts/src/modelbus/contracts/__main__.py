"""`python -m modelbus.contracts schemas FOLDER` writes the JSON Schema of every event."""

import argparse
import json
from pathlib import Path

from modelbus.contracts.schemas import EVENTS, schema_of, schema_path


def main() -> None:
    """Write the schemas of the present versions; those of older versions stay."""
    parser = argparse.ArgumentParser(prog="modelbus-contracts", description=__doc__)
    parser.add_argument("what", choices=["schemas"])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    for event in EVENTS:
        path = folder / schema_path(event)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(schema_of(event), indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
