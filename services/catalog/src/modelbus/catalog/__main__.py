"""`python -m modelbus.catalog serve|migrate|reseal`."""

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


def reseal() -> None:
    """Seal every credential anew under the first master key."""
    import asyncio

    from modelbus.catalog.actions import versions
    from modelbus.catalog.actions.credentials import reseal_credentials
    from modelbus.catalog.store.tables import SCHEMA, outbox
    from modelbus.chassis.database import Database
    from modelbus.chassis.secrets import Vault
    from modelbus.chassis.settings import DatabaseSettings, MasterKeySettings

    async def work() -> int:
        database = Database(
            DatabaseSettings().database_url.get_secret_value(), service=SCHEMA, outbox=outbox, finish=versions.write
        )
        try:
            async with database.transaction() as session:
                return await reseal_credentials(session, Vault(MasterKeySettings().master_keys.get_secret_value()))
        finally:
            await database.close()

    print(f"{asyncio.run(work())} credentials are sealed under the first master key")


if __name__ == "__main__":
    sys.exit(run("modelbus-catalog", serve=serve, migrate=migrate, reseal=reseal))
