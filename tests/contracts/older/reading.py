"""Run with an older contracts package before the present one: reads events from standard input as that version does.

In: a JSON object of types to lists of bodies. Out: the same types with what the older classes have understood.
"""

import json
import sys

from modelbus.contracts import schemas
from modelbus.contracts.event import read_event


def main() -> None:
    known = {event.type: event for event in schemas.EVENTS}
    heard = {
        name: [read_event(known[name], json.dumps(body).encode()).model_dump(mode="json") for body in bodies]
        for name, bodies in json.load(sys.stdin).items()
        if name in known
    }
    versions = {name: event.version for name, event in known.items()}
    json.dump({"package": schemas.__file__, "versions": versions, "heard": heard}, sys.stdout)


if __name__ == "__main__":
    main()
