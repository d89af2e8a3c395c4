"""The steps that precede every service: `python -m modelbus.chassis nats-config|provision|topology`."""

import asyncio
import json
import sys

from modelbus.chassis import entry, nats_config


def main() -> int:
    """Run one step; what it needs comes from the environment."""
    return entry.run(
        "modelbus-chassis",
        {"nats_config": nats_config.takes},
        nats_config=nats_config.write_nats_config,
        provision=provision,
        topology=topology,
    )


def provision() -> None:
    """Create database, roles and schemas; may run as often as one likes."""
    from modelbus.chassis.logs import configure_logs
    from modelbus.chassis.provision import provision
    from modelbus.chassis.settings import ProvisionSettings

    configure_logs("chassis", "info", "json")
    settings = ProvisionSettings()
    passwords = json.loads(settings.role_passwords.get_secret_value())
    asyncio.run(provision(settings.superuser_url.get_secret_value(), passwords))


def topology() -> None:
    """Create or update streams and consumers; may run as often as one likes."""
    from modelbus.chassis.logs import configure_logs

    configure_logs("chassis", "info", "json")
    asyncio.run(_topology())


async def _topology() -> None:
    import nats

    from modelbus.chassis import topology
    from modelbus.chassis.settings import BusSettings

    settings = BusSettings()
    access = settings.access()
    client = await nats.connect(
        list(access.servers),
        user=access.user,
        password=access.password,
        tls=access.tls.context(),
        tls_handshake_first=access.tls.is_first,
        inbox_prefix=access.inbox_prefix,
        connect_timeout=5,
        max_reconnect_attempts=5,
    )
    try:
        await topology.ensure(client.jetstream(timeout=10), settings.keeping())
    finally:
        await client.close()


if __name__ == "__main__":
    sys.exit(main())
