"""`python -m modelbus.simulator serve` runs the simulator until SIGTERM or SIGINT."""

import argparse
import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime

from modelbus.simulator.app import running_simulator


def main() -> None:
    """Read flags and environment, then serve."""
    parser = argparse.ArgumentParser(prog="python -m modelbus.simulator", description=__doc__)
    serve = parser.add_subparsers(dest="command", required=True).add_parser("serve", help="run the simulator")
    serve.add_argument("--host", default=os.environ.get("MODELBUS_SIMULATOR_HOST", "127.0.0.1"))
    serve.add_argument("--port", type=int, default=os.environ.get("MODELBUS_SIMULATOR_PORT", "9100"))
    wishes = parser.parse_args()
    try:
        asyncio.run(_serve(wishes.host, wishes.port))
    except (OSError, OverflowError) as error:
        sys.exit(f"cannot listen on {wishes.host}:{wishes.port}: {error}")


async def _serve(host: str, port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with running_simulator(port, host) as simulator:
        at = datetime.now(UTC).isoformat()
        line = {"at": at, "level": "info", "event": "simulator_ready", "url": simulator.url}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    main()
