"""`python -m modelbus.router serve|openapi FILE`."""

import sys
from pathlib import Path

from modelbus.chassis.entry import run, takes_file


def serve() -> None:
    """Serve the callers."""
    from modelbus.chassis import service
    from modelbus.router.app import create_app
    from modelbus.router.settings import Settings

    service.start(create_app, Settings(), name="router")


def openapi(file: Path) -> None:
    """Write what OpenAPI says of router to a file."""
    from modelbus.chassis.documents import write_document
    from modelbus.router.app import create_app
    from modelbus.router.settings import Settings

    write_document(create_app, Settings, file)


if __name__ == "__main__":
    sys.exit(run("modelbus-router", {"openapi": takes_file}, serve=serve, openapi=openapi))
