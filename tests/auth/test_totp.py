"""The second factor over HTTP, on both databases."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from auth.accounts.counters import LocalCounters
from auth.accounts.login_limits import PER_CLIENT_AND_ACCOUNT
from auth.accounts.second_factor import ATTEMPTS_PER_HOUR, RECOVERY_CODES, STEP_S, SecondFactorCheck, code_at
from auth.app import AuthService, create_app
from auth.settings import AuthSettings
from httpapi.site import Site
from storage.database.database import Database
from storage.repositories.auth.accounts import Accounts
from tests.auth.exchange import ANN, FORM, TOKEN_PATH, client_of, problem, register

PASSWORD = ANN["password"]
NOW = time.time()


@pytest.fixture(autouse=True)
def clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's codes are of one step."""
    monkeypatch.setattr("auth.app.SecondFactorCheck", partial(SecondFactorCheck, now=lambda: NOW))


@pytest.fixture
def settings() -> AuthSettings:
    return AuthSettings(site=Site("https://chat.example"))


class Ann:
    """Ann, with an access token that she got without a second factor."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self.http = http
        self.headers = {"Authorization": f"Bearer {token}"}
        self.secret = ""

    async def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        return await self.http.request(method, f"/api/v1/totp{path}", json=body, headers=self.headers)

    async def enable(self) -> list[str]:
        """The recovery codes. The confirming code is of the last step, so that the current one is still unused."""
        answer = await self.call("POST", "", current_password=PASSWORD)
        assert answer.status_code == 200, answer.text
        self.secret = answer.json()["secret"]
        answer = await self.call("POST", "/confirm", otp=self.code(-1))
        assert answer.status_code == 200, answer.text
        codes: list[str] = answer.json()["recovery_codes"]
        return codes

    def code(self, steps: int = 0) -> str:
        """The code so many steps from now."""
        return code_at(self.secret, int(NOW) // STEP_S + steps).decode()

    async def log_in(self, **more: Any) -> httpx.Response:
        answer = await self.http.post("/login", json=ANN | more)
        self.http.cookies.clear()
        return answer


@pytest.fixture
async def ann(service: AuthService) -> AsyncIterator[Ann]:
    async with client_of(create_app(service)) as http:
        await register(http)
        token = (await http.post("/login", json=ANN)).json()["access_token"]
        http.cookies.clear()
        yield Ann(http, token)


def test_codes_are_those_of_rfc_6238() -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # appendix B's, whose codes have 8 digits
    for at, code in ((59, b"287082"), (1111111109, b"081804"), (1234567890, b"005924"), (20000000000, b"353130")):
        assert code_at(secret, at // STEP_S) == code


async def test_secret_comes_with_its_otpauth_url(ann: Ann) -> None:
    content = (await ann.call("POST", "", current_password=PASSWORD)).json()
    url = urlsplit(content["url"])
    assert (url.scheme, url.netloc, url.path) == ("otpauth", "totp", "/chat.example:ann%40example.com")
    query = {name: value for name, (value,) in parse_qs(url.query).items()}
    assert query == {
        "secret": content["secret"],
        "issuer": "chat.example",
        "algorithm": "SHA1",
        "digits": "6",
        "period": "30",
    }


async def test_login_needs_a_code_once_it_is_confirmed(ann: Ann) -> None:
    await ann.call("POST", "", current_password=PASSWORD)
    assert (await ann.log_in()).status_code == 200
    codes = await ann.enable()
    assert len(set(codes)) == RECOVERY_CODES
    document = problem(await ann.log_in(), 401, "otp_required")
    assert "access_token" not in document
    problem(await ann.log_in(otp=f"{(int(ann.code()) + 1) % 10**6:06}"), 401, "invalid_otp")
    problem(await ann.log_in(password="wrong horse", otp=ann.code()), 401, "invalid_credentials")
    assert (await ann.log_in(otp=ann.code())).status_code == 200


async def test_code_works_once_also_concurrently(ann: Ann) -> None:
    await ann.enable()
    answers = await asyncio.gather(*(ann.log_in(otp=ann.code()) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 4
    problem(await ann.log_in(otp=ann.code(-1)), 401, "invalid_otp")
    assert (await ann.log_in(otp=f" {ann.code(1)[:3]} {ann.code(1)[3:]}")).status_code == 200
    problem(await ann.log_in(otp=ann.code()), 401, "invalid_otp")
    problem(await ann.log_in(otp=ann.code(2)), 401, "invalid_otp")


async def test_recovery_code_works_once(ann: Ann, database: Database) -> None:
    first, second, *_ = await ann.enable()
    rows = await database.fetch("SELECT digest FROM recovery_codes")
    assert len(rows) == RECOVERY_CODES
    assert first.replace("-", "") not in str(rows)
    answers = await asyncio.gather(*(ann.log_in(otp=first) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 3
    assert (await ann.log_in(otp=second.lower().replace("-", " "))).status_code == 200
    assert len(await database.fetch("SELECT digest FROM recovery_codes")) == RECOVERY_CODES - 2


async def test_form_login_needs_the_code_too(ann: Ann) -> None:
    await ann.enable()
    for form, status, code in ((FORM, 401, "otp_required"), (FORM | {"otp": "000000x"}, 401, "invalid_otp")):
        answer = await ann.http.post(TOKEN_PATH, data=form)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["error"]
    assert (await ann.http.post(TOKEN_PATH, data=FORM | {"otp": ann.code()})).status_code == 200


async def test_wrong_codes_count_as_failed_logins(ann: Ann) -> None:
    await ann.enable()
    answers = [(await ann.log_in(otp="x")).status_code for _ in range(PER_CLIENT_AND_ACCOUNT + 1)]
    assert answers == [401] * PER_CLIENT_AND_ACCOUNT + [429]
    problem(await ann.log_in(otp=ann.code()), 429, "rate_limited")


async def test_guesses_of_codes_are_limited_over_all_addresses(ann: Ann, database: Database) -> None:
    await ann.enable()
    factors = SecondFactorCheck(Accounts(database).factors, LocalCounters())
    account = await Accounts(database).by_login(ANN["login"])
    assert account is not None
    outcomes = [type(await factors.check(account.person.id, "000000x")).__name__ for _ in range(ATTEMPTS_PER_HOUR)]
    assert outcomes == ["WrongOtp"] * ATTEMPTS_PER_HOUR
    assert type(await factors.check(account.person.id, ann.code())).__name__ == "Limited"


async def test_changes_of_second_factor_need_the_password(ann: Ann) -> None:
    problem(await ann.call("POST", "", current_password="wrong horse"), 403, "wrong_password")
    problem(await ann.call("POST", "/confirm", otp="123456"), 404, "not_found")
    problem(await ann.call("DELETE", "", current_password=PASSWORD, otp="123456"), 404, "not_found")
    codes = await ann.enable()
    problem(await ann.call("POST", "", current_password=PASSWORD), 409, "totp_enabled")
    problem(await ann.call("POST", "/confirm", otp=ann.code()), 404, "not_found")
    problem(await ann.call("DELETE", "", current_password="wrong horse", otp=ann.code()), 403, "wrong_password")
    problem(await ann.call("DELETE", "", current_password=PASSWORD, otp=""), 403, "otp_required")
    problem(await ann.call("DELETE", "", current_password=PASSWORD, otp="x"), 403, "invalid_otp")
    assert (await ann.call("DELETE", "", current_password=PASSWORD, otp=codes[0])).status_code == 204
    assert (await ann.log_in()).status_code == 200
    ann.headers = {}
    problem(await ann.call("POST", "", current_password=PASSWORD), 401, "unauthorized")


async def test_second_factor_is_confirmed_once(ann: Ann) -> None:
    ann.secret = (await ann.call("POST", "", current_password=PASSWORD)).json()["secret"]
    problem(await ann.call("POST", "/confirm", otp="x"), 403, "invalid_otp")
    answers = await asyncio.gather(*(ann.call("POST", "/confirm", otp=ann.code()) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    problem(await ann.log_in(otp=ann.code()), 401, "invalid_otp")  # it confirmed the factor
