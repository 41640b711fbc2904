"""What following a link does: the answer, the event, and what happens when something is in the way."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from mailwake.clock import ManualClock
from mailwake.events.from_record import engagement_event
from mailwake.events.model import EventType
from mailwake.events.privacy import EventPrivacy, IpAddresses, RecipientHash
from mailwake.events.record import (
    EngagementRecord,
    ObservationRecord,
    decode_record,
    encode_engagement,
)
from mailwake.events.unique_ids import UniqueIds
from mailwake.events.wire import to_wire
from mailwake.flows.click_flow import ClickFlow, is_safe_target
from mailwake.journal.frame import JournalError
from mailwake.journal.reader import JournalReader
from mailwake.journal.segment_file import Disk
from mailwake.journal.writer import JournalWriter
from mailwake.links.keyring import Key, Keyring, KeyringError
from mailwake.links.token import LinkContext, LinkKind, TokenCodec, decode_body, message_id, pack_context
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.tracker_worker import run_tracker_worker
from mailwake.tracker.arrivals import Front
from mailwake.tracker.client_facts import ClientFactsReader
from mailwake.tracker.messages import Request, RequestHeaders
from mailwake.tracker.outcome import Outcome, Shown

NOW = 1_800_000_000
LIFE = 1000
TARGET = "https://shop.example/a?b=c&d=%20#e"
OLD = Key(1, bytes(range(64)))
NEW = Key(2, bytes(range(1, 65)))
PATIENCE = 20.0


def a_request(fields: dict[str, str] | None = None, method: str = "GET") -> Request:
    values: dict[bytes, bytes | list[bytes]] = {k.encode(): v.encode() for k, v in (fields or {}).items()}
    return Request(method, "/", RequestHeaders(values), client="192.0.2.7")


class Lines:
    """A logger that keeps what was said as an error."""

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []

    def error(self, event: str, **values: Any) -> None:
        self.errors.append({"event": event, **values})


class BadDisk(Disk):
    """A disk that can be full, and that can hang."""

    def __init__(self) -> None:
        self.full = False
        self.spins = threading.Event()
        self.spins.set()

    def write(self, descriptor: int, data: bytes) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self.spins.wait(PATIENCE)
        super().sync(descriptor)


class Bench:
    """A click flow on real parts, and what can be seen of it from outside."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock(NOW)
        self.metrics = Metrics()
        self.lines = Lines()
        self.disk = BadDisk()
        self.directory = directory
        self.journal = JournalWriter(directory, "t", disk=self.disk)
        self.codec = TokenCodec(Keyring.of([OLD]))
        self.reserve: Callable[[int], None] = lambda ms: None
        self.ids = UniqueIds(1, 2, self.clock.now, lambda ms: self.reserve(ms))

    def flow(self, **options: Any) -> ClickFlow:
        return ClickFlow(
            self.codec,
            self.ids,
            self.journal,
            ClientFactsReader(),
            self.metrics,
            self.clock,
            cast("Any", self.lines),
            **options,
        )

    def events(self) -> list[EngagementRecord]:
        if not self.directory.exists():
            return []
        records = [decode_record(record.payload) for record in JournalReader(self.directory).read().records]
        return [record for record in records if isinstance(record, EngagementRecord)]

    def count(self, name: str, *labels: str) -> float:
        return self.metrics.counter(name, *labels).value


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "journal")
    yield bench
    bench.disk.spins.set()
    await bench.journal.close()


def token(kind: LinkKind, target: str = "", *, key: Key = OLD, sent: int = NOW) -> str:
    transmission = UniqueIds(1, 1, lambda: NOW, lambda ms: None).next()
    context = LinkContext(
        customer_id="42",
        transmission_id=transmission,
        message_id=message_id(transmission, 3),
        sent=sent,
        expires=LIFE,
        recipient="ann@example.com",
        campaign_id="spring",
        tags=("a", "b"),
        metadata='{"k":"v"}',
    )
    return TokenCodec(Keyring.of([key])).encode(kind, pack_context(context), target, "name").decode()


async def follow(flow: ClickFlow, family: str, text: str, request: Any = None, *, record: bool = True) -> Outcome:
    async with asyncio.timeout(PATIENCE):
        return await flow.follow(family, text, request or a_request(), record=record)


async def test_a_click_leads_to_its_target_and_its_event_is_durable_by_then(bench: Bench) -> None:
    request = a_request({"user-agent": "UA/1", "accept-language": "de", "sec-purpose": "prefetch"})
    assert await follow(bench.flow(), "f", token(LinkKind.CLICK, TARGET), request) == TARGET
    (event,) = bench.events()
    assert (event.type, event.time_ms, event.address) == (EventType.CLICK, NOW * 1000, "192.0.2.7")
    assert (event.user_agent, event.accept_language, event.prefetched) == ("UA/1", "de", True)
    link = decode_body(event.raw_body)
    assert (link.target, link.name, link.context.recipient) == (TARGET, "name", "ann@example.com")
    assert bench.count("events_total", "click") == 1


@pytest.mark.parametrize(
    ("kind", "family", "outcome"),
    [
        (LinkKind.CLICK, "f", TARGET),
        (LinkKind.LINK_UNSUBSCRIBE, "f", TARGET),
        (LinkKind.AMP_CLICK, "f", TARGET),
        (LinkKind.OPEN, "q", Shown.IMAGE),
        (LinkKind.AMP_OPEN, "q", Shown.IMAGE),
        (LinkKind.INITIAL_OPEN, "o", Shown.IMAGE),
        (LinkKind.AMP_INITIAL_OPEN, "o", Shown.IMAGE),
    ],
)
async def test_each_kind_has_its_answer_and_its_event(
    bench: Bench, kind: LinkKind, family: str, outcome: Outcome
) -> None:
    text = token(kind, TARGET if family == "f" else "")
    assert await follow(bench.flow(), family, text) == outcome
    assert [event.type.name for event in bench.events()] == [kind.name]
    assert bench.count("events_total", kind.name.lower()) == 1


async def test_every_follower_makes_an_event_of_its_own(bench: Bench) -> None:
    flow, text = bench.flow(), token(LinkKind.CLICK, TARGET)
    await asyncio.gather(*[follow(flow, "f", text) for _ in range(300)])
    ids = [event.event_id for event in bench.events()]
    assert len(ids) == len(set(ids)) == 300


async def test_without_recording_the_answer_is_the_same_and_there_is_no_event(bench: Bench) -> None:
    assert await follow(bench.flow(), "f", token(LinkKind.CLICK, TARGET), record=False) == TARGET
    assert await follow(bench.flow(), "q", token(LinkKind.OPEN), record=False) is Shown.IMAGE
    assert bench.events() == []


async def test_a_head_request_for_a_link_is_noted_without_being_an_event(bench: Bench) -> None:
    request = a_request({"user-agent": "UA/1"})
    assert await follow(bench.flow(), "f", token(LinkKind.CLICK, TARGET), request, record=False) == TARGET
    await bench.journal.append(b"x")  # what comes later is durable, and so is it
    first, *_ = JournalReader(bench.directory).read().records
    note = decode_record(first.payload)
    assert isinstance(note, ObservationRecord)
    assert (note.type, note.time_ms, note.address, note.user_agent) == (
        EventType.CLICK,
        NOW * 1000,
        "192.0.2.7",
        "UA/1",
    )
    assert decode_body(note.raw_body).target == TARGET


async def test_a_head_request_for_an_expired_link_leaves_nothing(bench: Bench) -> None:
    bench.clock.advance(LIFE + 1)
    assert await follow(bench.flow(), "f", token(LinkKind.CLICK, TARGET), record=False) == TARGET
    await bench.journal.append(b"x")
    (only,) = JournalReader(bench.directory).read().records
    assert only.payload == b"x"


async def test_a_full_disk_is_nothing_to_a_head_request(bench: Bench) -> None:
    bench.disk.full = True
    assert await follow(bench.flow(), "f", token(LinkKind.CLICK, TARGET), record=False) == TARGET
    with pytest.raises(JournalError, match="No space left"):
        await bench.journal.append(b"x")
    assert bench.count("events_lost_total") == 0
    assert bench.lines.errors == []


async def test_an_altered_token_leads_nowhere_whichever_character_it_is(bench: Bench) -> None:
    flow, text = bench.flow(), token(LinkKind.CLICK, TARGET)
    for index, character in enumerate(text):
        altered = text[:index] + ("A" if character != "A" else "B") + text[index + 1 :]
        assert await follow(flow, "f", altered) is Shown.NOTHING, index
    assert bench.events() == []
    assert bench.count("tracker_tokens_refused_total", "forged") > 0


@pytest.mark.parametrize(
    ("family", "text", "reason"),
    [
        ("f", token(LinkKind.CLICK, TARGET)[:-4], "forged"),
        ("f", token(LinkKind.CLICK, TARGET)[:10], "length"),
        ("f", "", "length"),
        ("f", "é" * 100, "encoding"),
        ("q", token(LinkKind.CLICK, TARGET), "forged"),
        ("o", token(LinkKind.OPEN), "forged"),
        ("f", token(LinkKind.CLICK, TARGET, key=NEW), "key"),
        ("u", token(LinkKind.CLICK, TARGET), "forged"),
        ("u", token(LinkKind.LIST_UNSUBSCRIBE)[:-4], "forged"),
        ("f", token(LinkKind.CLICK), "target"),
        ("f", token(LinkKind.CLICK, "https://a.example/\r\nSet-Cookie: a=b"), "target"),
    ],
)
async def test_what_is_no_good_link_leads_nowhere_and_is_counted(
    bench: Bench, family: str, text: str, reason: str
) -> None:
    assert await follow(bench.flow(), family, text) is Shown.NOTHING
    assert bench.events() == []
    assert bench.count("tracker_tokens_refused_total", reason) == 1


@pytest.mark.parametrize("target", ["https://a.example/ä", "https://a.example/\x7f", "\thttps://a.example", " ", "a\0"])
def test_targets_that_no_header_can_carry(target: str) -> None:
    assert not is_safe_target(target)


async def test_an_expired_link_still_works_but_makes_no_event(bench: Bench) -> None:
    flow = bench.flow()
    bench.clock.advance(LIFE)
    assert await follow(flow, "f", token(LinkKind.CLICK, TARGET)) == TARGET
    assert len(bench.events()) == 1, "it expires after its life, not with its last second"
    bench.clock.advance(1)
    assert await follow(flow, "f", token(LinkKind.CLICK, TARGET)) == TARGET
    assert await follow(flow, "q", token(LinkKind.OPEN)) is Shown.IMAGE
    assert len(bench.events()) == 1
    assert bench.count("tracker_links_expired_total") == 2


async def test_a_full_disk_costs_the_event_but_not_the_redirect(bench: Bench) -> None:
    flow, text = bench.flow(), token(LinkKind.CLICK, TARGET)
    bench.disk.full = True
    for _ in range(3):
        assert await follow(flow, "f", text) == TARGET
    assert bench.count("events_lost_total") == 3
    assert bench.count("events_total", "click") == 0
    assert len(bench.lines.errors) == 1, "one line a second is enough"
    assert "No space left on device" in bench.lines.errors[0]["error"]
    bench.clock.advance(1)
    assert await follow(flow, "f", text) == TARGET
    assert bench.lines.errors[1]["events"] == 3, "it says how many there were since"
    bench.disk.full = False
    assert await follow(flow, "f", text) == TARGET
    assert len(bench.events()) == 1
    assert bench.count("events_lost_total") == 4


async def test_a_disk_that_hangs_keeps_the_first_waiting_for_a_while_and_nobody_after(bench: Bench) -> None:
    flow, text = bench.flow(patience=0.05), token(LinkKind.CLICK, TARGET)
    bench.disk.spins.clear()
    assert await follow(flow, "f", text) == TARGET
    assert bench.count("events_lost_total") == 1
    assert "did not answer for 0.05 s" in bench.lines.errors[0]["error"]
    for _ in range(5):
        with pytest.raises(StopIteration):  # it answers without ever giving up the loop
            flow.follow("f", text, a_request(), record=True).send(None)
    bench.disk.spins.set()
    await bench.journal.close()
    await asyncio.sleep(0)
    assert len(bench.events()) == 6, "the disk came back before the journal gave up"
    assert bench.count("events_total", "click") == 5
    assert bench.count("events_lost_total") == 1


async def test_after_a_hang_answers_wait_for_the_disk_again(bench: Bench) -> None:
    flow, text = bench.flow(patience=0.05), token(LinkKind.CLICK, TARGET)
    bench.disk.spins.clear()
    await follow(flow, "f", text)
    assert await follow(flow, "f", text) == TARGET
    bench.disk.spins.set()
    await bench.journal.append(encode_engagement(EngagementRecord(EventType.OPEN, 0, 0, "", "", "", False, b"")))
    assert bench.count("events_total", "click") == 1
    before = len(bench.events())
    await follow(flow, "f", text)
    assert len(bench.events()) == before + 1


async def test_what_is_lost_after_a_hang_is_counted_too(bench: Bench) -> None:
    flow, text = bench.flow(patience=0.05), token(LinkKind.CLICK, TARGET)
    bench.disk.spins.clear()
    await follow(flow, "f", text)
    await follow(flow, "f", text)
    bench.disk.full = True
    bench.disk.spins.set()
    await bench.journal.close()
    await asyncio.sleep(0)
    assert bench.count("events_lost_total") == 2


async def test_a_cancelled_request_is_no_loss_and_stays_cancelled(bench: Bench) -> None:
    bench.disk.spins.clear()
    following = asyncio.create_task(follow(bench.flow(), "f", token(LinkKind.CLICK, TARGET)))
    await asyncio.sleep(0)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert bench.count("events_lost_total") == 0


async def test_without_an_id_there_is_no_event_but_a_redirect(bench: Bench) -> None:
    def refuse(ms: int) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    bench.reserve = refuse
    assert await follow(bench.flow(), "f", token(LinkKind.CLICK, TARGET)) == TARGET
    assert bench.count("events_lost_total") == 1
    assert bench.events() == []


async def test_a_key_that_was_added_meanwhile_is_found(bench: Bench) -> None:
    flow = bench.flow(read_keyring=lambda: Keyring.of([OLD, NEW]))
    assert await follow(flow, "f", token(LinkKind.CLICK, TARGET, key=NEW)) == TARGET
    assert await follow(flow, "f", token(LinkKind.CLICK, TARGET)) == TARGET
    assert len(bench.events()) == 2


async def test_the_keyring_is_read_at_most_once_a_second(bench: Bench) -> None:
    readings: list[float] = []

    def read() -> Keyring:
        readings.append(bench.clock.monotonic())
        return Keyring.of([OLD])

    flow, text = bench.flow(read_keyring=read), token(LinkKind.CLICK, TARGET, key=NEW)
    for _ in range(4):
        for _ in range(5):
            assert await follow(flow, "f", text) is Shown.NOTHING
        bench.clock.advance(0.5)
    assert readings == [0.0, 1.0]
    assert bench.count("tracker_tokens_refused_total", "key") == 20


@pytest.mark.parametrize("error", [KeyringError("damaged"), OSError(errno.EACCES, "Permission denied")])
async def test_an_unreadable_keyring_leaves_the_old_one_in_use(bench: Bench, error: Exception) -> None:
    def read() -> Keyring:
        raise error

    flow = bench.flow(read_keyring=read)
    assert await follow(flow, "f", token(LinkKind.CLICK, TARGET, key=NEW)) is Shown.NOTHING
    assert await follow(flow, "f", token(LinkKind.CLICK, TARGET)) == TARGET
    assert bench.lines.errors[0]["event"].startswith("keyring cannot be read")


async def unsubscribe(flow: ClickFlow, text: str, request: Any = None) -> Outcome:
    async with asyncio.timeout(PATIENCE):
        return await flow.unsubscribe(text, request or a_request(method="POST"))


async def test_looking_at_an_unsubscription_link_unsubscribes_nobody(bench: Bench) -> None:
    flow, text = bench.flow(), token(LinkKind.LIST_UNSUBSCRIBE)
    assert await follow(flow, "u", text) is Shown.UNSUBSCRIBE
    assert await follow(flow, "u", text, record=False) is Shown.UNSUBSCRIBE
    assert bench.events() == []


async def test_unsubscribing_is_durable_when_it_is_answered(bench: Bench) -> None:
    request = a_request({"user-agent": "provider"}, method="POST")
    assert await unsubscribe(bench.flow(), token(LinkKind.LIST_UNSUBSCRIBE), request) is Shown.UNSUBSCRIBED
    (event,) = bench.events()
    assert (event.type, event.address, event.user_agent) == (EventType.LIST_UNSUBSCRIBE, "192.0.2.7", "provider")
    assert decode_body(event.raw_body).context.recipient == "ann@example.com"
    assert bench.count("events_total", "list_unsubscribe") == 1


async def test_unsubscribing_works_for_ever(bench: Bench) -> None:
    bench.clock.advance(LIFE * 1000)
    assert await unsubscribe(bench.flow(), token(LinkKind.LIST_UNSUBSCRIBE)) is Shown.UNSUBSCRIBED
    assert len(bench.events()) == 1


@pytest.mark.parametrize("text", ["", "x" * 200, token(LinkKind.CLICK, TARGET), token(LinkKind.LIST_UNSUBSCRIBE)[:-4]])
async def test_what_is_no_unsubscription_link_leaves_no_event(bench: Bench, text: str) -> None:
    assert await unsubscribe(bench.flow(), text) is Shown.NOTHING
    assert bench.events() == []


async def test_an_unsubscription_that_is_not_recorded_is_said_not_to_be(bench: Bench) -> None:
    flow, text = bench.flow(), token(LinkKind.LIST_UNSUBSCRIBE)
    bench.disk.full = True
    for _ in range(3):
        assert await unsubscribe(flow, text) is Shown.NOT_RECORDED
    (line,) = bench.lines.errors
    assert (line["event"], line["requests"]) == ("unsubscriptions not recorded, answered 503", 1)
    assert bench.count("events_lost_total") == 0, "whoever asked is told to ask again"
    bench.disk.full = False
    assert await unsubscribe(flow, text) is Shown.UNSUBSCRIBED
    assert bench.count("events_total", "list_unsubscribe") == 1


async def test_a_disk_that_hangs_unsubscribes_nobody_and_never_pretends_to(bench: Bench) -> None:
    flow, text = bench.flow(patience=0.05), token(LinkKind.LIST_UNSUBSCRIBE)
    bench.disk.spins.clear()
    assert await follow(flow, "f", token(LinkKind.CLICK, TARGET)) == TARGET
    assert await unsubscribe(flow, text) is Shown.NOT_RECORDED, "clicks stop waiting now, unsubscriptions do not"
    bench.disk.spins.set()
    while await unsubscribe(flow, text) is not Shown.UNSUBSCRIBED:
        assert bench.disk.spins.is_set()  # until the disk has done what waited for it


async def test_an_unsubscription_from_an_anonymous_copy_names_no_message_and_no_address(bench: Bench) -> None:
    context = LinkContext(
        customer_id="",
        transmission_id=0,
        message_id=message_id(0, 0xFFFF),
        sent=NOW,
        expires=LIFE,
        recipient="ann@example.com",
    )
    text = bench.codec.encode(LinkKind.LIST_UNSUBSCRIBE, pack_context(context)).decode()
    assert await unsubscribe(bench.flow(), text) is Shown.UNSUBSCRIBED
    (record,) = bench.events()
    assert record.address == ""
    wire = to_wire(engagement_event(record, decode_body(record.raw_body)))["msys"]["unsubscribe_event"]
    assert wire["rcpt_to"] == "ann@example.com"
    assert not {"message_id", "transmission_id", "ip_address"} & set(wire)


@pytest.mark.parametrize(("ip_addresses", "kept"), [("full", "192.0.2.7"), ("truncated", "192.0.2.0"), ("none", "")])
async def test_an_address_is_made_less_of_before_it_is_written(
    bench: Bench, ip_addresses: IpAddresses, kept: str
) -> None:
    flow = bench.flow(privacy=EventPrivacy(ip_addresses))
    assert await follow(flow, "f", token(LinkKind.CLICK, TARGET)) == TARGET
    assert await unsubscribe(flow, token(LinkKind.LIST_UNSUBSCRIBE)) is Shown.UNSUBSCRIBED
    assert [event.address for event in bench.events()] == [kept, kept]
    written = b"".join(path.read_bytes() for path in bench.directory.iterdir())
    assert (b"192.0.2.7" in written) is (kept == "192.0.2.7")


async def test_a_link_that_is_older_than_hashing_is_hashed_before_it_is_written(bench: Bench) -> None:
    hashing = RecipientHash(bytes(32))
    flow = bench.flow(privacy=EventPrivacy(recipients=hashing))
    assert await follow(flow, "f", token(LinkKind.CLICK, TARGET)) == TARGET
    (event,) = bench.events()
    link = decode_body(event.raw_body)
    assert link.context.recipient == hashing.hashed("ann@example.com")
    before = bench.codec.decode(token(LinkKind.CLICK, TARGET), "f")
    assert (link.target, link.name, link.expires_at) == (before.target, before.name, before.expires_at)
    assert (link.context.tags, link.context.metadata) == (before.context.tags, before.context.metadata)
    assert b"ann@" not in b"".join(path.read_bytes() for path in bench.directory.iterdir())


async def test_a_worker_answers_http_and_has_the_event_on_disk_before(bench: Bench) -> None:
    stop = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(
            run_tracker_worker(
                [(listening, Front())],
                codec=bench.codec,
                ids=bench.ids,
                journal=bench.journal,
                metrics=bench.metrics,
                clock=bench.clock,
                log=make_logger("json", "error"),
                stop=stop,
            )
        )
        async with asyncio.timeout(PATIENCE):
            bench.disk.spins.clear()
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            path = f"/f/a/{token(LinkKind.CLICK, TARGET)}?utm=1"
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answering = asyncio.create_task(reader.read())
            done, _ = await asyncio.wait({answering}, timeout=0.2)
            assert not done, "the answer must wait for the disk"
            bench.disk.spins.set()
            answer = await answering
            assert len(bench.events()) == 1
            writer.close()
            await writer.wait_closed()
            stop.set()
            await serving
    assert answer.startswith(b"HTTP/1.1 302 Found\r\n")
    assert f"\r\nlocation: {TARGET}\r\n".encode() in answer
