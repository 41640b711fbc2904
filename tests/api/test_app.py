"""What holds for every route: who may ask, how errors look, what every answer carries."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import LogCapture
from tests.api.conftest import only_error, serving

from mailwake.api.app import limits_of, make_app
from mailwake.api.authentication import key_of
from mailwake.api.bodies import decode_body
from mailwake.api.errors import ApiError, Fault
from mailwake.api.http_limits import HttpLimits
from mailwake.api.parameters import Parameter, choice, list_of, whole
from mailwake.api.parts import ApiParts
from mailwake.api.routes import Call, Reply, Route
from mailwake.clock import ManualClock
from mailwake.config.api_settings import Api
from mailwake.control.api_keys import Scope
from mailwake.errors import MailwakeError

NewKey = Callable[..., str]


class _Probe:
    """Routes for tests, which show what a route's function is given."""

    async def who(self, call: Call) -> Any:
        return {"key": call.key and call.key.name, "customer": call.customer, "query": dict(call.query)}

    async def echo(self, call: Call) -> Any:
        return call.body

    async def fail(self, call: Call) -> Any:
        if call.path["how"] == "mailwake":
            raise MailwakeError("the disk is full")
        if call.path["how"] == "api":
            raise ApiError(Fault.CONFLICT, "there is one", headers={"x-more": "1"}, more={"response": {"status": 502}})
        raise ZeroDivisionError("secret detail")

    async def nothing(self, call: Call) -> None:
        pass

    async def hang(self, call: Call) -> None:
        await asyncio.Event().wait()


PROBE = _Probe()
QUERY = (
    Parameter(name="limit", kind=whole(1, 10), doc="How many.", default=5),
    Parameter(name="events", kind=list_of(choice("open", "click")), doc="Which.", aliases=("types",)),
)
ROUTES = (
    Route(
        method="GET",
        path="/api/v1/who",
        summary="",
        answer=PROBE.who,
        scope=Scope.READ,
        query=QUERY,
        unsupported={"templates": "there are none"},
    ),
    Route(method="POST", path="/api/v1/who", summary="", answer=PROBE.echo, scope=Scope.WEBHOOKS, body=dict[str, int]),
    Route(method="DELETE", path="/api/v1/who", summary="", answer=PROBE.nothing, scope=Scope.ADMIN, status=204),
    Route(method="GET", path="/api/v1/fail/{how}", summary="", answer=PROBE.fail),
    Route(method="GET", path="/api/v1/hang", summary="", answer=PROBE.hang),
    Route(method="GET", path="/api/v1/slow", summary="", answer=PROBE.hang, scope=Scope.READ),
)


@pytest.fixture
async def ask(parts: ApiParts, clock: ManualClock) -> Any:
    app = make_app(parts, routes=ROUTES)
    async with (
        serving(app, limits_of(parts), clock) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False) as client,
    ):
        yield client


# --- who may ask


def _basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer  {}", "basic"])
async def test_a_key_in_every_form_that_clients_send(ask: httpx.AsyncClient, new_key: NewKey, form: str) -> None:
    key = new_key(name="shop")
    authorization = _basic(key) if form == "basic" else form.format(key)
    answer = await ask.get("/api/v1/who", headers={"authorization": authorization})
    assert answer.status_code == 200
    assert answer.json() == {"results": {"key": "shop", "customer": None, "query": {"limit": 5}}}


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic", "Basic !!!", "Basic /w==", "Basic Og==", "é"])
async def test_without_a_key_a_newcomer_is_told_how_to_get_one(
    ask: httpx.AsyncClient, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode()}
    answer = await ask.get("/api/v1/who", headers=headers)  # type: ignore[arg-type]  # httpx takes bytes, too
    assert answer.status_code == 401
    assert only_error(answer)["message"] == "Unauthorized."
    assert "`mailwake apikey create NAME` makes one" in only_error(answer)["description"]
    assert answer.headers["www-authenticate"] == 'Bearer realm="mailwake"'


async def test_revoked_and_expired_keys_are_refused_at_once(
    ask: httpx.AsyncClient, parts: ApiParts, clock: ManualClock
) -> None:
    revoked = parts.keys.create("revoked", [Scope.READ])
    expiring = parts.keys.create("expiring", [Scope.READ], expires=int(clock.now()) + 60)

    async def status(key: str) -> int:
        return (await ask.get("/api/v1/who", headers={"authorization": key})).status_code

    assert [await status(revoked), await status(expiring)] == [200, 200]
    parts.keys.revoke("revoked")
    clock.advance(60)
    assert [await status(revoked), await status(expiring)] == [401, 401]


async def test_a_key_may_what_its_scope_says(ask: httpx.AsyncClient, new_key: NewKey) -> None:
    async def statuses(key: str) -> list[int]:
        headers = {"authorization": key}
        return [
            (await ask.get("/api/v1/who", headers=headers)).status_code,
            (await ask.post("/api/v1/who", headers=headers, json={"a": 1})).status_code,
            (await ask.delete("/api/v1/who", headers=headers)).status_code,
        ]

    assert await statuses(new_key(Scope.READ)) == [200, 403, 403]
    assert await statuses(new_key(Scope.WEBHOOKS)) == [403, 200, 403]
    assert await statuses(new_key(Scope.READ, Scope.WEBHOOKS)) == [200, 200, 403]
    assert await statuses(new_key(Scope.ADMIN)) == [200, 200, 204]
    refused = await ask.delete("/api/v1/who", headers={"authorization": new_key(name="shop")})
    assert only_error(refused) == {
        "message": "permission denied",
        "description": "the key 'shop' may read; this needs a key made with --scope admin",
        "code": "1100",
    }


@pytest.mark.parametrize(
    ("bound", "asked", "seen"),
    [
        (None, None, None),
        (None, "42", "42"),
        ("42", None, "42"),
        ("42", "42", "42"),
        ("42", "43", 403),
        ("42", "", 403),
    ],
)
async def test_a_key_is_for_its_customer_whatever_is_asked(
    ask: httpx.AsyncClient, new_key: NewKey, bound: str | None, asked: str | None, seen: object
) -> None:
    headers = {"authorization": new_key(customer=bound)}
    if asked is not None:
        headers["x-msys-subaccount"] = asked
    answer = await ask.get("/api/v1/who", headers=headers)
    assert (answer.json()["results"]["customer"] if answer.status_code == 200 else answer.status_code) == seen


async def test_wrong_keys_are_limited_by_address_and_shut_no_right_one_out(
    parts: ApiParts, clock: ManualClock, new_key: NewKey, log: LogCapture
) -> None:
    limited = replace(parts, settings=Api(max_auth_failures_per_address=3))
    key = new_key()
    async with (
        serving(make_app(limited, routes=ROUTES), HttpLimits(), clock) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False) as ask,
    ):

        async def status(authorization: str) -> int:
            return (await ask.get("/api/v1/who", headers={"authorization": authorization})).status_code

        assert [await status("mwk_wrong") for _ in range(5)] == [401, 401, 401, 429, 429]
        assert [line["status"] for line in log.entries] == [401, 401, 401]
        assert await status(key) == 200
        blocked = await ask.get("/api/v1/who")
        assert blocked.headers["retry-after"] == "600"
        clock.advance(601)
        assert await status("mwk_wrong") == 401


async def test_a_key_has_so_many_requests_a_minute(parts: ApiParts, clock: ManualClock, new_key: NewKey) -> None:
    limited = replace(parts, settings=Api(max_requests_per_key=2))
    one, other = new_key(), new_key()
    async with (
        serving(make_app(limited, routes=ROUTES), HttpLimits(), clock) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False) as ask,
    ):

        async def status(key: str) -> int:
            return (await ask.get("/api/v1/who", headers={"authorization": key})).status_code

        assert [await status(one) for _ in range(3)] == [200, 200, 429]
        assert await status(other) == 200
        clock.advance(61)
        assert await status(one) == 200


async def test_keys_that_cannot_be_read_are_503_and_a_line_in_the_log(
    ask: httpx.AsyncClient, tmp_path: Path, log: LogCapture
) -> None:
    (tmp_path / "api-keys.sqlite3").write_bytes(b"nonsense" * 1000)
    answer = await ask.get("/api/v1/who", headers={"authorization": "mwk_x"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    only_error(answer)
    assert ["file is not a database" in line["error"] for line in log.entries if "error" in line] == [True]


async def test_a_use_that_cannot_be_noted_is_no_reason_to_refuse(
    ask: httpx.AsyncClient, parts: ApiParts, new_key: NewKey, tmp_path: Path
) -> None:
    key = new_key()
    reading = sqlite3.connect(tmp_path / "api-keys.sqlite3")
    reading.execute("CREATE TRIGGER no BEFORE UPDATE ON api_keys BEGIN SELECT RAISE(FAIL, 'no'); END")
    reading.commit()
    reading.close()
    assert (await ask.get("/api/v1/who", headers={"authorization": key})).status_code == 200


@given(st.text(st.characters(codec="latin-1"), max_size=60))
def test_any_authorization_gives_a_key_or_none(authorization: str) -> None:
    key = key_of(authorization)
    assert key is None or (key and key == key.strip()) or authorization.strip().lower().startswith("basic")


# --- errors


async def test_what_is_not_there(ask: httpx.AsyncClient) -> None:
    answer = await ask.get("/api/v1/webhoks")
    assert answer.status_code == 404
    error = only_error(answer)
    assert (error["message"], error["code"]) == ("invalid URI", "1101")
    assert "'/api/v1/webhoks'" in error["description"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "PROPFIND"])
async def test_a_wrong_method_is_told_the_right_ones(ask: httpx.AsyncClient, method: str) -> None:
    answer = await ask.request(method, "/api/v1/who")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, POST"
    assert only_error(answer)["code"] == "1102"


async def test_options_and_head(ask: httpx.AsyncClient, new_key: NewKey) -> None:
    answer = await ask.options("/api/v1/who", headers={"origin": "https://evil.example"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, POST"
    assert not [name for name in answer.headers if name.startswith("access-control")]
    key = {"authorization": new_key()}
    got, headed = await ask.get("/api/v1/who", headers=key), await ask.head("/api/v1/who", headers=key)
    assert headed.content == b""
    assert headed.headers["content-length"] == got.headers["content-length"]


async def test_a_slash_at_the_end_means_nothing(ask: httpx.AsyncClient, new_key: NewKey) -> None:
    assert (await ask.get("/api/v1/who/", headers={"authorization": new_key()})).status_code == 200


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=0", "parameter 'limit' cannot be '0'; it is a whole number from 1 to 10"),
        ("limit=x", "parameter 'limit' cannot be 'x'; it is a whole number from 1 to 10"),
        ("limit=1&limit=2", "parameter 'limit' is given 2 times; give it once"),
        ("limit=", "parameter 'limit' is empty, or has an empty item; leave it out"),
        ("events=open,", "parameter 'events' is empty, or has an empty item; leave it out"),
        ("events=opens", "parameter 'events' cannot be 'opens'; it is a list separated by commas, each item one of"),
        ("event=open", "there is no parameter 'event'; did you mean 'events'?"),
        ("x=1", "there is no parameter 'x'; there are: limit, events, types"),
        ("templates=a", "parameter 'templates' is not supported: there are none"),
        ("limit=%ff", "the query of the URL is not UTF-8, or has more than 100 parameters"),
        ("&".join(["events=open"] * 101), "the query of the URL is not UTF-8, or has more than 100 parameters"),
        ("limit=%1b[1m" + "9" * 100, "cannot be '\\x1b[1m999999"),
    ],
)
async def test_a_wrong_parameter_is_named_with_its_value_and_what_is_allowed(
    ask: httpx.AsyncClient, new_key: NewKey, query: str, text: str
) -> None:
    answer = await ask.get(f"/api/v1/who?{query}", headers={"authorization": new_key()})
    assert answer.status_code == 400
    error = only_error(answer)
    assert (error["message"], error["code"]) == ("invalid params", "1200")
    assert text in error["description"]


async def test_lists_are_separated_by_commas_or_given_several_times(ask: httpx.AsyncClient, new_key: NewKey) -> None:
    key = {"authorization": new_key()}
    for query in ("events=open,click", "events=open&events=click", "types=open&events=click", "events=open%2C%20click"):
        answer = await ask.get(f"/api/v1/who?{query}", headers=key)
        assert answer.json()["results"]["query"]["events"] == ["open", "click"]


@pytest.mark.parametrize(
    ("body", "status", "code", "text"),
    [
        (b"", 422, "1300", "problems parsing request as json"),
        (b"{", 422, "1300", "problems parsing request as json"),
        (b'{"a": 1} x', 422, "1300", "problems parsing request as json"),
        (b'{"a": NaN}', 422, "1300", "problems parsing request as json"),
        (b"[]", 422, "1300", "the body is of type 'array', but needs to be of type 'object'"),
        (b'{"a": "x"}', 422, "1300", "is of type 'string', but needs to be of type 'integer'"),
        (b'{"a": \xff}', 400, "1305", "the body is not UTF-8: octet 6"),
    ],
)
async def test_a_wrong_body(
    ask: httpx.AsyncClient, new_key: NewKey, body: bytes, status: int, code: str, text: str
) -> None:
    headers = {"authorization": new_key(Scope.WEBHOOKS), "content-type": "application/json; charset=utf-8"}
    answer = await ask.post("/api/v1/who", headers=headers, content=body)
    assert answer.status_code == status
    error = only_error(answer)
    assert error["code"] == code
    assert text in error["description"]


def test_a_body_that_is_nested_too_deeply_is_no_json() -> None:
    with pytest.raises(ApiError, match="problems parsing request as json"):
        decode_body(b"[" * 100_000, object)


async def test_a_body_that_does_not_say_that_it_is_json(ask: httpx.AsyncClient, new_key: NewKey) -> None:
    answer = await ask.post("/api/v1/who", headers={"authorization": new_key(Scope.WEBHOOKS)}, data={"a": "1"})
    assert answer.status_code == 415
    assert "Content-Type: application/json" in only_error(answer)["description"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large(parts: ApiParts, clock: ManualClock, new_key: NewKey, *, chunked: bool) -> None:
    small = replace(parts, settings=Api(max_body=1024))
    headers = {"authorization": new_key(Scope.WEBHOOKS), "content-type": "application/json"}

    async def pieces(size: int) -> Any:
        for _ in range(size // 512):
            yield b" " * 512

    async with (
        serving(make_app(small, routes=ROUTES), limits_of(small), clock) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False) as ask,
    ):
        for size, status in ((1024, 422), (1536, 413), (15 * 1024, 413)):
            content = pieces(size) if chunked else b" " * size
            answer = await ask.post("/api/v1/who", headers=headers, content=content)
            assert (size, answer.status_code) == (size, status)
        assert "1024 octets (setting api.max_body)" in only_error(answer)["description"]
        announced = b"POST /api/v1/who HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        announced += b"Authorization: " + headers["authorization"].encode() + b"\r\nContent-Length: 99999999999\r\n\r\n"
        assert (await served.raw(announced)).startswith(b"HTTP/1.1 413 ")


async def test_faults_of_ours_show_nothing_and_are_logged_under_the_requests_id(
    ask: httpx.AsyncClient, log: LogCapture
) -> None:
    answer = await ask.get("/api/v1/fail/so")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    number = answer.headers["x-request-id"]
    assert number in only_error(answer)["description"]
    (failure,) = [line for line in log.entries if line["event"] == "the API failed"]
    assert failure["request"] == number
    assert "secret detail" in str(failure["exc_info"])


async def test_what_is_the_operators_to_mend_is_503(ask: httpx.AsyncClient, log: LogCapture) -> None:
    answer = await ask.get("/api/v1/fail/mailwake")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
    assert "disk" not in only_error(answer)["description"]
    assert [line["error"] for line in log.entries if "error" in line] == ["the disk is full"]


async def test_an_error_may_say_more(ask: httpx.AsyncClient) -> None:
    answer = await ask.get("/api/v1/fail/api")
    assert (answer.status_code, answer.headers["x-more"]) == (409, "1")
    assert only_error(answer)["response"] == {"status": 502}


async def test_an_answer_that_takes_too_long_is_503(parts: ApiParts, clock: ManualClock) -> None:
    limits = HttpLimits(answer_timeout=0.01, body_timeout=0.01)
    async with (
        serving(make_app(parts, limits=limits, routes=ROUTES), limits, clock) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False) as ask,
    ):
        answer = await ask.get("/api/v1/hang")
    assert answer.status_code == 503
    assert "takes too long" in only_error(answer)["description"]


async def test_too_many_requests_at_once_are_503(parts: ApiParts, clock: ManualClock) -> None:
    limits = HttpLimits(requests=1, grace=0.1)
    async with (
        serving(make_app(parts, limits=limits, routes=ROUTES), limits, clock) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False) as ask,
    ):
        hanging = asyncio.create_task(ask.get("/api/v1/hang"))
        while (answer := await ask.get("/api/v1/fail/api")).status_code == 409:
            pass
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)


async def test_nobody_has_all_requests_in_hand_alone(parts: ApiParts, clock: ManualClock, new_key: NewKey) -> None:
    limits = HttpLimits(requests_of_one=2, grace=0.1)
    greedy, other = ({"authorization": new_key(name=name)} for name in ("greedy", "other"))
    async with (
        serving(make_app(parts, limits=limits, routes=ROUTES), limits, clock) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False) as ask,
    ):
        slow = [asyncio.create_task(ask.get("/api/v1/slow", headers=greedy)) for _ in range(3)]
        (refused,), hanging = await asyncio.wait(slow, return_when=asyncio.FIRST_COMPLETED)
        answer = refused.result()
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        assert "2 requests of yours are in hand" in only_error(answer)["description"]
        assert (await ask.get("/api/v1/who", headers=other)).status_code == 200
        for each in hanging:
            each.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_answers_that_strangers_do_not_take_hold_up_nobody(parts: ApiParts, clock: ManualClock) -> None:
    limits = HttpLimits(requests=2, grace=0.1)
    asked = asyncio.Semaphore(0)

    async def much(call: Call) -> Reply:
        asked.release()
        return Reply(bytes(16 << 20))

    routes = (*ROUTES, Route(method="GET", path="/api/v1/much", summary="", answer=much))
    async with (
        serving(make_app(parts, limits=limits, routes=routes), limits, clock) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False) as ask,
    ):
        writers = []
        for _ in range(limits.requests):
            _, writer = await asyncio.open_connection(served.host, served.port, limit=1)
            writer.write(b"GET /api/v1/much HTTP/1.1\r\nHost: a\r\n\r\n")
            writers.append(writer)
            await asked.acquire()
        assert (await ask.get("/api/v1/fail/api")).status_code == 409
        for each in writers:
            each.transport.abort()


async def test_a_place_is_free_again_after_each_answer(parts: ApiParts, clock: ManualClock, new_key: NewKey) -> None:
    limits = HttpLimits(requests_of_one=1)
    key = {"authorization": new_key()}
    async with (
        serving(make_app(parts, limits=limits, routes=ROUTES), limits, clock) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False) as ask,
    ):
        for query in ("", "?limit=99", "?no=1", ""):
            assert (await ask.get(f"/api/v1/who{query}", headers=key)).status_code == (400 if query else 200)


async def test_a_client_that_goes_in_the_middle_is_no_defect(parts: ApiParts, log: LogCapture) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/nowhere",
        "query_string": b"",
        "headers": [],
        "client": None,
    }
    await make_app(parts, routes=ROUTES)(scope, receive, send)
    assert [each for each in log.entries if each["log_level"] == "error"] == []


# --- every answer


@pytest.mark.parametrize("path", ["/api/v1/who", "/api/v1/fail/so", "/nowhere", "/api/v1/fail/api"])
async def test_headers_of_every_answer(ask: httpx.AsyncClient, path: str) -> None:
    answer = await ask.get(path, headers={"origin": "https://evil.example"})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert len(answer.headers["x-request-id"]) == 16
    assert "server" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_every_request_is_a_line_in_the_log_without_its_query_and_is_counted(
    ask: httpx.AsyncClient, parts: ApiParts, new_key: NewKey, log: LogCapture
) -> None:
    key = new_key(name="shop")
    answer = await ask.get("/api/v1/who?events=open", headers={"authorization": key})
    await ask.get("/api/v1/who?recipients=anna@example.com")
    await ask.get("/somewhere")
    lines = log.entries
    assert "anna" not in str(lines)
    assert key not in str(lines)
    assert [line["status"] for line in lines] == [200, 401]  # 404 without a key is a line of level debug
    assert {name: lines[0][name] for name in ("event", "request", "method", "path", "key", "peer")} == {
        "event": "api request",
        "request": answer.headers["x-request-id"],
        "method": "GET",
        "path": "/api/v1/who",
        "key": "shop",
        "peer": "127.0.0.1",
    }
    counted = {labels: value for name, labels, value in parts.metrics.snapshot() if name == "api_requests_total"}
    assert counted == {("/api/v1/who", "200"): 1, ("/api/v1/who", "401"): 1, ("unknown", "404"): 1}


async def test_a_trusted_proxy_names_the_client(parts: ApiParts, clock: ManualClock, log: LogCapture) -> None:
    from mailwake.config.networks import parse_network

    for trusted, expected in (((parse_network("127.0.0.1"),), "192.0.2.7"), ((), "127.0.0.1")):
        behind = replace(parts, settings=Api(trusted_proxies=trusted))
        async with (
            serving(make_app(behind, routes=ROUTES), HttpLimits(), clock) as served,
            httpx.AsyncClient(base_url=served.url, trust_env=False) as ask,
        ):
            await ask.get("/api/v1/who", headers={"x-forwarded-for": "192.0.2.7"})
        assert log.entries.pop()["peer"] == expected


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(max_size=40) | st.from_regex(r"(limit|events|types|[a-z]+)=[^&]*(&[a-z]+=.*)?", fullmatch=True))
async def test_no_query_is_ever_a_fault_of_ours(ask: httpx.AsyncClient, new_key: NewKey, query: str) -> None:
    headers = {"authorization": ask.headers.get("x-key") or new_key()}
    ask.headers["x-key"] = headers["authorization"]
    answer = await ask.get(f"/api/v1/who?{quote(query, safe='&=,;%+', errors='surrogatepass')}", headers=headers)
    assert answer.status_code in (200, 400)
