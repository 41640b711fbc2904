"""`mailwake privacy` on a data directory beside which no service runs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailwake.cli.privacy_commands import app
from mailwake.config.store_settings import Store
from mailwake.control.erasures import Erasures
from mailwake.errors import MailwakeError
from mailwake.events.from_record import message_event
from mailwake.events.model import Event, EventType
from mailwake.events.record import MessageFacts, MessageRecord, encode_message, pack_facts
from mailwake.feed.contract import Position
from mailwake.feed.payload import encode_event
from mailwake.feed.writer import FeedWriter
from mailwake.journal.frame import frame
from mailwake.journal.segment_file import Disk, SegmentFile
from mailwake.store.duckdb_store import open_store

ANN = "Ann@example.org"


def run(data: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--data", str(data)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_hash_is_made_with_the_sites_own_secret_and_is_the_same_each_time(tmp_path: Path) -> None:
    first = run(tmp_path, "hash", ANN)
    secret = base64.b64decode((tmp_path / "recipient-hash.key").read_bytes())
    expected = hmac.new(secret, b"mailwake recipient\0ann@example.org", hashlib.sha256).hexdigest()[:32]
    assert first == run(tmp_path, "hash", ANN.lower()) == f"hashed-{expected}@example.org\n"


def test_the_secret_may_stand_in_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "mailwake.toml"
    secret = base64.b64encode(bytes(range(32))).decode()
    config.write_text(f'data_dir = "{tmp_path}"\n[privacy]\nhash_secret = "{secret}"\n')
    result = CliRunner().invoke(app, ["hash", ANN, "--config", str(config)], catch_exceptions=False)
    expected = hmac.new(bytes(range(32)), b"mailwake recipient\0ann@example.org", hashlib.sha256).hexdigest()[:32]
    assert result.stdout == f"hashed-{expected}@example.org\n"
    assert not (tmp_path / "recipient-hash.key").exists()


def test_export_has_each_event_once_be_it_in_the_feed_or_only_in_the_journal(tmp_path: Path) -> None:
    hashed = run(tmp_path, "hash", ANN).strip()
    facts = MessageFacts(7, 1000, 1)

    def record(number: int, recipient: str) -> MessageRecord:
        return MessageRecord(EventType.INJECTION, number, 1000 + number, 0, recipient, "", facts)

    records = [record(1, ANN), record(2, "bob@example.org"), record(3, hashed), record(4, ANN)]
    writer = FeedWriter(tmp_path / "feed")
    writer.append([encode_event(message_event(each)) for each in records[:3]], {})
    writer.close()
    (tmp_path / "journal").mkdir()
    segment = SegmentFile(tmp_path / "journal", "smtp-0", Disk(), 1 << 20)
    for each in (*records, records[-1]):
        payload = encode_message(each.type, each.event_id, each.time_ms, pack_facts(facts), each.recipient, 0)
        segment.append(frame(payload))
    segment.close()
    lines = [json.loads(line)["msys"]["message_event"] for line in run(tmp_path, "export", ANN.upper()).splitlines()]
    assert [(line["event_id"], line["raw_rcpt_to"]) for line in lines] == [("1", ANN), ("3", hashed), ("4", ANN)]


def test_export_has_what_only_the_store_still_has_and_nothing_twice(tmp_path: Path) -> None:
    strange = '"a,b"@example.org'
    hashed = run(tmp_path, "hash", strange).strip()
    facts = MessageFacts(7, 1000, 1)

    def record(number: int, recipient: str) -> Event:
        return message_event(MessageRecord(EventType.INJECTION, number, 1000 + number, 0, recipient, "", facts))

    events = [record(1, strange), record(2, ANN), record(3, hashed), record(4, strange)]
    writer = FeedWriter(tmp_path / "feed")
    writer.append([encode_event(events[3])], {})
    writer.close()
    (tmp_path / "journal").mkdir()

    async def fill() -> None:
        with closing(open_store(tmp_path / "store", Store())) as store:
            await store.open()
            await store.load(events, Position(1, 1))

    asyncio.run(fill())
    lines = [json.loads(line)["msys"]["message_event"] for line in run(tmp_path, "export", strange).splitlines()]
    assert [line["event_id"] for line in lines] == ["4", "3", "1"]


def test_erase_without_a_service_is_kept_for_its_next_start(tmp_path: Path) -> None:
    assert run(tmp_path, "status") == ""
    told = run(tmp_path, "erase", ANN)
    assert told == "erasure 1 is pending; it is done when the service runs again. See: mailwake privacy status\n"
    assert "pending, 0 records erased so far" in run(tmp_path, "status")
    with pytest.raises(MailwakeError, match=r"no collector runs on .*: start the service"):
        run(tmp_path, "erase", ANN, "--wait")
    Erasures(tmp_path / "erasures.sqlite3").finish(1, 5000)
    (line,) = run(tmp_path, "status", "--json").splitlines()
    shown = json.loads(line)
    assert (shown["number"], shown["finished"], shown["records"]) == (1, "1970-01-01T00:00:05.000Z", 0)
    assert "ann@" not in line.lower()


@pytest.mark.parametrize("address", ["ann", "a b@example.org", "a\nb@example.org"])
@pytest.mark.parametrize("command", ["hash", "export", "erase"])
def test_what_is_no_address_is_said(tmp_path: Path, command: str, address: str) -> None:
    with pytest.raises(MailwakeError, match=r"is no address; give one like ann@example\.org"):
        run(tmp_path, command, address)


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(MailwakeError, match="there is no such data directory"):
        run(tmp_path / "nowhere", "hash", ANN)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [(b"short", 0o600, "holds no 32 octets in base64"), (b"x" * 44, 0o644, "others may read the secret")],
)
def test_a_secret_that_cannot_be_used_is_said(tmp_path: Path, content: bytes, mode: int, says: str) -> None:
    path = tmp_path / "recipient-hash.key"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(MailwakeError, match=says):
        run(tmp_path, "hash", ANN)
    assert path.read_bytes() == content
