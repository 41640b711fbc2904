"""Backups and exports over the API: begun, looked at, fetched, removed; each key sees what is its own."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from structlog.testing import LogCapture
from tests.api.conftest import only_error, serving
from tests.api.described import DESCRIBED
from tests.store.conftest import LIMITS
from tests.store.events import START, event

from mailwake.api.app import limits_of, make_app
from mailwake.api.parts import ApiParts
from mailwake.api.store_routes import MOST_DOWNLOADS, StoreFileParts
from mailwake.clock import ManualClock, iso_time
from mailwake.control.api_keys import Scope
from mailwake.feed.contract import Position
from mailwake.store.duckdb_file import FILE_NAME
from mailwake.store.duckdb_store import DuckDbStore
from mailwake.store.file_requests import KEEP_SECONDS, MOST, MOST_OF_ONE, StoreFiles
from mailwake.store.schema import VERSION

NewKey = Callable[..., str]
CUSTOMERS = ("42", "42", "43")


@dataclass
class Site:
    client: httpx.AsyncClient
    store: DuckDbStore
    parts: StoreFileParts

    async def begin(self, path: str, key: str, **query: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/api/v1/store/{path}", params=query, headers={"authorization": key})
        assert answer.status_code == 202, answer.text
        return dict(answer.json()["results"])

    async def get(self, path: str, key: str) -> httpx.Response:
        return await self.client.get(f"/api/v1/store/files{path}", headers={"authorization": key})

    async def ready(self, begun: dict[str, Any], key: str) -> dict[str, Any]:
        shown = await self.ended(begun, key)
        assert shown["error"] is None
        return shown

    async def ended(self, begun: dict[str, Any], key: str) -> dict[str, Any]:
        while (shown := (await self.get(f"/{begun['id']}", key)).json()["results"])["state"] == "making":  # noqa: ASYNC110  # as a client does
            await asyncio.sleep(0.01)
        return dict(shown)


@pytest.fixture
async def site(parts: ApiParts, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Site]:
    clock.advance(START / 1000 + 1000 - clock.now())
    with closing(opened := DuckDbStore(tmp_path / "store", LIMITS, search_timeout=30)) as store:
        await opened.open()
        await store.load(
            [event(each, customer_id=CUSTOMERS[each], subject="=1+1") for each in range(3)], Position(1, 1)
        )
        files = StoreFiles(store, clock=clock, log=parts.log)
        stop = asyncio.Event()
        running = asyncio.create_task(files.run(stop))
        parts = replace(parts, store=store, store_files=StoreFileParts(files))
        async with (
            serving(make_app(parts), limits_of(parts), clock) as served,
            httpx.AsyncClient(base_url=served.url, event_hooks=DESCRIBED, trust_env=False) as client,
        ):
            assert parts.store_files is not None
            yield Site(client, store, parts.store_files)
        stop.set()
        await running


async def test_a_backup_is_begun_fetched_and_removed(site: Site, new_key: NewKey, tmp_path: Path) -> None:
    admin = new_key(Scope.ADMIN)
    shown = await site.ready(await site.begin("backups", admin), admin)
    assert (shown["kind"], shown["events"]) == ("backup", 3)
    fetched = await site.get(f"/{shown['id']}/content", admin)
    assert fetched.headers["content-disposition"] == f'attachment; filename="{shown["name"]}"'
    assert len(fetched.content) == shown["octets"]
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / FILE_NAME).write_bytes(fetched.content)
    with closing(DuckDbStore(tmp_path / "again", LIMITS, search_timeout=30)) as again:
        await again.open()
        assert (await again.status()).events == 3
    head = await site.client.head(f"/api/v1/store/files/{shown['id']}/content", headers={"authorization": admin})
    assert (head.headers["content-length"], head.content) == (str(shown["octets"]), b"")
    gone = await site.client.delete(f"/api/v1/store/files/{shown['id']}", headers={"authorization": admin})
    assert gone.status_code == 204
    assert [*(tmp_path / "store" / "made").iterdir()] == []
    assert (await site.get(f"/{shown['id']}", admin)).status_code == 404


async def test_a_customers_key_exports_its_own_events_and_sees_no_other_file(site: Site, new_key: NewKey) -> None:
    admin, own, other = new_key(Scope.ADMIN), new_key(customer="42"), new_key(customer="43")
    begun = await site.begin("exports", own, format="csv")
    shown = await site.ready(begun, own)
    content = (await site.get(f"/{shown['id']}/content", own)).text
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [(row["event_id"], row["customer_id"], row["subject"]) for row in rows] == [
        ("0", "42", "'=1+1"),
        ("1", "42", "'=1+1"),
    ]
    # Whatever filter asks for another's: nothing.
    none = await site.ready(await site.begin("exports", own, subaccounts="43"), own)
    assert none["events"] == 0
    for path in (f"/{shown['id']}", f"/{shown['id']}/content"):
        assert (await site.get(path, other)).status_code == 404
    assert (await site.get("", other)).json()["results"] == []
    assert len((await site.get("", admin)).json()["results"]) == 2
    refused = await site.client.delete(f"/api/v1/store/files/{shown['id']}", headers={"authorization": other})
    assert refused.status_code == 404
    asked = await site.client.post(
        "/api/v1/store/backups", headers={"authorization": new_key(Scope.ADMIN, customer="42")}
    )
    assert only_error(asked)["description"].startswith("a backup has all customers' events")


async def test_a_backup_is_for_admins_alone(site: Site, new_key: NewKey) -> None:
    admin, reader = new_key(Scope.ADMIN), new_key(Scope.READ)
    asked = await site.client.post("/api/v1/store/backups", headers={"authorization": reader})
    assert asked.status_code == 403
    shown = await site.ready(await site.begin("backups", admin), admin)
    for path in (f"/{shown['id']}", f"/{shown['id']}/content"):
        assert (await site.get(path, reader)).status_code == 404
    assert (await site.get("", reader)).json()["results"] == []


async def test_exports_take_the_filters_of_searches(site: Site, new_key: NewKey, tmp_path: Path) -> None:
    key = new_key()
    shown = await site.ready(await site.begin("exports", key, customers="43,44", events="click"), key)
    (tmp_path / "e.parquet").write_bytes((await site.get(f"/{shown['id']}/content", key)).content)
    with duckdb.connect() as database:
        assert database.execute(f"SELECT event_id FROM '{tmp_path}/e.parquet'").fetchall() == [("2",)]
    for query in ({"format": "xml"}, {"campaigns": "a*"}, {"from": "2026-10-01", "to": "2026-09-01"}, {"page": "1"}):
        asked = await site.client.post("/api/v1/store/exports", params=query, headers={"authorization": key})
        assert asked.status_code == 400, query


async def test_too_many_are_refused_and_old_ones_removed(
    site: Site, new_key: NewKey, clock: ManualClock, tmp_path: Path
) -> None:
    own, other = new_key(customer="42"), new_key(customer="43")
    for _ in range(MOST_OF_ONE):
        await site.ready(await site.begin("exports", own), own)
    asked = await site.client.post("/api/v1/store/exports", headers={"authorization": own})
    assert asked.status_code == 409
    assert only_error(asked)["description"].startswith("there are 4 exports already; remove some ")
    await site.ready(await site.begin("exports", other), other)
    clock.advance(KEEP_SECONDS)
    assert (await site.get("", other)).json()["results"] == []
    assert [*(tmp_path / "store" / "made").iterdir()] == []


async def test_customers_exports_leave_room_for_a_backup(site: Site, new_key: NewKey) -> None:
    for number in range(MOST // MOST_OF_ONE):
        own = new_key(customer=str(number), name=str(number))
        for _ in range(MOST_OF_ONE):
            await site.begin("exports", own)
    refused = await site.client.post("/api/v1/store/exports", headers={"authorization": new_key(name="late")})
    assert only_error(refused)["description"].startswith(f"there are {MOST} exports already")
    admin = new_key(Scope.ADMIN, name="admin")
    await site.ready(await site.begin("backups", admin), admin)


async def test_what_cannot_be_fetched_is_said(site: Site, new_key: NewKey, log: LogCapture) -> None:
    key = new_key()
    shown = await site.ready(await site.begin("exports", key), key)
    site.parts.downloads = MOST_DOWNLOADS
    assert (await site.get(f"/{shown['id']}/content", key)).status_code == 503
    site.parts.downloads = 0
    assert (await site.get(f"/{shown['id']}/content", key)).status_code == 200
    assert site.parts.downloads == 0
    await site.store.erase(["bob@example.org"])
    assert "somebody in it was erased" in (await site.get(f"/{shown['id']}", key)).json()["results"]["error"]
    assert (await site.get(f"/{shown['id']}/content", key)).status_code == 409
    site.store.close()
    begun = await site.begin("exports", key)
    assert (await site.ended(begun, key))["error"] == "the store is closed"
    (said,) = [each for each in log.entries if each["event"] == "a file cannot be made of the store"]
    assert (said["path"], said["error"]) == (begun["name"], "the store is closed")


async def test_the_store_in_figures_is_for_admins_of_everybody(site: Site, new_key: NewKey) -> None:
    async def asked(*scopes: Scope, customer: str | None = None) -> httpx.Response:
        key = new_key(*scopes, customer=customer)
        return await site.client.get("/api/v1/store/status", headers={"authorization": key})

    figures = (await asked(Scope.ADMIN)).json()["results"]
    assert (figures["events"], figures["position"], figures["format"]) == (3, str(Position(1, 1)), VERSION)
    assert (figures["oldest"], figures["newest"]) == (iso_time(START / 1000), iso_time(START / 1000 + 2))
    assert (await asked(Scope.READ)).status_code == 403
    assert (await asked(Scope.ADMIN, customer="42")).status_code == 403


async def test_without_a_store_that_is_said(client: httpx.AsyncClient, new_key: NewKey) -> None:
    for path in ("backups", "exports"):
        asked = await client.post(f"/api/v1/store/{path}", headers={"authorization": new_key(Scope.ADMIN)})
        assert only_error(asked)["description"] == "events are not kept for searching here: store.enabled is false"
