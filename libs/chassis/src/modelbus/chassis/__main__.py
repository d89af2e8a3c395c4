"""The steps that precede every service: `python -m modelbus.chassis provision|topology`."""

import argparse
import asyncio
import json
import os
import sys

from modelbus.chassis.logs import configure_logs


def main() -> int:
    """Run one step; what it needs comes from the environment."""
    parser = argparse.ArgumentParser(prog="modelbus-chassis", description=__doc__)
    parser.add_argument("step", choices=["provision", "topology"])
    step = parser.parse_args().step
    configure_logs("chassis", "info", "json")
    try:
        asyncio.run(_provision() if step == "provision" else _topology())
    except KeyError as missing:
        print(f"{step} needs the environment variable {missing}", file=sys.stderr)
        return 2
    return 0


async def _provision() -> None:
    from modelbus.chassis.provision import provision

    passwords = json.loads(os.environ["MODELBUS_ROLE_PASSWORDS"])
    await provision(os.environ["MODELBUS_SUPERUSER_URL"], passwords)


async def _topology() -> None:
    import nats

    from modelbus.chassis import topology

    client = await nats.connect(os.environ["MODELBUS_NATS_URL"].split(","), connect_timeout=5, max_reconnect_attempts=5)
    try:
        await topology.ensure(client.jetstream(timeout=10))
    finally:
        await client.close()


if __name__ == "__main__":
    sys.exit(main())
