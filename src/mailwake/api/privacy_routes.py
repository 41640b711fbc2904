"""Routes about what is known of one person: export it, erase it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from mailwake.api.errors import ApiError, Fault
from mailwake.api.parameters import Parameter, text
from mailwake.api.routes import Route
from mailwake.api.schemas import array, members, reference, results
from mailwake.api.schemas import text as words
from mailwake.control.api_keys import Scope
from mailwake.events.model import EventType
from mailwake.events.samples import sample
from mailwake.events.wire import iso_time, wire_fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mailwake.api.parts import PrivacyParts
    from mailwake.api.routes import Call
    from mailwake.control.erasures import Erasure
    from mailwake.events.model import Event

LONGEST_ADDRESS = 320
"""Characters: 64 before the @, 255 behind it (RFC 5321 §4.5.3.1)."""

MOST_RECIPIENTS = 1_000
"""Of one request in the vendor's form."""

_ADDRESS = msgspec.Meta(min_length=1, max_length=LONGEST_ADDRESS, pattern=r"^[^\x00-\x20\x7f]*@[^\x00-\x20\x7f]*$")


class ErasureRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Whose events are to be erased."""

    recipient: Annotated[str, _ADDRESS]


class VendorsRequest(msgspec.Struct):
    """The vendor's form of it."""

    recipients: Annotated[list[Annotated[str, _ADDRESS]], msgspec.Meta(min_length=1, max_length=MOST_RECIPIENTS)]
    include_subaccounts: bool = True


class ErasureShown(msgspec.Struct):
    """A request; it names nobody."""

    id: str
    requested: str
    finished: str | None
    records: int


_ERASURE_EXAMPLE = {
    "id": "7",
    "requested": "2026-11-26T19:00:00.000Z",
    "finished": None,
    "records": 12,
}


def _privacy(call: Call) -> PrivacyParts:
    if call.parts.privacy is None:
        raise ApiError(Fault.BUSY, "this collector has no events to look at")
    return call.parts.privacy


async def _export(call: Call) -> list[dict[str, Any]]:
    privacy, recipient = _privacy(call), call.query["recipient"]
    found = {event.event_id: event for event in await asyncio.to_thread(lambda: list(privacy.events.of(recipient)))}
    async for event in _kept_longer(call, recipient):
        found.setdefault(event.event_id, event)
    events = sorted(found.values(), key=lambda event: (event.timestamp, event.event_id))
    return [wire_fields(event) for event in events if call.customer in (None, event.customer_id)]


async def _kept_longer(call: Call, recipient: str) -> AsyncIterator[Event]:
    """What the store has of this person, under both names."""
    store, hashing = call.parts.store, call.parts.hashing
    if store is None:
        return
    for name in dict.fromkeys([recipient.lower(), *([] if hashing is None else [hashing.hashed(recipient)])]):
        async for page in store.events_of(name):
            for event in page:
                yield event


async def _erase(call: Call) -> ErasureShown:
    (erasure,) = await _requested(call, [call.body.recipient])
    return _shown(erasure)


async def _erase_as_the_vendor(call: Call) -> dict[str, str]:
    await _requested(call, call.body.recipients)
    return {"message": "Request saved."}


async def _requested(call: Call, recipients: list[str]) -> list[Erasure]:
    erasures = _for_all_customers(call).erasures
    now_ms = int(call.parts.clock.now() * 1000)
    return await asyncio.to_thread(lambda: [erasures.request(each, now_ms) for each in recipients])


def _for_all_customers(call: Call) -> PrivacyParts:
    if call.customer is not None:
        raise ApiError(
            Fault.FORBIDDEN, "a person is erased for all customers; this needs a key that is bound to no customer"
        )
    return _privacy(call)


async def _erasures(call: Call) -> list[ErasureShown]:
    return [_shown(each) for each in await asyncio.to_thread(_for_all_customers(call).erasures.all)]


async def _erasure(call: Call) -> ErasureShown:
    for each in await _erasures(call):
        if each.id == call.path["id"]:
            return each
    raise ApiError(Fault.NOT_FOUND, "there is no erasure of this id; GET /api/v1/privacy/erasures lists them")


def _shown(erasure: Erasure) -> ErasureShown:
    finished = None if erasure.finished_ms is None else iso_time(erasure.finished_ms)
    return ErasureShown(str(erasure.number), iso_time(erasure.requested_ms), finished, erasure.records)


PRIVACY_ROUTES = (
    Route(
        method="GET",
        path="/api/v1/privacy/events",
        summary="A person's events",
        details="All events of one recipient that there are, by time: those of the feed, some of which are not "
        "searchable yet, and what the store keeps for longer. A key that is bound to a customer gets that "
        "customer's. Every file of the feed is read for it; for very many events use `mailwake privacy export`.",
        answer=_export,
        scope=Scope.ADMIN,
        query=(
            Parameter(
                name="recipient", kind=text(maximum=LONGEST_ADDRESS), doc="The address, in any case.", required=True
            ),
        ),
        result=results(array(reference("Event"))),
        result_example={"results": [wire_fields(sample(EventType.OPEN))]},
    ),
    Route(
        method="POST",
        path="/api/v1/privacy/erasures",
        summary="Erase a person's events",
        details="They are erased from journal, feed and store, within about an hour: files that workers still write to "
        "are waited for. Asked for again before that, it is the same request.",
        answer=_erase,
        scope=Scope.ADMIN,
        body=ErasureRequest,
        body_example={"recipient": "ann@example.org"},
        result=dict[str, ErasureShown],
        result_example={"results": _ERASURE_EXAMPLE},
        status=202,
    ),
    Route(
        method="POST",
        path="/api/v1/data-privacy/rtbf-request",
        summary="The same for several, in the vendor's form",
        details="`include_subaccounts` is taken and means nothing: a person is erased for all customers.",
        answer=_erase_as_the_vendor,
        scope=Scope.ADMIN,
        body=VendorsRequest,
        body_example={"recipients": ["ann@example.org"]},
        result=results(members({"message": words()})),
        result_example={"results": {"message": "Request saved."}},
    ),
    Route(
        method="GET",
        path="/api/v1/privacy/erasures",
        summary="List the requests to erase",
        answer=_erasures,
        scope=Scope.ADMIN,
        result=dict[str, list[ErasureShown]],
        result_example={"results": [_ERASURE_EXAMPLE]},
    ),
    Route(
        method="GET",
        path="/api/v1/privacy/erasures/{id}",
        summary="What has become of one",
        answer=_erasure,
        scope=Scope.ADMIN,
        path_docs={"id": "The id that the request was answered with."},
        result=dict[str, ErasureShown],
        result_example={"results": _ERASURE_EXAMPLE},
        faults=(Fault.NOT_FOUND,),
    ),
)
"""Routes that keys of scope admin may use."""
