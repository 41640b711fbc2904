"""Exporting and erasing what is known of a person, over the API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import LogCapture
from tests.api.conftest import only_error, serving
from tests.api.described import DESCRIBED
from tests.store.events import event

from mailwake.api.app import limits_of, make_app
from mailwake.api.parts import ApiParts, PrivacyParts
from mailwake.clock import ManualClock
from mailwake.config.store_settings import Store
from mailwake.control.api_keys import Scope
from mailwake.control.erasures import Erasures
from mailwake.events.model import EventType
from mailwake.events.privacy import RecipientHash
from mailwake.events.record import MessageFacts, encode_message, pack_facts
from mailwake.feed.contract import Position
from mailwake.feed.person_events import PersonEvents
from mailwake.journal.frame import frame
from mailwake.journal.segment_file import Disk, SegmentFile
from mailwake.store.duckdb_store import open_store

NewKey = Callable[..., str]
ANN = "ann@example.org"


@pytest.fixture
def erasures(tmp_path: Path) -> Erasures:
    return Erasures(tmp_path / "erasures.sqlite3")


@pytest.fixture
def client_parts(parts: ApiParts, tmp_path: Path, erasures: Erasures) -> ApiParts:
    (tmp_path / "journal").mkdir()
    segment = SegmentFile(tmp_path / "journal", "smtp-0", Disk(), 1 << 20)
    for number, (recipient, customer) in enumerate([(ANN, "42"), ("Ann@Example.org", "43"), ("bob@example.org", "42")]):
        facts = pack_facts(MessageFacts(number, 1000, 1, customer_id=customer))
        segment.append(frame(encode_message(EventType.INJECTION, number, 1000, facts, recipient, 0)))
    segment.close()
    events = PersonEvents(tmp_path / "feed", tmp_path / "journal", RecipientHash(bytes(32)))
    return replace(parts, privacy=PrivacyParts(events, erasures))


@pytest.fixture
async def client(client_parts: ApiParts, clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(make_app(client_parts), limits_of(client_parts), clock) as served,
        httpx.AsyncClient(base_url=served.url, event_hooks=DESCRIBED, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
def admin(new_key: NewKey) -> dict[str, str]:
    return {"authorization": new_key(Scope.ADMIN)}


async def test_export_gives_all_events_of_a_person_in_any_spelling(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    answer = await client.get("/api/v1/privacy/events", params={"recipient": "ANN@example.ORG"}, headers=admin)
    assert answer.status_code == 200
    assert [event["raw_rcpt_to"] for event in answer.json()["results"]] == [ANN, "Ann@Example.org"]


async def test_export_has_what_the_store_keeps_for_longer(
    client_parts: ApiParts, clock: ManualClock, admin: dict[str, str], tmp_path: Path
) -> None:
    with closing(open_store(tmp_path / "store", Store())) as store:
        await store.open()
        await store.load([event(0, rcpt_to=ANN), event(77, rcpt_to=ANN), event(78)], Position(1, 1))
        app = make_app(replace(client_parts, store=store))
        async with (
            serving(app, limits_of(client_parts), clock) as served,
            httpx.AsyncClient(base_url=served.url, event_hooks=DESCRIBED, trust_env=False) as client,
        ):
            answer = await client.get("/api/v1/privacy/events", params={"recipient": "ANN@example.org"}, headers=admin)
    assert [event["event_id"] for event in answer.json()["results"]] == ["0", "1", "77"]


async def test_a_customers_key_gets_the_customers_events_and_erases_nobody(
    client: httpx.AsyncClient, new_key: NewKey, erasures: Erasures
) -> None:
    bound = {"authorization": new_key(Scope.ADMIN, customer="43")}
    answer = await client.get("/api/v1/privacy/events", params={"recipient": ANN}, headers=bound)
    assert [event["customer_id"] for event in answer.json()["results"]] == ["43"]
    answer = await client.post("/api/v1/privacy/erasures", json={"recipient": ANN}, headers=bound)
    assert answer.status_code == 403
    assert "bound to no customer" in only_error(answer)["description"]
    assert erasures.all() == []


async def test_an_erasure_is_kept_and_shown_without_a_name(
    client: httpx.AsyncClient, admin: dict[str, str], erasures: Erasures, log: LogCapture
) -> None:
    asked = await client.post("/api/v1/privacy/erasures", json={"recipient": ANN}, headers=admin)
    assert asked.status_code == 202
    shown = asked.json()["results"]
    assert (shown["id"], shown["finished"], shown["records"]) == ("1", None, 0)
    assert [each.recipient for each in erasures.pending()] == [ANN]
    erasures.count(1, 7)
    erasures.finish(1, 5000)
    one = await client.get("/api/v1/privacy/erasures/1", headers=admin)
    assert one.json()["results"] == {**shown, "finished": "1970-01-01T00:00:05.000Z", "records": 7}
    every = await client.get("/api/v1/privacy/erasures", headers=admin)
    assert every.json()["results"] == [one.json()["results"]]
    assert ANN not in one.text + every.text
    assert ANN not in str(log.entries)


@pytest.mark.parametrize(
    "body",
    [
        {"recipient": ""},
        {"recipient": "a b@c"},
        {"recipient": "a" * 400},
        {"recipient": "ann.example.org"},
        {},
        {"x": "y"},
    ],
)
async def test_whom_nobody_can_be(client: httpx.AsyncClient, admin: dict[str, str], body: dict[str, str]) -> None:
    answer = await client.post("/api/v1/privacy/erasures", json=body, headers=admin)
    assert answer.status_code == 422
    only_error(answer)


async def test_what_is_missing_is_said(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    assert (await client.get("/api/v1/privacy/events", headers=admin)).status_code == 400
    assert (await client.get("/api/v1/privacy/erasures/9", headers=admin)).status_code == 404


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WEBHOOKS])
async def test_other_keys_may_not(client: httpx.AsyncClient, new_key: NewKey, scope: Scope) -> None:
    headers = {"authorization": new_key(scope)}
    assert (await client.get("/api/v1/privacy/events", params={"recipient": ANN}, headers=headers)).status_code == 403
    answer = await client.post("/api/v1/privacy/erasures", json={"recipient": ANN}, headers=headers)
    assert answer.status_code == 403


async def test_the_vendors_form_erases_several(
    client: httpx.AsyncClient, admin: dict[str, str], new_key: NewKey, erasures: Erasures
) -> None:
    path, body = "/api/v1/data-privacy/rtbf-request", {"recipients": [ANN, "bob@example.org"]}
    bound = {"authorization": new_key(Scope.ADMIN, customer="43")}
    assert (await client.post(path, json=body, headers=bound)).status_code == 403
    assert erasures.all() == []
    answer = await client.post(path, json={**body, "include_subaccounts": False}, headers=admin)
    assert answer.json() == {"results": {"message": "Request saved."}}
    assert [each.recipient for each in erasures.pending()] == [ANN, "bob@example.org"]
    wrong: Any
    for wrong in ({"recipients": []}, {"recipients": [ANN] * 1001}, {"recipients": ANN}, {"recipients": ["a b"]}):
        assert (await client.post(path, json=wrong, headers=admin)).status_code == 422


async def test_the_list_is_for_keys_that_may_erase(client: httpx.AsyncClient, new_key: NewKey) -> None:
    bound = {"authorization": new_key(Scope.ADMIN, customer="43")}
    assert (await client.get("/api/v1/privacy/erasures", headers=bound)).status_code == 403
