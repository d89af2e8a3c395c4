"""The NATS server's users, as a file that its configuration includes; it holds no secret."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from modelbus.contracts.bus import STREAMS
from modelbus.contracts.bus_users import BusUser, team, users

HEADER = """\
# Written by `python -m modelbus.chassis nats-config`. Passwords come from the server's environment; quote them there,
# as the server reads a value that begins with a digit as a number.
"""


def nats_config(more: Iterable[BusUser] = ()) -> str:
    """Answer the block that says who may do what; `more` are users beside those of Modelbus itself."""
    blocks = "\n".join(_block(user) for user in (*users(), *more))
    return f"{HEADER}authorization {{\n  users: [\n{blocks}\n  ]\n}}\n"


def takes(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--output", type=Path, help="write there instead of to standard output")
    parser.add_argument(
        "--team",
        action="append",
        default=[],
        metavar="NAME=STREAM",
        help="a further user, which works off the durable consumer of its own name on that stream",
    )


def write_nats_config(output: Path | None, team: list[str]) -> None:
    """Write the users of the NATS server and what each of them may do."""
    text = nats_config(_team(each) for each in team)
    if output is None:
        print(text, end="")  # noqa: T201 - the answer itself
        return
    unfinished = output.with_name(f"{output.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(output)


def _team(given: str) -> BusUser:
    name, _, wanted = given.partition("=")
    for stream in STREAMS:
        if stream.name == wanted:
            return team(name, stream)
    raise ValueError(f"--team {given}: say NAME=STREAM with one of {', '.join(stream.name for stream in STREAMS)}")


def _block(user: BusUser) -> str:
    return f"""\
    {{
      user: {json.dumps(user.name)}
      password: ${user.password_variable}
      permissions: {{
        publish: {{allow: {_listed(user.publish)}}}
        subscribe: {{allow: {_listed(user.subscribe)}}}
      }}
    }}"""


def _listed(subjects: Iterable[str]) -> str:
    return "[\n" + "".join(f"          {json.dumps(subject)}\n" for subject in subjects) + "        ]"
