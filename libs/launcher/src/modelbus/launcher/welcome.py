"""What a person reads once everything runs."""

from collections.abc import Iterable

from modelbus.launcher.demonstration import FIRST_MODEL
from modelbus.launcher.program import Program
from modelbus.launcher.services import Line

PLACEHOLDER = "$ACCESS_KEY"


def welcome(line: Line, programs: Iterable[Program], *, is_first: bool) -> str:
    """Say what runs where, what opens it, and what to try first; secrets are shown at the first start only."""
    rows = [f"  {program.name:<11}{_place(line, program):<38}process {program.pid}" for program in programs]
    key = line.secrets.access_key
    return "\n".join(
        [
            "",
            *rows,
            "",
            *(_secrets(line) if is_first else [f"  Tokens, keys and process ids: {line.home.endpoints}"]),
            "",
            *(_first_call(line, key if is_first and key else PLACEHOLDER) if key else []),
            "  Ctrl-C stops everything.",
        ]
    )


def _place(line: Line, program: Program) -> str:
    # Without the password: a terminal is looked at over shoulders.
    servers = {"nats": line.nats_url, "postgres": f"127.0.0.1:{line.settings.ports['postgres']}"}
    return servers[program.name] if program.name in servers else line.settings.url(program.name)


def _secrets(line: Line) -> list[str]:
    shown = {"Administrator's token": line.secrets.admin_token, "Access key": line.secrets.access_key}
    return [
        *(f"  {label + ':':<24}{secret}" for label, secret in shown.items() if secret),
        f"  Shown this once; they stay in {line.home.endpoints} while it runs.",
    ]


def _first_call(line: Line, key: str) -> list[str]:
    body = f'{{"model": "{FIRST_MODEL}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    return [
        f"  curl {line.settings.url('router')}/v1/chat/completions \\",
        f'    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\',
        f"    -d '{body}'",
        "",
    ]
