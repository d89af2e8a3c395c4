"""`python -m modelbus.catalog serve|migrate`."""

import sys

from modelbus.chassis.entry import run


def serve() -> None:
    """Serve the catalog."""
    from modelbus.catalog.app import create_app
    from modelbus.catalog.settings import Settings
    from modelbus.chassis import service

    settings = Settings()
    service.start(create_app, settings, name="catalog")


def migrate() -> None:
    """Bring the schema up to date."""
    from modelbus.chassis.migrations import migrate
    from modelbus.chassis.settings import DatabaseSettings

    url = DatabaseSettings().database_url
    migrate("modelbus.catalog", url.get_secret_value(), "catalog")


if __name__ == "__main__":
    sys.exit(run("modelbus-catalog", serve=serve, migrate=migrate))
