"""Everything that runs in the collector, put together: the event flow, the consumers of the feed, the API."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from mailwake.api.app import authentication_of, limits_of, make_app
from mailwake.api.parts import ApiParts, PrivacyParts
from mailwake.api.server import serve_api
from mailwake.api.store_routes import StoreFileParts
from mailwake.control.api_keys import ApiKeys
from mailwake.control.erasures import Erasures
from mailwake.dashboard.event_stream import Streams
from mailwake.dashboard.site import Dashboard
from mailwake.enrichment.contract import HOLD_SECONDS
from mailwake.enrichment.enricher import Enricher
from mailwake.enrichment.message_facts import MessageFactsFile
from mailwake.events.record import record_time
from mailwake.feed.damage_report import DamageReport
from mailwake.feed.live_feed import LiveFeed
from mailwake.feed.person_events import PersonEvents
from mailwake.feed.positions_file import PositionsFile
from mailwake.feed.retention import Limits
from mailwake.feed.tidier import Tidier
from mailwake.feed.writer import FeedWriter
from mailwake.flows.erasure import ErasureFlow
from mailwake.flows.event_flow import EventFlow
from mailwake.flows.leftover_rows import FactsRows, SpoolRows
from mailwake.journal.reader import JournalReader
from mailwake.links.pasted import open_pasted
from mailwake.links.token import TokenCodec, decode_body
from mailwake.service.api_address import api_address_kept
from mailwake.service.event_privacy import load_or_create_secret, recipient_hash
from mailwake.service.parts import KeySource
from mailwake.sinks.make import make_sinks
from mailwake.store.contract import CONSUMER, FileMakingStore
from mailwake.store.file_requests import StoreFiles
from mailwake.store.loader import StoreLoader
from mailwake.store.make import open_store
from mailwake.webhooks.webhooks import Webhooks

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from mailwake.api.authentication import Authentication
    from mailwake.api.site import Site
    from mailwake.links.token import Link
    from mailwake.service.worker_main import Worker
    from mailwake.store.contract import EventStore


class Part(Protocol):
    """Something that runs in the collector until it is told to stop."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; may be called again after it has failed."""
        ...


def collector_parts(worker: Worker, opened: ExitStack) -> Iterator[Part]:
    """The parts; the files that they share are closed with `opened`. MailwakeError when one cannot be opened."""
    data, log, metrics, clock, settings = worker.data, worker.log, worker.metrics, worker.clock, worker.settings
    positions = opened.enter_context(closing(PositionsFile(data.positions)))
    furthest = max((position.segment for position in positions.all().values()), default=0)
    writer = opened.enter_context(closing(FeedWriter(data.feed, above=furthest)))
    feed = LiveFeed(data.feed, writer, on_damage=DamageReport(metrics, log))
    facts = opened.enter_context(closing(MessageFactsFile(data.facts)))
    flow = EventFlow(
        JournalReader(data.journal, time_of=record_time),
        writer,
        feed,
        facts,
        Enricher(settings.enrichment, log, metrics, goes_on=True),
        decode_body,
        hold_ms=int(HOLD_SECONDS * 1000),
        remember_ms=int(settings.enrichment.message_facts * 1000),
        clock=clock,
        metrics=metrics,
        log=log,
    )
    flow.warm_up()
    yield flow
    closed_segments = asyncio.Lock()
    yield Tidier(
        data.journal,
        data.feed,
        positions,
        lambda: writer.cursor,
        Limits(settings.journal.keep, settings.journal.max_size),
        min_free_space=settings.min_free_space,
        clock=clock,
        metrics=metrics,
        log=log,
        closed_segments=closed_segments,
    )
    store: EventStore | None = None
    store_files: StoreFiles | None = None
    if settings.store.enabled:
        reserve = settings.min_free_space
        store = opened.enter_context(closing(open_store(data.store, settings.store, reserve=reserve)))
        yield StoreLoader(feed, store, positions, keep=settings.store.keep, clock=clock, metrics=metrics, log=log)
        if isinstance(store, FileMakingStore):
            store_files = StoreFiles(store, clock=clock, log=log)
            yield store_files
    else:
        positions.forget(CONSUMER)  # retention need not wait for what is not loaded
    yield from make_sinks(
        settings.sinks,
        feed,
        positions,
        output=worker.orders.output,
        log=log,
        metrics=metrics,
        clock=clock,
    )
    webhooks = Webhooks(data.webhooks, feed, positions, settings, clock=clock, log=log, metrics=metrics)
    opened.callback(webhooks.close)
    webhooks.adopt()  # before the feed grows
    yield webhooks
    erasures, hashing = Erasures(data.erasures), recipient_hash(settings.privacy, data)
    yield ErasureFlow(
        erasures,
        data.journal,
        data.feed,
        flow,
        end=feed.end,
        store=store,
        leftovers=[SpoolRows(data.spool), FactsRows(data.facts)],
        hashing=hashing,
        clock=clock,
        metrics=metrics,
        log=log,
        closed_segments=closed_segments,
    )
    keys = ApiKeys(data.api_keys, clock)
    privacy = PrivacyParts(PersonEvents(data.feed, data.journal, hashing), erasures)
    api = ApiParts(
        settings=settings.api,
        keys=keys,
        clock=clock,
        metrics=metrics,
        log=log,
        webhooks=webhooks.subscriptions,
        store=store,
        store_files=None if store_files is None else StoreFileParts(store_files),
        privacy=privacy,
        feed=feed,
        open_link=link_opener(KeySource(settings.keys, data, clock)),
        hashing=hashing,
    )
    secret = load_or_create_secret(data.dashboard_secret, loses="every session") if settings.dashboard.enabled else None

    def make_site(who: Authentication, stop: asyncio.Event) -> Dashboard | None:
        return None if secret is None else Dashboard(api, settings.dashboard, who, secret, streams=Streams(stop))

    yield _ApiServer([each for _, each in worker.sockets], data.api_address, api, make_site)


def link_opener(keys: KeySource) -> Callable[[str], Link]:
    """Says what a pasted link says, by the keys as they stand then; KeyringError where this node has none."""
    return lambda text: open_pasted(TokenCodec(keys.load()), text)


class _ApiServer:
    """The API, and what site there is beside it."""

    name = "api"

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        address: Path,
        parts: ApiParts,
        make_site: Callable[[Authentication, asyncio.Event], Site | None],
    ) -> None:
        self._sockets = sockets
        self._address = address
        self._parts = parts
        self._make_site = make_site

    async def run(self, stop: asyncio.Event) -> None:
        parts = self._parts
        who = authentication_of(parts)
        app = make_app(parts, who=who, site=self._make_site(who, stop))
        with api_address_kept(self._address, self._sockets):
            await serve_api(self._sockets, app, stop, limits=limits_of(parts), clock=parts.clock, metrics=parts.metrics)
