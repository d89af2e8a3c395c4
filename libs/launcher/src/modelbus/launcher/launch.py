"""The start, in its order: what must hold, the servers, their contents, the services, the demonstration."""

import json
import os
from dataclasses import replace
from pathlib import Path

from modelbus.launcher.account import unprivileged_account
from modelbus.launcher.endpoints import write_endpoints
from modelbus.launcher.files import write_private
from modelbus.launcher.fleet import Fleet
from modelbus.launcher.guarding import Guard
from modelbus.launcher.home import Home
from modelbus.launcher.interrupts import Interrupts, StopRequested
from modelbus.launcher.leftovers import VARIABLE, stop_leftovers
from modelbus.launcher.lock import Lock
from modelbus.launcher.nats import NatsServer
from modelbus.launcher.ports import check_free
from modelbus.launcher.postgres import PostgresServer
from modelbus.launcher.preparation import fingerprint, is_prepared
from modelbus.launcher.progress import Progress
from modelbus.launcher.secrets import Secrets, load_secrets, save_secrets
from modelbus.launcher.services import Line, bus_users
from modelbus.launcher.settings import Settings
from modelbus.launcher.welcome import welcome

SERVERS_S = 60.0
"""PostgreSQL may have to replay its log after a crash."""
SERVICES_S = 60.0


def up(settings: Settings) -> None:
    """Start everything, watch it until somebody wants an end, and stop it; raises LaunchError if it can't start."""
    progress, interrupts, home = Progress(), Interrupts(), Home(settings.home)
    home.prepare()
    lock = Lock(home.lock)
    try:
        lock.take(progress, interrupts.pause)
        Launch(settings, home, lock, progress, interrupts).run()
    except StopRequested:
        progress.say("Stopped")
    finally:
        lock.release()


class Launch:
    """One run of everything, from the lock on."""

    def __init__(self, settings: Settings, home: Home, lock: Lock, progress: Progress, interrupts: Interrupts) -> None:
        self.settings, self.home, self.lock = settings, home, lock
        self.progress, self.pause = progress, interrupts.pause
        self.guard = Guard(home.path, lock.descriptor)
        self.fleet = Fleet(self.guard, progress, self.pause)
        self._is_first = not home.secrets.exists()

    def run(self) -> None:
        """Start, watch and, whatever happens, stop."""
        # By this mark the guard and the next launcher know what is ours.
        os.environ[VARIABLE] = str(self.home.path)
        # A launcher that was killed has left its own behind; whoever waits for ours must not read that.
        self.home.endpoints.unlink(missing_ok=True)
        self._check()
        self.guard.start([])
        try:
            line = self._raise_all()
            self.fleet.watch(lambda: write_endpoints(line, self.fleet.programs))
        except StopRequested:
            self.progress.say("Stopping")
            raise
        finally:
            self.lock.announce_leaving()
            self.home.endpoints.unlink(missing_ok=True)
            self.fleet.stop()

    def _check(self) -> None:
        if count := stop_leftovers(self.home.path):
            self.progress.say(f"Stopped {count} programs that a killed launcher had left behind")
        for name, port in self.settings.ports.items():
            check_free(name, self.settings.host_of(name), port)
        self.progress.say(f"Everything lives in {self.home.path}; the ports are free")

    def _raise_all(self) -> Line:
        line = self._start_servers()
        self._prepare_contents(line)
        self._start_services(line)
        if self.settings.is_seeded:
            self._seed(line)
        write_endpoints(line, self.fleet.programs)
        self.progress.say("Everything is ready")
        self.progress.show(welcome(line, self.fleet.programs, is_first=self._is_first))
        return line

    def _start_servers(self) -> Line:
        steps = [] if is_prepared(self.home, self.settings.environment) else [bus_users(self.settings, self.home)]
        self.fleet.begin(*steps)
        postgres, secrets = self._make_postgres()
        self.fleet.finish(*steps)
        log = self.home.log("nats")
        nats = NatsServer(self.home.nats, self.settings.ports["nats"], log=log, passwords=secrets.bus_passwords)
        nats.prepare()
        self.fleet.start(nats)
        self.fleet.start(postgres)
        self.fleet.await_ready(nats, postgres, within_s=SERVERS_S)
        if corruption := nats.corruption():
            raise nats.fail(corruption)
        self.progress.say("PostgreSQL and NATS are ready")
        return Line(self.settings, self.home, secrets, nats.url, postgres.url)

    def _make_postgres(self) -> tuple[PostgresServer, Secrets]:
        place = self._place_postgres()
        has_data = (place / "data").exists()
        secrets = load_secrets(self.home.secrets, has_data=has_data)
        if not has_data:
            self.progress.say("Creating the database, once")
        port, log = self.settings.ports["postgres"], self.home.log("postgres")
        postgres = PostgresServer(place, port, secrets.postgres_password, log=log)
        postgres.prepare(self.fleet.run)
        return postgres, secrets

    def _place_postgres(self) -> Path:
        place = self.home.place_postgres(unprivileged_account())
        if place != self.home.postgres:
            self.progress.say(f"PostgreSQL's data is in {place}: its account may not enter {self.home.path}")
        return place

    def _prepare_contents(self, line: Line) -> None:
        if is_prepared(self.home, self.settings.environment):
            return
        topology = line.topology()
        self.fleet.begin(topology)
        self.fleet.run(line.provision())
        self.fleet.run(*line.migrations())
        self.fleet.finish(topology)
        write_private(self.home.prepared, fingerprint(self.settings.environment))
        self.progress.say("Database and streams are up to date")

    def _start_services(self, line: Line) -> None:
        services = line.services()
        for service in services:
            self.fleet.start(service)
        self.fleet.await_ready(*services, within_s=SERVICES_S)
        self.progress.say("All services are ready")

    def _seed(self, line: Line) -> None:
        simulator_url = self.settings.url("simulator")
        marker = json.dumps({"simulator": simulator_url})
        was = self.home.seeded.read_text() if self.home.seeded.exists() else None
        if was == marker:
            return
        from modelbus.launcher import seed  # noqa: PLC0415 - the HTTP client would cost every start half a second

        with seed.Catalog(self.settings.url("catalog"), line.secrets.admin_token) as catalog:
            if was is None:
                seed.seed(catalog, simulator_url, line.secrets.access_key, lambda key: keep_key(line, key), self.pause)
                self.progress.say("The demonstration is set up")
                # Should an earlier start have been cut short, nobody has seen the secrets yet.
                self._is_first = True
            else:
                seed.point_suppliers(catalog, simulator_url)
        write_private(self.home.seeded, marker)


def keep_key(line: Line, access_key: str) -> None:
    """Write the access key down at once: nobody will tell it again."""
    line.secrets = replace(line.secrets, access_key=access_key)
    save_secrets(line.home.secrets, line.secrets)
