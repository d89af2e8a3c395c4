"""The services and the steps before them: which command, and what each may know."""

import json
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from modelbus.launcher.asking import answers
from modelbus.launcher.home import Home
from modelbus.launcher.leftovers import VARIABLE
from modelbus.launcher.program import Program, Step
from modelbus.launcher.secrets import ROLES, Secrets
from modelbus.launcher.settings import Settings

DATABASE = "modelbus"
SERVICES = ("catalog", "router", "sync", "integrity")
OPENING_SECRETS = ("catalog", "router", "sync")
"""Those that seal or open credentials."""


class Service(Program):
    """A program that answers HTTP, and says so on one of its paths."""

    def __init__(self, name: str, home: Home, arguments: list[str], environment: Mapping[str, str], ready: str) -> None:
        super().__init__(name, home.log(name))
        self._arguments, self._environment, self._ready = arguments, environment, ready

    def command(self) -> list[str]:
        """Name the service's module and its arguments."""
        return [sys.executable, "-m", f"modelbus.{self.name}", *self._arguments]

    def environment(self) -> Mapping[str, str]:
        """What the service sees."""
        return self._environment

    def is_ready(self) -> bool:
        """Ask it."""
        return self.is_running and answers(self._ready)


class Line:
    """Everything that is started after the servers, as the settings and secrets of this installation have it."""

    def __init__(self, settings: Settings, home: Home, secrets: Secrets, nats_url: str, superuser_url: str) -> None:
        self.settings, self.home, self.secrets = settings, home, secrets
        self.nats_url, self.superuser_url = nats_url, superuser_url

    def provision(self) -> Step:
        """Create the database, and a role and a schema per service."""
        passwords = json.dumps(self.secrets.role_passwords)
        known = {"MODELBUS_SUPERUSER_URL": self.superuser_url, "MODELBUS_ROLE_PASSWORDS": passwords}
        return self._step("provision", ["modelbus.chassis", "provision"], known)

    def topology(self) -> Step:
        """Create streams and consumers."""
        return self._step("topology", ["modelbus.chassis", "topology"], self._bus("operator"))

    def migrations(self) -> list[Step]:
        """Bring every schema up to date."""
        return [
            self._step(f"{role}-migrate", [f"modelbus.{role}", "migrate"], self._service_environment(role))
            for role in ROLES
        ]

    def services(self) -> list[Service]:
        """Everything that serves, the simulator included."""
        served = [
            Service(name, self.home, ["serve"], self._service_environment(name), self._url(name, "/health/ready"))
            for name in SERVICES
        ]
        listen = ["--host", self.settings.host, "--port", str(self.settings.ports["simulator"])]
        ready = self._url("simulator", "/_control")
        return [*served, Service("simulator", self.home, ["serve", *listen], self._environment({}), ready)]

    def _url(self, name: str, path: str) -> str:
        return self.settings.url(name) + path

    def _step(self, name: str, module: list[str], known: Mapping[str, str]) -> Step:
        return Step(name, self.home.log(name), [sys.executable, "-m", *module], self._environment(known))

    def _service_environment(self, name: str) -> dict[str, str]:
        state = self.home.state(name)
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        common = {
            "MODELBUS_HOST": self.settings.host,
            "MODELBUS_PORT": str(self.settings.ports[name]),
            **self._bus(name),
            "MODELBUS_ADMIN_TOKEN": self.secrets.admin_token,
            "MODELBUS_SERVICE_TOKEN": self.secrets.service_token,
            "MODELBUS_STATE_DIR": str(state),
        }
        for called in ("sync", "integrity") if name == "catalog" else ("catalog",):
            common[f"MODELBUS_{called.upper()}_URL"] = self.settings.url(called)
        if name in OPENING_SECRETS:
            common["MODELBUS_MASTER_KEYS"] = self.secrets.master_key
        return self._environment({**common, **self._database(name)})

    def _bus(self, user: str) -> dict[str, str]:
        password = self.secrets.bus_passwords[user]
        return {"MODELBUS_NATS_URL": self.nats_url, "MODELBUS_NATS_USER": user, "MODELBUS_NATS_PASSWORD": password}

    def bus_url(self, user: str) -> str:
        """Where the user enters NATS, password included."""
        return self.nats_url.replace("//", f"//{user}:{self.secrets.bus_passwords[user]}@")

    def _database(self, name: str) -> dict[str, str]:
        if name not in ROLES:
            return {}
        server = urlsplit(self.superuser_url)
        way_in = f"{name}:{self.secrets.role_passwords[name]}@{server.hostname}:{server.port}"
        return {"MODELBUS_DATABASE_URL": f"postgresql://{way_in}/{DATABASE}"}

    def _environment(self, known: Mapping[str, str]) -> dict[str, str]:
        return {**environment(self.settings, self.home), **known}


def bus_users(settings: Settings, home: Home) -> Step:
    """Write who may do what on NATS; before NATS itself is started."""
    command = [sys.executable, "-m", "modelbus.chassis", "nats-config", "--output", str(home.bus_users)]
    return Step("nats-config", home.log("nats-config"), command, environment(settings, home))


def environment(settings: Settings, home: Home) -> dict[str, str]:
    """Answer what everything that we start sees."""
    # Unbuffered, so that the log holds the last words of a program that was killed.
    return {**settings.environment, VARIABLE: str(home.path), "PYTHONUNBUFFERED": "1"}
