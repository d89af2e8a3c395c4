"""Guessing passwords is made to wait, for an account and from an address, on all replicas together."""

import asyncio
import runpy

import httpx
import pytest
from argon2 import Type, extract_parameters

from catalog.people import LOGIN, PASSWORD, USERS, a_session, a_user, audited, run_sql, shows, sign_in
from catalogs import settings_for
from modelbus.catalog.actions import passwords
from modelbus.catalog.actions.attempts import FOR_AN_ACCOUNT, FROM_AN_ADDRESS, WINDOW
from modelbus.catalog.actions.passwords import Passwords
from modelbus.catalog.api.visitors import address_of
from modelbus.catalog.app import create_app
from modelbus.catalog.domain.identity_errors import SigningInBusyError
from modelbus.catalog.settings import Settings
from running import serving
from servers import FreshDatabase


async def test_an_account_waits_after_too_many_guesses_on_all_replicas_even_for_the_right_password(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    user, other = await a_user(http), await a_user(http)
    async with (
        serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as replica,
    ):
        guesses = [
            await sign_in(one, user["name"], f"guess number {number}")
            for number, one in enumerate([http, replica] * (FOR_AN_ACCOUNT // 2))
        ]
        blocked = [await sign_in(one, user["name"]) for one in (http, replica)]

    assert {guess.status_code for guess in guesses} == {401}
    for answer in blocked:
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
        assert 0 < int(answer.headers["retry-after"]) <= WINDOW.total_seconds()
    assert (await sign_in(http, other["name"])).status_code == 200
    reasons = [line["detail"]["reason"] for line in await audited(database)]
    assert reasons == ["wrong_password"] * FOR_AN_ACCOUNT + ["too_many_attempts_account"]


async def test_many_guesses_at_once_are_no_way_around_the_limit(http: httpx.AsyncClient) -> None:
    user = await a_user(http)

    answers = await asyncio.gather(*(sign_in(http, user["name"], f"guess number {number}") for number in range(25)))

    assert sorted(answer.status_code for answer in answers) == [401] * FOR_AN_ACCOUNT + [429] * (25 - FOR_AN_ACCOUNT)


async def test_who_signs_in_has_all_guesses_again(http: httpx.AsyncClient) -> None:
    user = await a_user(http)

    for _ in range(2):
        guesses = [await sign_in(http, user["name"], "a wrong guess") for _ in range(FOR_AN_ACCOUNT - 1)]
        assert {guess.status_code for guess in guesses} == {401}
        assert (await sign_in(http, user["name"])).status_code == 200


async def test_the_wait_is_over_with_its_window(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    user = await a_user(http)
    guesses = [await sign_in(http, user["name"], "a wrong guess") for _ in range(FOR_AN_ACCOUNT + 1)]
    assert guesses[-1].status_code == 429

    await run_sql(database, "UPDATE catalog.attempts SET since = since - $1::interval", WINDOW)

    assert (await sign_in(http, user["name"])).status_code == 200


async def test_an_address_waits_whatever_names_it_tries(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    user = await a_user(http)
    statement = "INSERT INTO catalog.attempts (what, tries, since) VALUES ('address:127.0.0.1', $1, now())"
    await run_sql(database, statement, FROM_AN_ADDRESS - 1)

    tried = [await sign_in(http, f"nobody-{number}") for number in range(3)]

    assert [answer.status_code for answer in tried] == [401, 429, 429]
    assert (await sign_in(http, user["name"])).status_code == 429
    reasons = [line["detail"]["reason"] for line in await audited(database)]
    assert reasons == ["wrong_password", "too_many_attempts_address"]


async def test_good_sign_ins_do_not_wear_an_address_out(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    user = await a_user(http)
    for _ in range(3):
        await sign_in(http, user["name"])

    [row] = await run_sql(database, "SELECT what, tries FROM catalog.attempts")

    assert (row["what"], row["tries"]) == ("address:127.0.0.1", 0)


async def test_ones_own_password_is_not_guessed_through_a_session_left_open(http: httpx.AsyncClient) -> None:
    session = await a_session(http)
    path = f"{USERS}/{session['user']['id']}/password"
    body = {"password": "an entirely other phrase", "current_password": "a wrong guess"}

    answers = [await http.put(path, json=body, headers=shows(session)) for _ in range(FOR_AN_ACCOUNT + 1)]

    assert [answer.status_code for answer in answers] == [403] * FOR_AN_ACCOUNT + [429]
    assert (await sign_in(http, session["user"]["name"])).status_code == 429


async def test_what_was_typed_as_a_name_is_kept_nowhere(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    await sign_in(http, "oops-my-password")

    for table in ("attempts", "audit"):
        rows = await run_sql(database, f"SELECT t::text FROM catalog.{table} t")
        assert rows
        assert "oops-my-password" not in str([row[0] for row in rows])


async def test_no_more_passwords_are_compared_at_once_than_memory_is_meant_for() -> None:
    compared = Passwords()
    hashed = await compared.hash(PASSWORD)

    async def compare() -> bool | str:
        try:
            return await compared.fits(hashed, PASSWORD)
        except SigningInBusyError:
            return "busy"

    answers = await asyncio.gather(*(compare() for _ in range(passwords.MOST_WAITING + 5)))
    threads = len(compared._threads._threads)
    compared.close()

    assert answers.count("busy") == 5
    assert answers.count(True) == passwords.MOST_WAITING
    assert threads == passwords.AT_ONCE


async def test_a_password_costs_at_least_what_owasp_asks() -> None:
    # As it is written, not as the tests have it, which sign in more often than they care to wait.
    compared = runpy.run_path(passwords.__file__)["Passwords"]()
    hashed = await compared.hash(PASSWORD)
    compared.close()

    cost = extract_parameters(hashed)
    assert (cost.type, cost.time_cost >= 2, cost.memory_cost >= 19 * 1024) == (Type.ID, True, True)


async def test_the_same_password_typed_on_another_keyboard_fits() -> None:
    compared = Passwords()
    hashed = await compared.hash("cafe\u0301 au lait tous les jours")

    assert hashed.startswith("$argon2id$")
    assert await compared.fits(hashed, "caf\u00e9 au lait tous les jours")
    assert not await compared.fits(hashed, "cafe au lait tous les jours")
    assert not await compared.fits("no hash at all", PASSWORD)
    compared.close()


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.2", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "198.51.100.1, 10.0.0.3", "198.51.100.1"),
        ("10.0.0.2", "198.51.100.1, rubbish", "unknown"),
        ("10.0.0.2", "", "10.0.0.2"),
        ("2001:db8::1:2:3:4", "", "2001:db8::/64"),
        ("::ffff:203.0.113.7", "", "203.0.113.7"),
        (None, "198.51.100.1", "unknown"),
    ],
)
def test_the_address_is_the_last_that_no_proxy_of_ours_has(peer: str | None, forwarded: str, address: str) -> None:
    trusted = Settings.model_construct(trusted_proxies="10.0.0.0/8").proxies()

    assert address_of(peer, forwarded, trusted) == address


async def test_behind_a_proxy_of_ours_the_callers_address_counts(database: FreshDatabase) -> None:
    settings = settings_for(database, "nats://127.0.0.1:9", trusted_proxies="127.0.0.0/8")
    async with serving(create_app(settings)) as url, httpx.AsyncClient(base_url=url, timeout=20) as proxy:
        body = {"name": "nobody", "password": "a wrong guess"}
        await proxy.post(LOGIN, json=body, headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.7"})

    assert [line["detail"]["address"] for line in await audited(database)] == ["203.0.113.7"]
