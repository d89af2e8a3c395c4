"""`python -m modelbus.router serve`."""

import sys

from modelbus.chassis.entry import run


def serve() -> None:
    """Serve the callers."""
    from modelbus.chassis import service
    from modelbus.router.app import create_app
    from modelbus.router.settings import Settings

    service.start(create_app, Settings(), name="router")


if __name__ == "__main__":
    sys.exit(run("modelbus-router", serve=serve))
