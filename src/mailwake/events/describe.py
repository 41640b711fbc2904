"""The reference of events: what each type means, and every field with its type on the wire and who carries it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from mailwake.events.model import EVENT_GROUPS, NESTED_FIELDS, Event, EventType
from mailwake.markdown import code, table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

ALL = frozenset(EventType)
MESSAGE = frozenset(kind for kind in EventType if kind.group == "message_event")
ENGAGEMENT = ALL - MESSAGE
REFUSALS = MESSAGE - {EventType.INJECTION, EventType.DELIVERY}
ATTEMPTS = MESSAGE - {EventType.INJECTION, EventType.POLICY_REJECTION}
FOLLOWED = ENGAGEMENT - {kind for kind in EventType if "OPEN" in kind.name}

_SETS = MappingProxyType(
    {
        ALL: "all",
        MESSAGE: "message events",
        ENGAGEMENT: "track and unsubscribe events",
        FOLLOWED: "clicks, unsubscribes",
    }
)

MEANINGS: Mapping[EventType, str] = MappingProxyType(
    {
        EventType.INJECTION: "The message was accepted: the sender got 250. One for each recipient.",
        EventType.DELIVERY: "The next hop took the copy.",
        EventType.BOUNCE: "The next hop refused the copy for good, or it was tried until it expired.",
        EventType.DELAY: "The next hop deferred the copy or could not be reached; it will be tried again.",
        EventType.POLICY_REJECTION: "Policy refused the message, or the recipient at RCPT, for good.",
        EventType.OPEN: "The image at the end of the HTML part was loaded.",
        EventType.INITIAL_OPEN: "The image at the start of the HTML part was loaded.",
        EventType.CLICK: "A tracked link was followed.",
        EventType.AMP_OPEN: "The image at the end of the AMP part was loaded.",
        EventType.AMP_INITIAL_OPEN: "The image at the start of the AMP part was loaded.",
        EventType.AMP_CLICK: "A tracked link of the AMP part was followed.",
        EventType.LINK_UNSUBSCRIBE: 'A link marked `data-msys-unsubscribe="1"` was followed.',
        EventType.LIST_UNSUBSCRIBE: "The address of the List-Unsubscribe header was used.",
    }
)
"""When an event of each type is recorded."""


class FieldMeaning(NamedTuple):
    """What a field says, and the types of events that have it; any of them leaves it out when it has no value."""

    meaning: str
    carriers: frozenset[EventType] = ALL


FIELDS: Mapping[str, FieldMeaning] = MappingProxyType(
    {
        "type": FieldMeaning("The type of the event."),
        "event_id": FieldMeaning("Unique over all nodes and restarts. Drop a second event with the same id."),
        "timestamp": FieldMeaning("When it happened, in Unix seconds."),
        "message_id": FieldMeaning("The recipient's copy: 20 hex digits."),
        "transmission_id": FieldMeaning("The injected message, shared by all its recipients: a 64-bit number."),
        "customer_id": FieldMeaning("The customer the mail belongs to (`mo_customer_id`)."),
        "campaign_id": FieldMeaning("The campaign."),
        "rcpt_to": FieldMeaning("The recipient in lower case."),
        "raw_rcpt_to": FieldMeaning("The recipient as the sender wrote it."),
        "recipient_domain": FieldMeaning("The recipient's domain in lower case."),
        "routing_domain": FieldMeaning("The domain the copy was routed by; the recipient's."),
        "rcpt_meta": FieldMeaning("The metadata that travels, within `max_metadata_len`."),
        "rcpt_tags": FieldMeaning("The tags that travel, within both limits of tags."),
        "rcpt_type": FieldMeaning("`cc`, `bcc` or `archive`; left out for recipients that RCPT named.", MESSAGE),
        "friendly_from": FieldMeaning("The From field of the message, decoded; at most 512 characters."),
        "msg_from": FieldMeaning("The envelope sender."),
        "sending_domain": FieldMeaning("The domain of the From field, else of the envelope sender."),
        "subject": FieldMeaning("The Subject field, decoded; at most 512 characters."),
        "msg_size": FieldMeaning("Bytes of the message as injected."),
        "injection_time": FieldMeaning("When the message was injected."),
        "open_tracking": FieldMeaning("Whether opens of this message are tracked."),
        "click_tracking": FieldMeaning("Whether clicks of this message are tracked."),
        "initial_pixel": FieldMeaning("Whether opens are also tracked by an image at the start."),
        "amp_enabled": FieldMeaning("Whether the message has an AMP part."),
        "transactional": FieldMeaning("`options.transactional` of the X-MSYS-API header."),
        "node_name": FieldMeaning("The node that took the message in (setting `node_name`)."),
        "pathway": FieldMeaning("The pathway in force."),
        "delv_method": FieldMeaning("How the copy was delivered: `esmtp` or `lmtp`.", ENGAGEMENT | ATTEMPTS),
        "ip_address": FieldMeaning(
            "Track and unsubscribe events: who asked. Message events: the next hop.", ENGAGEMENT | ATTEMPTS
        ),
        "raw_reason": FieldMeaning(
            "The next hop's reply as it came, with its codes; or policy's.", MESSAGE - {EventType.INJECTION}
        ),
        "reason": FieldMeaning("The same on one line.", REFUSALS),
        "error_code": FieldMeaning("The reply's SMTP code.", REFUSALS),
        "bounce_class": FieldMeaning("Why it was refused, see below.", REFUSALS),
        "num_retries": FieldMeaning("Attempts before this one.", ATTEMPTS),
        "queue_time": FieldMeaning("Milliseconds from injection to this outcome.", ATTEMPTS),
        "user_agent": FieldMeaning("The User-Agent header of the request.", ENGAGEMENT),
        "accept_language": FieldMeaning("The Accept-Language header of the request.", ENGAGEMENT),
        "target_link_url": FieldMeaning("Where the link leads.", FOLLOWED),
        "target_link_name": FieldMeaning("The link's name; `Raw URL` for a link without one.", FOLLOWED),
        "agent_family": FieldMeaning("The program, as its User-Agent says.", ENGAGEMENT),
        "device_brand": FieldMeaning("Who made the device.", ENGAGEMENT),
        "device_family": FieldMeaning("The device.", ENGAGEMENT),
        "os_family": FieldMeaning("The operating system.", ENGAGEMENT),
        "os_version": FieldMeaning("The operating system's version.", ENGAGEMENT),
        "is_mobile": FieldMeaning("Whether it is a telephone or a tablet.", ENGAGEMENT),
        "is_proxy": FieldMeaning("Whether a mail provider's image proxy asked in the person's place.", ENGAGEMENT),
        "is_prefetched": FieldMeaning("Whether it was loaded ahead of the person, as far as can be told.", ENGAGEMENT),
        "country": FieldMeaning("The country of the address, two letters (ISO 3166-1).", ENGAGEMENT),
        "region": FieldMeaning("The region of the address (ISO 3166-2, without the country).", ENGAGEMENT),
        "city": FieldMeaning("The city of the address.", ENGAGEMENT),
        "latitude": FieldMeaning("Degrees north.", ENGAGEMENT),
        "longitude": FieldMeaning("Degrees east.", ENGAGEMENT),
        "postal_code": FieldMeaning("The postal code of the address.", ENGAGEMENT),
        "is_bot": FieldMeaning("Whether, by the bot rules, no person did it (bots.md).", ENGAGEMENT),
        "bot_reason": FieldMeaning(
            "Why, in a word, of the surest rule that holds; also where it is not sure enough for is_bot.", ENGAGEMENT
        ),
        "bot_confidence": FieldMeaning("How sure the rule is, 0 to 1.", ENGAGEMENT),
    }
)
"""Every field of an Event."""

WIRE_NAMES: Mapping[str, str] = MappingProxyType(
    {field: f"{name}.{field}" for name, fields in NESTED_FIELDS.items() for field in fields}
)
"""Fields that have another name on the wire; a dot means an object inside the event."""

BOUNCE_CLASSES: Mapping[int, str] = MappingProxyType(
    {
        1: "undetermined",
        10: "invalid recipient",
        20: "soft bounce: the host gave no answer",
        21: "DNS or routing failure",
        22: "mailbox full",
        23: "message too large",
        24: "given up after too long a time",
        30: "refused, and the reply does not say why",
        50: "refused by the receiver's policy",
        70: "refused for now",
    }
)
"""What the values of `bounce_class` mean."""

_INTRODUCTION = """\
# Events

One event is one JSON object, `{"msys": {"<group>": {…}}}`. `mailwake events tail --json` prints one a line. Numbers are
text, so that no program rounds them; booleans are JSON booleans. A field without a value is left out.

An event may come twice after a crash. Two events with the same `event_id` are the same event.
"""

_TIMES = MappingProxyType(
    {"timestamp": "text, Unix seconds", "injection_time": "text, ISO 8601 in UTC with milliseconds"}
)
_JSON_TYPES = MappingProxyType(
    {
        int: "text, a number",
        float: "text, a number",
        bool: "boolean",
        str: "text",
        EventType: "text",
        tuple: "array of texts",
        dict: "object",
    }
)


def events_reference(examples: Mapping[EventType, str], recorded: Collection[EventType]) -> str:
    """The page in Markdown; `examples` are events as JSON text, `recorded` the types that this release makes."""
    types = [
        (code(kind.wire_name), code(group), MEANINGS[kind], "yes" if kind in recorded else "not yet")
        for kind, group in EVENT_GROUPS.items()
    ]
    fields = [
        (code(WIRE_NAMES.get(name, name)), json_type(name), field.meaning, _carriers(field.carriers))
        for name, field in FIELDS.items()
    ]
    classes = [(code(str(number)), meaning) for number, meaning in BOUNCE_CLASSES.items()]
    return (
        f"{_INTRODUCTION}\n## Types\n\n"
        + table(("type", "group", "recorded when", "in this release"), types)
        + "\n## Fields\n\n"
        + table(("field", "JSON type", "meaning", "carried by"), fields)
        + "\n## Bounce classes\n\nGuessed from the enhanced code of the next hop's reply (RFC 3463).\n\n"
        + table(("`bounce_class`", "meaning"), classes)
        + "\n## Examples\n\n"
        + "\n".join(_example(kind, examples[kind]) for kind in EVENT_GROUPS)
    )


def json_type(name: str) -> str:
    """The JSON type of a field on the wire, in words."""
    if name in _TIMES:
        return _TIMES[name]
    return next(_JSON_TYPES[kind] for kind in _plain_types(get_type_hints(Event)[name]) if kind in _JSON_TYPES)


def _plain_types(hint: Any) -> Iterator[Any]:
    """`int` of `int | None`, `tuple` of `tuple[str, ...]`, and a type itself."""
    yield getattr(hint, "__origin__", hint)
    yield from getattr(hint, "__args__", ())


def _carriers(carriers: frozenset[EventType]) -> str:
    if carriers in _SETS:
        return _SETS[carriers]
    if carriers > ENGAGEMENT:
        return f"{_SETS[ENGAGEMENT]}, {_carriers(carriers - ENGAGEMENT)}"
    return ", ".join(code(kind.wire_name) for kind in EVENT_GROUPS if kind in carriers)


def _example(kind: EventType, example: str) -> str:
    return f"### {code(kind.wire_name)}\n\n```json\n{example.strip()}\n```\n"
