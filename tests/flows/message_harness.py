"""A message flow with all its real parts, and a next hop that is a real SMTP server told what to answer whom."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from pathlib import Path

from mailwake.clock import SystemClock
from mailwake.config.load import load
from mailwake.config.scopes import ScopedOptions
from mailwake.events.from_record import EventReader
from mailwake.events.model import Event
from mailwake.events.record import record_time
from mailwake.events.unique_ids import UniqueIds
from mailwake.flows.event_outbox import EventOutbox
from mailwake.flows.message_events import MessageEvents
from mailwake.flows.message_flow import MessageFlow
from mailwake.flows.message_policy import MessagePolicy
from mailwake.flows.policy_rejections import PolicyRejections
from mailwake.flows.preparation import Preparation
from mailwake.flows.remainder import Remainder
from mailwake.flows.spool_acceptance import SpoolAcceptance
from mailwake.flows.spool_entry import EntryEvents
from mailwake.journal.id_reservation import IdReservation
from mailwake.journal.reader import JournalReader
from mailwake.journal.writer import JournalWriter
from mailwake.links.keyring import Keyring
from mailwake.links.token import TokenCodec, decode_body
from mailwake.listener.accounts import Accounts
from mailwake.listener.limits import ListenerLimits
from mailwake.listener.memory_budget import MemoryBudget
from mailwake.listener.server import Listener
from mailwake.listener.session import Session
from mailwake.listener.settings import ListenerSettings
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.policy.policies import ConfiguredPolicy, Policies
from mailwake.policy.precedence import EngagementLimits
from mailwake.relay.attempt_end import AttemptEnds
from mailwake.relay.retry import RetryLoop
from mailwake.relay.route import Hop, Route
from mailwake.relay.routes import Routes
from mailwake.relay.schedule import RetrySchedule
from mailwake.relay.settings import RelaySettings
from mailwake.relay.status_report import StatusReports
from mailwake.service.data_directory import DataDirectory
from mailwake.service.event_privacy import event_privacy
from mailwake.service.parts import preparation_settings
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.extensions import EVERY_EXTENSION
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_limits import ServerLimits
from mailwake.spool.group_commit import GroupCommit
from mailwake.spool.sqlite_spool import SqliteSpool

OK = Reply(250, "2.0.0", "taken")


class NextHop:
    """A real SMTP server: `answers` says what a recipient's copy gets, everybody else's is taken."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply] = {}
        self.taken: list[tuple[str, bytes]] = []
        self.asked: list[str] = []
        self.envelopes: list[Envelope] = []
        self.port = 0
        self.extensions = EVERY_EXTENSION
        self._listener: Listener | None = None

    async def receive(self, session: Session, envelope: Envelope, content: bytes) -> Reply:
        (recipient,) = envelope.recipients
        self.asked.append(recipient)
        self.envelopes.append(envelope)
        reply = self.answers.get(recipient, OK)
        if reply.is_positive:
            self.taken.append((recipient, content))
        return reply

    async def start(self) -> None:
        scopes = ScopedOptions(load(host_name="hop.example"))
        settings = ListenerSettings(
            name="hop",
            hostname="hop.example",
            greeting="hop.example ESMTP",
            limits=ListenerLimits(
                protocol=ServerLimits(2048, 12_288, 1 << 20, 64 << 20, 10, 20, 1 << 20),
                connections=100,
                idle_timeout=300,
                command_timeout=300,
                data_timeout=300,
                transactions=0,
                auth_failures=3,
            ),
            relay_networks=[ipaddress.ip_network("127.0.0.0/8")],
            tls_context=None,
            auth_requires_tls="no",
            bare_newlines="reject",
            resolve=lambda peer, pathway: scopes.resolve("hop", peer, pathway),
            extensions=lambda peer: self.extensions,
        )
        log = make_logger("json", "error")
        budget, clock = MemoryBudget(1 << 30), SystemClock()
        none = Policies([], log=log, metrics=Metrics())
        self._listener = Listener(
            settings, self, Accounts({}), policies=none, budget=budget, clock=clock, log=log, metrics=Metrics()
        )
        listening = socket.socket()
        listening.bind(("127.0.0.1", self.port))
        listening.setblocking(False)
        listening.listen()
        self.port = listening.getsockname()[1]
        await self._listener.start(listening)

    async def stop(self) -> None:
        if self._listener is not None:
            await self._listener.stop(grace=1)
            self._listener = None


class MessageHarness:
    """Everything an SMTP worker has between its listener and its next hop; `overrides` are settings.

    `further_hops` are those of routes besides the default one, by name.
    """

    def __init__(self, directory: Path, overrides: dict[str, str], file: Path | None = None) -> None:
        self.directory = directory
        self.hop = NextHop()
        self.further_hops: dict[str, NextHop] = {}
        self.policy_hosts: list[ConfiguredPolicy] = []
        self.metrics = Metrics()
        self.configuration = load(file, overrides, host_name="mailwake.example")
        self.codec = TokenCodec(Keyring.new(os.urandom, 0))
        self.privacy = event_privacy(self.configuration.settings.privacy, DataDirectory(directory))

    async def start(self) -> None:
        await self.hop.start()
        for further in self.further_hops.values():
            await further.start()
        clock, log = SystemClock(), make_logger("json", "error")
        marks = IdReservation(self.directory / "ids", 0)
        ids = UniqueIds(1, 0, clock.now, marks.reserve, used_up_to=marks.used_up_to)
        self.journal = JournalWriter(self.directory / "journal", "smtp-0")
        self.spool = SqliteSpool(self.directory / "spool.sqlite3")
        self.front = GroupCommit(self.spool)
        hops = {"": self.hop, **self.further_hops}
        self.delivery = Routes(
            {
                name: Route(
                    name or "default",
                    [Hop(RelaySettings("127.0.0.1", hop.port, connect_timeout=5, idle_seconds=5))],
                    log=log,
                    metrics=self.metrics,
                )
                for name, hop in hops.items()
            },
            log=log,
        )
        preparation = Preparation(
            preparation_settings(self.configuration.settings, self.privacy),
            ids=ids,
            codec=self.codec,
            admit_tags=list,
            clock=clock,
            log=log,
            metrics=self.metrics,
        )
        events = MessageEvents(self.journal, ids, privacy=self.privacy, clock=clock, log=log, metrics=self.metrics)
        schedule = RetrySchedule((0.05,), 3600.0)
        reports = StatusReports("mailwake.example")
        remainder = Remainder(self.front, schedule, preparation, reports, clock=clock, log=log, metrics=self.metrics)
        self.outbox = EventOutbox(self.front, self.journal, log=log)
        entry_events = EntryEvents(self.spool, events, self.outbox)
        ends = AttemptEnds(schedule, reports, entry_events)
        self.retries = RetryLoop(
            self.front, self.delivery, ends, entry_events, clock, log=log, metrics=self.metrics, poll_seconds=0.05
        )
        self.acceptance = SpoolAcceptance(
            self.front, preparation, events, self.outbox, self.retries, metrics=self.metrics
        )
        self.policies = Policies(self.policy_hosts, log=log, metrics=self.metrics)
        policy = MessagePolicy(self.policies, metrics=self.metrics)
        self.rejections = PolicyRejections(
            events,
            ids,
            limits=EngagementLimits.of(self.configuration.settings),
            node_name="mailwake.example",
            privacy=self.privacy,
            known_tags=list,
            clock=clock,
        )
        self.flow = MessageFlow(
            preparation,
            self.delivery,
            remainder,
            events,
            policy=policy,
            rejections=self.rejections,
            acceptance=self.acceptance if self.configuration.settings.spool.acceptance == "spool" else None,
            clock=clock,
            log=log,
            metrics=self.metrics,
        )

    async def stop(self) -> None:
        await self.retries.stop(1)
        await self.delivery.close()
        await self.journal.close()
        await self.front.close()
        self.spool.close()
        for hop in (self.hop, *self.further_hops.values()):
            await hop.stop()

    def session(self) -> Session:
        scopes = ScopedOptions(self.configuration)
        listener = scopes.listeners[0]
        session = Session(listener, "192.0.2.7", 4711, scopes.resolve(listener, "192.0.2.7"), trusted_network=True)
        session.resolve = lambda pathway: scopes.resolve(listener, "192.0.2.7", pathway)
        session.hello_domain, session.extended = "client.example", True
        return session

    async def receive(
        self, recipients: list[str], content: bytes, sender: str = "news@sender.example", session: Session | None = None
    ) -> Reply:
        answer = await self.flow.receive(session or self.session(), Envelope(sender, recipients), content)
        assert isinstance(answer, Reply)
        return answer

    def events(self) -> list[Event]:
        if not (self.directory / "journal").exists():
            return []
        found = JournalReader(self.directory / "journal", time_of=record_time).read()
        read = EventReader(decode_body).read
        return [event for record in found.records if (event := read(record.payload)) is not None]

    async def retry_until_empty(self) -> None:
        self.retries.start()
        async with asyncio.timeout(60):
            while self.spool.count():  # noqa: ASYNC110  # other processes empty a spool, and send no event
                await asyncio.sleep(0.02)
            await self.retries.settle()
