"""What is left of a record once it is erased: as many octets, that something happened, and when."""

from __future__ import annotations

import pytest

from mailwake.events.from_record import ErasedError, EventReader
from mailwake.events.model import EventType
from mailwake.events.record import (
    ErasedRecord,
    MessageFacts,
    MessageRecord,
    decode_record,
    encode_message,
    erased,
    pack_facts,
    padding,
    record_time,
)
from mailwake.links.token import decode_body


@pytest.mark.parametrize("length", [2, 3, 100, 257, 258, 259, 1000, 65_538, 65_539, 65_540, 200_000])
def test_padding_of_every_length(length: int) -> None:
    assert len(padding(length)) == length


@pytest.mark.parametrize("subject", ["", "x" * 150, "x" * 200, "x" * 70_000])
def test_an_erased_record_has_the_length_and_the_time_of_the_one_before(subject: str) -> None:
    facts = pack_facts(MessageFacts(7, 1_790_689_600_000, 1, subject=subject))
    payload = encode_message(EventType.BOUNCE, 1 << 60, 1_790_689_600_123, facts, "ann@example.org", 0)
    record = decode_record(payload)
    assert isinstance(record, MessageRecord)
    left = erased(record, len(payload))
    assert len(left) == len(payload)
    again = decode_record(left)
    assert isinstance(again, ErasedRecord)
    assert (again.type, again.event_id, again.time_ms) == (EventType.BOUNCE, 1 << 60, 1_790_689_600_123)
    assert set(again.padding) <= {0}
    assert record_time(left) == 1_790_689_600_123
    with pytest.raises(ErasedError):
        EventReader(decode_body).read(left)
