"""`python -m modelbus.sync serve|migrate|openapi FILE`."""

import sys
from pathlib import Path

from modelbus.chassis.entry import run, takes_file


def serve() -> None:
    """Serve sync."""
    from modelbus.sync.settings import Settings

    settings = Settings()
    # Only now: a wrong setting shall be told at once, and the rest takes a second to load.
    from modelbus.chassis import service
    from modelbus.sync.app import create_app

    service.start(create_app, settings, name="sync")


def migrate() -> None:
    """Bring the schema up to date."""
    from modelbus.chassis.migrations import migrate_service

    migrate_service("sync")


def openapi(file: Path) -> None:
    """Write what OpenAPI says of sync to a file."""
    from modelbus.chassis.documents import write_document
    from modelbus.sync.app import create_app
    from modelbus.sync.settings import Settings

    write_document(create_app, Settings, file)


if __name__ == "__main__":
    sys.exit(run("modelbus-sync", {"openapi": takes_file}, serve=serve, migrate=migrate, openapi=openapi))
