"""What the copies of one campaign share: the fields of their events, and what following each of its links adds."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from mailwake.demo.customers import Stream
from mailwake.demo.schedule import Issue
from mailwake.events.model import Event, EventType
from mailwake.links.body import HONEYPOT_NAME, RAW_URL_NAME

if TYPE_CHECKING:
    from mailwake.demo.customers import Customer

_NODE = "mail1.agency.example"


class Campaign(NamedTuple):
    """One issue of a newsletter, or a stream."""

    like: Event
    """Has what all copies share."""
    links: tuple[dict[str, Any], ...]
    """What a click on each of them adds to an event."""
    weights: tuple[float, ...]
    """How often each is followed, added up."""
    leaving: dict[str, Any] | None
    """What following the link for unsubscribing adds; None where there is none."""
    honeypot: dict[str, Any] | None
    appeal: float
    hurried: bool
    """Whether people wait for it, and act at once."""
    anonymous: bool


def campaign_of(customer: Customer, part: Issue | Stream) -> Campaign:
    """The campaign of an issue or a stream."""
    return _of_stream(customer, part) if isinstance(part, Stream) else _of_issue(customer, part)


def _of_issue(customer: Customer, issue: Issue) -> Campaign:
    newsletter = issue.newsletter
    subject = newsletter.subjects[issue.number % len(newsletter.subjects)].format(issue.number % 400 + 3)
    name = issue.label
    # Some issues go down better than others.
    luck = 0.85 + (issue.number * 7919 + issue.customer * 104_729) % 31 / 100
    like = _like(customer, name, subject, newsletter.tags, f"{newsletter.name}@", 24_000 + issue.number * 7919 % 30_000)
    return Campaign(
        like=like,
        links=tuple(_links(customer, name, newsletter.stories)),
        weights=_weights(len(newsletter.stories) + 1),
        leaving=_followed(EventType.LINK_UNSUBSCRIBE, f"https://www.{customer.domain}/unsubscribe", "unsubscribe"),
        honeypot=_followed(EventType.CLICK, f"https://links.{customer.domain}/", HONEYPOT_NAME)
        if customer.honeypot
        else None,
        appeal=newsletter.appeal * luck,
        hurried=False,
        anonymous=False,
    )


def _of_stream(customer: Customer, stream: Stream) -> Campaign:
    like = _like(
        customer, stream.name, stream.subject, stream.tags, "no-reply@", 6_000 + len(stream.subject) * 531,
        transactional=stream.transactional, pathway="transactional",
    )  # fmt: skip
    return Campaign(
        like=like,
        links=tuple(_links(customer, stream.name, stream.stories)),
        weights=_weights(len(stream.stories) + 1, 0.25),
        leaving=None,
        honeypot=None,
        appeal=stream.appeal,
        hurried=stream.transactional,
        anonymous=customer.anonymous_streams,
    )


def _like(
    customer: Customer,
    name: str,
    subject: str,
    tags: tuple[str, ...],
    sender: str,
    size: int,
    *,
    transactional: bool = False,
    pathway: str = "newsletters",
) -> Event:
    return Event(
        type=EventType.INJECTION,
        event_id=0,
        timestamp=0,
        message_id="",
        transmission_id=0,
        customer_id=customer.customer_id,
        campaign_id=name,
        rcpt_tags=tags,
        friendly_from=f"{customer.name} <{sender}{customer.domain}>",
        msg_from=f"bounces@{customer.domain}",
        sending_domain=customer.domain,
        subject=subject,
        msg_size=size,
        open_tracking=True,
        click_tracking=True,
        initial_pixel=customer.initial_pixel,
        amp_enabled=customer.amp and not transactional,
        transactional=transactional,
        node_name=_NODE,
        pathway=pathway,
    )


def _links(customer: Customer, name: str, stories: tuple[str, ...]) -> list[dict[str, Any]]:
    end = f"?utm_source=mail&utm_campaign={name}"
    pages = [(f"https://www.{customer.domain}/{story.replace(' ', '-')}{end}", story) for story in stories]
    pages.append((f"https://www.{customer.domain}/{end}", RAW_URL_NAME))
    return [_followed(EventType.CLICK, url, story) for url, story in pages]


def _followed(kind: EventType, url: str, name: str) -> dict[str, Any]:
    return {"type": kind, "target_link_url": url, "target_link_name": name}


def _weights(number: int, fall: float = 0.55) -> tuple[float, ...]:
    return tuple(accumulate(fall**place for place in range(number)))
