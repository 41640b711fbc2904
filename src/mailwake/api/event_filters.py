"""Which events are meant: the parameters that searches and metrics share, and how they become filters."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from mailwake.api.errors import ApiError, Fault
from mailwake.api.parameters import DELIMITER, Parameter, list_of, text, time_zone, unix_ms, whole
from mailwake.events.wire import iso_time
from mailwake.store.filters import QuestionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mailwake.api.routes import Call
    from mailwake.store.contract import EventStore

MOST_RECIPIENTS = 500
"""Recipients that one question may name: each may stand for two, itself and its hash."""

ID = whole(0, (1 << 63) - 1)
"""The id of an event or a transmission."""

NO_WILDCARD = "Compared exactly: there are no wildcards."

TIME_ZONE = Parameter(
    name="timezone", kind=time_zone(), doc="Of `from` and `to` where they have no offset; without it UTC."
)

_DOMAINS = Parameter(name="recipient_domains", kind=list_of(text(maximum=255)), doc="Domains of recipients, any case.")

FILTERS = (
    Parameter(
        name="recipients", kind=list_of(text(maximum=320)), doc=f"At most {MOST_RECIPIENTS} addresses, any case."
    ),
    _DOMAINS,
    Parameter(name="campaigns", kind=list_of(text()), doc=f"Campaigns. {NO_WILDCARD}"),
    Parameter(name="messages", kind=list_of(text(maximum=100)), doc="Message ids.", aliases=("message_ids",)),
    Parameter(name="transmissions", kind=list_of(ID), doc="Transmission ids.", aliases=("transmission_ids",)),
    Parameter(name="subaccounts", kind=list_of(text(maximum=255)), doc="Customers.", aliases=("customers",)),
    Parameter(name="tags", kind=list_of(text()), doc=f"Tags. {NO_WILDCARD}"),
    Parameter(name="subjects", kind=list_of(text()), doc=f"Subjects. {NO_WILDCARD}", aliases=("subject",)),
    Parameter(name="from_addresses", kind=list_of(text()), doc="What `friendly_from` says."),
    Parameter(name="sending_domains", kind=list_of(text(maximum=255)), doc=f"Domains of senders. {NO_WILDCARD}"),
    Parameter(name="link_names", kind=list_of(text()), doc="Names of links: clicks on them alone."),
    Parameter(name="link_urls", kind=list_of(text(maximum=4000)), doc="URLs of links: clicks on them alone."),
)
"""The filters, by their names in searches."""

FILTERS_OF_METRICS = tuple(
    each
    if each is not _DOMAINS
    else Parameter(name="domains", kind=each.kind, doc=each.doc, aliases=("recipient_domains",))
    for each in FILTERS
)
"""The same, by the vendor's names in metrics."""

UNSUPPORTED = {
    **dict.fromkeys(("templates", "template_ids"), "mail has no templates here"),
    **dict.fromkeys(("ab_tests", "ab_test_versions", "ab_test_version"), "there are no A/B tests here"),
    **dict.fromkeys(("ip_pools", "sending_ips"), "the next hop chooses the address that mail is sent from"),
    **dict.fromkeys(("mailbox_providers", "mailbox_provider_regions"), "providers are not told apart; use domains"),
}
"""Filters of the vendor's that would change what is found, and cannot be followed."""

_FIELDS = {
    **{each.name: each.name for each in FILTERS},
    "domains": "recipient_domains",
    "subaccounts": "customers",
    "event_ids": "event_ids",
    "bounce_classes": "bounce_classes",
}
"""What a filter is called in `Filters`, by its parameter."""

_LOWERED = ("recipient_domains", "sending_domains")
_WITHOUT_WILDCARDS = ("campaigns", "recipient_domains", "domains", "subjects", "sending_domains")


class Span(NamedTuple):
    """From one moment, inclusive, to another, exclusive; Unix milliseconds."""

    since: int
    until: int


def span_of(call: Call, *, before: int) -> Span:
    """The span of `from` and `to`: without `to` it ends now, without `from` it begins so many milliseconds earlier."""
    zone = call.query.get(TIME_ZONE.name)
    given = {name: unix_ms(call.query[name], zone) for name in ("from", "to") if name in call.query}
    until = given.get("to", int(call.parts.clock.now() * 1000))
    since = given.get("from", max(0, until - before))
    if since >= until:
        raise ApiError(
            Fault.BAD_PARAMETER, f"parameter 'from' ({iso_time(since)}) must be before 'to' ({iso_time(until)})"
        )
    return Span(since, until)


def filters_of(call: Call, span: Span) -> dict[str, Any]:
    """The arguments of `Filters` for what a request asks, and for what its key may see."""
    found: dict[str, Any] = {"since": span.since, "until": span.until, "only_customer": call.customer}
    for name, field in _FIELDS.items():
        if name not in call.query:
            continue
        values = call.query[name]
        if name in _WITHOUT_WILDCARDS and any("*" in value for value in values):
            raise ApiError(Fault.BAD_PARAMETER, f"parameter '{name}': there are no wildcards; name all of them")
        found[field] = tuple(each.lower() for each in values) if field in _LOWERED else values
    if "recipients" in found:
        found["recipients"] = _recipients(call)
    return found


def _recipients(call: Call) -> tuple[str, ...]:
    asked = [each.lower() for each in call.query["recipients"]]
    if len(asked) > MOST_RECIPIENTS:
        problem = f"parameter 'recipients' has {len(asked)} items, and may have {MOST_RECIPIENTS}"
        raise ApiError(Fault.BAD_PARAMETER, problem)
    hashing = call.parts.hashing
    hashed = [] if hashing is None else [hashing.hashed(each) for each in asked]
    return tuple(dict.fromkeys([*asked, *hashed]))


@contextmanager
def bad_questions() -> Iterator[None]:
    """What cannot be asked of the store so is the answer 400."""
    try:
        yield
    except QuestionError as error:
        raise ApiError(Fault.BAD_PARAMETER, str(error)) from None


def store_of(call: Call) -> EventStore:
    """The store; ApiError where there is none."""
    if call.parts.store is None:
        raise ApiError(Fault.BUSY, "events are not kept for searching here: store.enabled is false")
    return call.parts.store


def same_question(
    call: Call, path: str, parameters: Sequence[Parameter], span: Span, changes: Mapping[str, Any]
) -> str:
    """The URL of the same question with some parameters changed; its times are spelled out, as "now" moves on."""
    lists = {each.name for each in parameters if each.kind.many}
    delimiter = call.query.get(DELIMITER.name, ",")
    kept = {
        name: delimiter.join(map(str, value)) if name in lists else str(value)
        for name, value in call.query.items()
        if name not in ("from", "to", *changes)
    }
    times = {"from": iso_time(span.since), "to": iso_time(span.until)}
    return f"{path}?{urlencode({**times, **kept, **changes}, safe=':,@')}"
