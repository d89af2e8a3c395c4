"""`python -m modelbus.integrity serve|migrate`."""

import sys

from modelbus.chassis.entry import run


def serve() -> None:
    """Serve integrity."""
    from modelbus.chassis import service
    from modelbus.integrity.app import create_app
    from modelbus.integrity.settings import Settings

    settings = Settings()
    service.start(create_app, settings, name="integrity")


def migrate() -> None:
    """Bring the schema up to date."""
    from modelbus.chassis.migrations import migrate
    from modelbus.chassis.settings import DatabaseSettings

    url = DatabaseSettings().database_url
    migrate("modelbus.integrity", url.get_secret_value(), "integrity")


if __name__ == "__main__":
    sys.exit(run("modelbus-integrity", serve=serve, migrate=migrate))
