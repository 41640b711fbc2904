"""Events in words: what happened, who did it and with what, and why it is taken for a machine's doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.events.model import EventType

if TYPE_CHECKING:
    from mailwake.events.model import Event


class Words(NamedTuple):
    """A type of event: its name, what happened in a sentence's beginning, and its colour in `events.css`."""

    name: str
    happened: str
    tone: str


EVENT_WORDS: dict[EventType, Words] = {
    EventType.INJECTION: Words("Injection", "Taken in", "plain"),
    EventType.DELIVERY: Words("Delivery", "Delivered to the next hop", "good"),
    EventType.DELAY: Words("Delay", "Put off by the next hop", "warn"),
    EventType.BOUNCE: Words("Bounce", "Refused for good", "bad"),
    EventType.POLICY_REJECTION: Words("Policy rejection", "Refused by policy", "bad"),
    EventType.INITIAL_OPEN: Words("Initial open", "Opened, the image at the top was loaded", "opened"),
    EventType.OPEN: Words("Open", "Opened, the image at the end was loaded", "opened"),
    EventType.CLICK: Words("Click", "Link clicked", "clicked"),
    EventType.AMP_INITIAL_OPEN: Words("AMP initial open", "AMP part opened, its top was loaded", "opened"),
    EventType.AMP_OPEN: Words("AMP open", "AMP part opened", "opened"),
    EventType.AMP_CLICK: Words("AMP click", "Link in the AMP part clicked", "clicked"),
    EventType.LINK_UNSUBSCRIBE: Words("Unsubscribe link", "Left the list by a link in the mail", "warn"),
    EventType.LIST_UNSUBSCRIBE: Words("List unsubscribe", "Left the list by the mail program's button", "warn"),
}
"""Every type of event, in the order of a message's life."""

TYPES = {kind.wire_name: kind for kind in EVENT_WORDS}
"""The types by their names on the wire."""

OPENS = frozenset({EventType.OPEN, EventType.INITIAL_OPEN, EventType.AMP_OPEN, EventType.AMP_INITIAL_OPEN})
CLICKS = frozenset({EventType.CLICK, EventType.AMP_CLICK})
UNSUBSCRIBES = frozenset({EventType.LINK_UNSUBSCRIBE, EventType.LIST_UNSUBSCRIBE})
ENGAGEMENT = OPENS | CLICKS | UNSUBSCRIBES
"""What people do, and machines."""

REASONS = {
    "honeypot": "it followed the hidden link, which only machines see",
    "http_tool": "it came from a program library, not from a mail program or browser",
    "no_user_agent": "the request did not say which program made it",
    "link_preview": "a chat or social network made a preview of the link",
    "crawler": "a crawler of the web came by",
    "monitor": "a service that watches links came by",
    "security_scanner": "a mail security service looked at it",
    "link_check": "an office program looked at the link before the browser opened it",
    "several_links_at_once": "several links of the message were followed at once",
    "before_anybody_could": "it came before anybody could have read the message",
    "hardly_anybody_could": "it came so soon that hardly anybody could have read the message",
    "head_then_get": "it asked for the header of the link first, and then for the link",
}
"""The reasons of our own bot rules; an operator's own rules have their own names."""

_CERTAINTY = ((0.95, "almost certainly"), (0.8, "very likely"), (0.6, "likely"), (0.0, "possibly"))


class Judgement(NamedTuple):
    """Who was it: a word for a badge, its colour, and the reason in a sentence, "" where there is none."""

    word: str
    tone: str
    reason: str = ""


def judgements(event: Event) -> list[Judgement]:
    """What was found out about who made an open, a click or an unsubscription; nothing of other events."""
    found = []
    if event.is_prefetched:
        found.append(Judgement("Prefetched", "warn", "Loaded ahead by a mail program or proxy, before anybody looked"))
    elif event.is_proxy:
        found.append(Judgement("By proxy", "plain", "The mailbox provider's proxy asked for it when somebody looked"))
    reason = REASONS.get(event.bot_reason, f"rule {event.bot_reason}") if event.bot_reason else ""
    if event.is_bot:
        found.append(Judgement("Machine", "bad", _sure(event, reason)))
    elif reason:
        found.append(Judgement("Perhaps a machine", "plain", f"{_sure(event, reason)}; counted as a person"))
    elif event.is_bot is not None and not event.is_prefetched and event.type in ENGAGEMENT:
        found.append(Judgement("Person", "good", "Nothing speaks for a machine"))
    return found


def _sure(event: Event, reason: str) -> str:
    because = f": {reason}" if reason else ""
    if event.bot_confidence is None:
        return f"Taken for a machine{because}"
    certainty = next(words for limit, words in _CERTAINTY if event.bot_confidence >= limit)
    return f"{certainty.capitalize()} a machine ({100 * event.bot_confidence:.0f}\u202f%){because}"


def program(event: Event) -> str:
    """The program and the device that asked: `Mobile Safari on iOS 19.1, Apple iPhone`."""
    system = " ".join(_known(event.os_family, event.os_version))
    first = " on ".join(_known(event.agent_family, system))
    device = event.device_family
    if event.device_brand.lower() not in device.lower():
        device = " ".join(_known(event.device_brand, device))
    return ", ".join(_known(first, device))


def _known(*names: str) -> list[str]:
    return [each for each in names if each not in ("", "Other")]


def place(event: Event) -> str:
    """Where the request came from, as far as it is known: `Lyon, ARA, FR`."""
    return ", ".join(filter(None, (event.city, event.region, event.country)))
