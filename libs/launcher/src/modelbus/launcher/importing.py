"""Importing the tables of older systems into what runs, through the catalog's REST API, and telling what came of it."""

from pathlib import Path
from typing import Any

import httpx

from modelbus.launcher.backup import catalog_of, refuse_refusal
from modelbus.launcher.errors import BackupFailedError
from modelbus.launcher.home import Home

CALM = ("created", "changed", "unchanged")
"""What may come of an entry without anybody having to look at it."""


def import_file(home: Home, file: Path, *, shape: str | None, dry_run: bool) -> None:
    """Import the file, and print what came of each entry that needs a look, and how many of each there were.

    Raises:
        BackupFailedError: nothing runs, or the catalog can't read the file; then nothing was changed.
    """
    media_type = "text/csv" if file.suffix.lower() == ".csv" else "application/json"
    query = {"dry_run": str(dry_run).lower(), **({"shape": shape} if shape else {})}
    with catalog_of(home) as catalog:
        try:
            with file.open("rb") as body:
                answer = catalog.post(
                    "/api/v1/import", content=body, params=query, headers={"Content-Type": media_type}
                )
        except OSError as error:
            raise BackupFailedError(f"{file} can't be read: {error.strerror}") from error
        except httpx.HTTPError as error:
            raise BackupFailedError(f"the catalog does not answer: {error!r}") from error
        refuse_refusal(answer)
    _tell(answer.json())


def _tell(report: dict[str, Any]) -> None:
    for line in report["items"]:
        if line["outcome"] in CALM and not line["message"]:
            continue
        near = f"; perhaps {', '.join(line['near'])}" if line["near"] else ""
        print(f"{line['place']}: {line['outcome']} {line['entry']} - {line['message']}{near}")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report["counts"].items() if count)
    print(f"{'Would be' if report['dry_run'] else 'Done'}: {counts or 'nothing to do'}")
