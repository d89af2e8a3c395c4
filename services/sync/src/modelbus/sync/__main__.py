"""`python -m modelbus.sync serve|migrate`."""

import sys

from modelbus.chassis.entry import run


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
    from modelbus.chassis.migrations import migrate
    from modelbus.chassis.settings import DatabaseSettings

    url = DatabaseSettings().database_url
    migrate("modelbus.sync", url.get_secret_value(), "sync")


if __name__ == "__main__":
    sys.exit(run("modelbus-sync", serve=serve, migrate=migrate))
