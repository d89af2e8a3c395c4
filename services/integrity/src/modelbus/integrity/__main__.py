"""`python -m modelbus.integrity serve|migrate|openapi FILE`."""

import sys
from pathlib import Path

from modelbus.chassis.entry import run, takes_file


def serve() -> None:
    """Serve integrity."""
    from modelbus.chassis import service
    from modelbus.integrity.app import create_app
    from modelbus.integrity.settings import Settings

    settings = Settings()
    service.start(create_app, settings, name="integrity")


def migrate() -> None:
    """Bring the schema up to date."""
    from modelbus.chassis.migrations import migrate_service

    migrate_service("integrity")


def openapi(file: Path) -> None:
    """Write what OpenAPI says of integrity to a file."""
    from modelbus.chassis.documents import write_document
    from modelbus.integrity.app import create_app
    from modelbus.integrity.settings import Settings

    write_document(create_app, Settings, file)


if __name__ == "__main__":
    sys.exit(run("modelbus-integrity", {"openapi": takes_file}, serve=serve, migrate=migrate, openapi=openapi))
