"""The metrics that reports count, by their names on the wire: one table, from which SQL, validation and docs are made.

Every event has *marks*: a number whose bits say whether it is an open, an initial open or a click, in each cut
(`filters.Cut`). They are computed once, when the event is loaded, so that the marks of all events of a message put
together with "or" say all that the unique counts need.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mailwake.events.model import EventType
from mailwake.store.filters import Cut

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENED, INITIALLY_OPENED, CLICKED = 1, 2, 4
_BITS_OF_A_CUT = 3
CUTS = tuple(Cut)

OPENS = (EventType.OPEN, EventType.INITIAL_OPEN, EventType.AMP_OPEN, EventType.AMP_INITIAL_OPEN)
INITIAL_OPENS = (EventType.INITIAL_OPEN, EventType.AMP_INITIAL_OPEN)
CLICKS = (EventType.CLICK, EventType.AMP_CLICK)
UNSUBSCRIBES = (EventType.LINK_UNSUBSCRIBE, EventType.LIST_UNSUBSCRIBE)

TYPE_MARKS: dict[EventType, int] = {
    **dict.fromkeys(OPENS, OPENED),
    **dict.fromkeys(INITIAL_OPENS, OPENED | INITIALLY_OPENED),
    **dict.fromkeys(CLICKS, CLICKED),
}
"""What an event of a type marks in each of its cuts; other types mark nothing."""


def in_cut(marks: int, cut: Cut) -> int:
    """These marks of one cut, where they stand in the marks of an event."""
    return marks << _BITS_OF_A_CUT * CUTS.index(cut)


class Counted(Enum):
    """What a metric counts."""

    EVENTS = "events"
    MESSAGES = "messages"
    """Recipients' copies: each once, however often it was opened or clicked."""
    LINKS = "links"
    """Pairs of recipient and link: each once."""
    SUM = "sum"
    """Nothing: it adds up a field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One metric."""

    name: str
    doc: str
    counted: Counted
    marks: int = 0
    """It counts what has one of these marks; 0: what fulfils `condition`."""
    condition: str = ""
    """SQL over columns of `events`, in what all engines understand."""
    summed: str = ""
    """The column that is added up."""

    @property
    def is_of_links(self) -> bool:
        """Whether it can be told for each link."""
        return bool(self.marks) and self.marks & ~_ANY_CLICK == 0


_ANY_CLICK = sum(in_cut(CLICKED, cut) for cut in CUTS)


def _one_of(*types: EventType) -> str:
    return f"type IN ({', '.join(str(each.value) for each in types)})"


_DELIVERED = _one_of(EventType.DELIVERY)
_BOUNCED = _one_of(EventType.BOUNCE)
_FIRST = "coalesce(num_retries, 0) = 0"
_HARD, _SOFT, _BLOCK, _ADMIN = "10, 30, 90", "20, 21, 22, 23, 24, 40, 60, 70, 100", "50, 51, 52, 53, 54", "25, 80"
_KNOWN_CLASSES = ", ".join((_HARD, _SOFT, _BLOCK, _ADMIN))


def _of_bounces(classes: str) -> str:
    return f"{_BOUNCED} AND coalesce(bounce_class, 1) IN ({classes})"


def _messages() -> Iterator[Measure]:
    """What became of mail on its way."""
    for name, condition, doc in (
        ("targeted", _one_of(EventType.INJECTION, EventType.POLICY_REJECTION), "Copies taken, and those rejected."),
        ("injected", _one_of(EventType.INJECTION), "Copies taken from senders: one a recipient."),
        ("rejected", _one_of(EventType.POLICY_REJECTION), "Copies that policy rejected."),
        ("policy_rejection", _one_of(EventType.POLICY_REJECTION), "The same, by another name of the vendor's."),
        ("sent", _one_of(EventType.DELIVERY, EventType.BOUNCE), "Copies delivered or bounced."),
        ("accepted", _DELIVERED, "Copies that the next hop accepted."),
        ("delivered", _DELIVERED, "The same, by another name of the vendor's."),
        ("delivered_first", f"{_DELIVERED} AND {_FIRST}", "Copies accepted at the first attempt."),
        ("delivered_subsequent", f"{_DELIVERED} AND NOT {_FIRST}", "Copies accepted at a later attempt."),
        ("delayed", _one_of(EventType.DELAY), "Attempts that the next hop put off."),
        ("delayed_first", f"{_one_of(EventType.DELAY)} AND {_FIRST}", "Copies whose first attempt was put off."),
        ("bounce", _BOUNCED, "Copies that the next hop refused for good, or that expired."),
        ("inband_bounce", _BOUNCED, "The same: bounces by later mail are not seen here."),
        ("hard_bounce", _of_bounces(_HARD), f"Bounces of the classes {_HARD}: no such recipient."),
        ("soft_bounce", _of_bounces(_SOFT), f"Bounces of the classes {_SOFT}: it may work another time."),
        ("block_bounce", _of_bounces(_BLOCK), f"Bounces of the classes {_BLOCK}: refused for what the mail is."),
        ("admin_bounce", _of_bounces(_ADMIN), f"Bounces of the classes {_ADMIN}: refused by an administrator."),
        (
            "undetermined_bounce",
            f"{_BOUNCED} AND coalesce(bounce_class, 1) NOT IN ({_KNOWN_CLASSES})",
            "Bounces of other classes.",
        ),
    ):
        yield Measure(name=f"count_{name}", doc=doc, counted=Counted.EVENTS, condition=condition)
    for name, condition, column, doc in (
        ("total_msg_volume", _DELIVERED, "msg_size", "Octets of the copies accepted, as they were injected."),
        (
            "total_delivery_time_first",
            f"{_DELIVERED} AND {_FIRST}",
            "queue_time",
            "Milliseconds from injection to acceptance, of copies accepted at the first attempt.",
        ),
        (
            "total_delivery_time_subsequent",
            f"{_DELIVERED} AND NOT {_FIRST}",
            "queue_time",
            "Milliseconds from injection to acceptance, of copies accepted at a later attempt.",
        ),
    ):
        yield Measure(name=name, doc=doc, counted=Counted.SUM, condition=condition, summed=column)


_CUT_DOCS = {
    Cut.ALL: "",
    Cut.NOT_PREFETCHED: " Without prefetches.",
    Cut.PEOPLE: " Of people: without prefetches and machines.",
}
_CUT_CONDITIONS = {
    Cut.ALL: "",
    Cut.NOT_PREFETCHED: " AND NOT coalesce(is_prefetched, false)",
    Cut.PEOPLE: " AND NOT coalesce(is_prefetched, false) AND NOT coalesce(is_bot, false)",
}


def cut_condition(cut: Cut) -> str:
    """SQL that holds for the events of this cut."""
    return _CUT_CONDITIONS[cut].removeprefix(" AND ")


def _engagement(cut: Cut) -> Iterator[Measure]:
    """What people, and machines, did with it."""
    for name, counted, marks, doc in (
        ("rendered", Counted.EVENTS, OPENED, "Opens, initial ones among them."),
        ("initial_rendered", Counted.EVENTS, INITIALLY_OPENED, "Initial opens: of the pixel at the top."),
        ("unique_rendered", Counted.MESSAGES, OPENED, "Messages opened at least once."),
        ("unique_initial_rendered", Counted.MESSAGES, INITIALLY_OPENED, "Messages with an initial open."),
        ("unique_confirmed_opened", Counted.MESSAGES, OPENED | CLICKED, "Messages opened or clicked."),
        ("clicked", Counted.EVENTS, CLICKED, "Clicks."),
        ("raw_clicked", Counted.LINKS, CLICKED, "Links clicked: each once for each recipient."),
        ("unique_clicked", Counted.MESSAGES, CLICKED, "Messages in which a link was clicked."),
    ):
        yield Measure(
            name=f"count_{cut.value}{name}", doc=doc + _CUT_DOCS[cut], counted=counted, marks=in_cut(marks, cut)
        )
    yield Measure(
        name=f"count_{cut.value}unsubscribe",
        doc="Unsubscriptions, by a link or by the List-Unsubscribe field." + _CUT_DOCS[cut],
        counted=Counted.EVENTS,
        condition=_one_of(*UNSUBSCRIBES) + _CUT_CONDITIONS[cut],
    )


MEASURES: dict[str, Measure] = {
    each.name: each for each in (*_messages(), *(each for cut in CUTS for each in _engagement(cut)))
}
"""All metrics by name, in the order in which documentation lists them."""
