"""The reference of the `X-MSYS-API` header and the context variables: sources, limits, rejections (1-injection §1–§3).

Replies are not written down here: each is what the code says when it is given the example beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mailwake.config.fields import Setting, fields_of
from mailwake.config.load import load
from mailwake.config.schema import Settings
from mailwake.config.scope_settings import TrackingOptions
from mailwake.config.scopes import ResolvedOptions, ScopedOptions
from mailwake.markdown import code, table
from mailwake.message.json_value import DEEPEST
from mailwake.message.msys_header import CAMPAIGN_LIMIT, read_msys_header
from mailwake.policy.describe_rewriting import rewriting_reference
from mailwake.policy.precedence import LONGEST_TAG, EngagementLimits, EngagementSettings, resolve
from mailwake.smtp.replies import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailwake.smtp.replies import Reply

_LONG_CAMPAIGN = "c" * (CAMPAIGN_LIMIT + 1)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting of a recipient's copy and its three sources; "" where a source cannot set it."""

    attribute: str
    """Its name in EngagementSettings."""
    meaning: str
    variable: str = ""
    value: str = ""
    """What the variable may hold."""
    good: str = ""
    wrong: str = ""
    """An example that the variable may hold, and one that rejects the message ("" when any text is right)."""
    field: str = ""
    field_type: str = ""
    option: str = ""
    limit: str = ""


def setting_rows() -> tuple[SettingRow, ...]:
    """Every setting, in the order of the specification."""
    defaults = Settings()
    boolean = "`1`, `0`, `true`, `false`, any case"
    metadata = (
        f"{defaults.max_metadata_len} bytes of compact JSON travel (`max_metadata_len`); all of it is kept for policy"
    )
    tags = (
        f"{defaults.max_tags_per_recipient} a message (`max_tags_per_recipient`), {defaults.max_tags} distinct ones "
        f"in the whole system (`max_tags`), {LONGEST_TAG} characters each *(ours)*; others are ignored"
    )
    campaign = f"{CAMPAIGN_LIMIT} bytes of UTF-8; a longer one rejects the message"
    return (
        SettingRow("open_tracking", "track opens", "smtpapi_open_tracking", boolean, "1", "yes",
                   "options.open_tracking", "boolean", "open_tracking_enabled"),
        SettingRow("initial_open", "track opens at the start too", option="initial_open_enabled"),
        SettingRow("honeypot_link", "add a link that only machines follow *(ours)*", option="honeypot_link"),
        SettingRow("click_tracking", "track clicks", "smtpapi_click_tracking", boolean, "1", "yes",
                   "options.click_tracking", "boolean", "click_tracking_enabled"),
        SettingRow("open_scheme", "scheme of open links", "smtpapi_open_tracking_scheme", "`http`, `https`, any case",
                   "https", "ftp", option="open_tracking_scheme"),
        SettingRow("click_scheme", "scheme of click links", "smtpapi_click_tracking_scheme",
                   "`http`, `https`, any case", "https", "ftp", option="click_tracking_scheme"),
        SettingRow("tracking_domain", "host of tracked links", "smtpapi_tracking_domain", "`host` or `host:port`",
                   "track.example.com", "http://track.example.com/", option="tracking_domain"),
        SettingRow("link_expiry", "life of a link", "smtpapi_tracking_link_expiry", "seconds, 1 to 10 digits", "86400",
                   "1d", option="tracking_link_expiry"),
        SettingRow("list_unsubscribe", "add List-Unsubscribe *(ours)*", "smtpapi_list_unsubscribe", boolean, "1", "yes",
                   "options.list_unsubscribe", "boolean", "list_unsubscribe"),
        SettingRow("campaign_id", "campaign", "smtpapi_campaign_id", "text", "spring_sale", _LONG_CAMPAIGN,
                   "campaign_id", "string", limit=campaign),
        SettingRow("metadata", "metadata", "smtpapi_metadata", "a JSON object", '{"plan":"gold"}', "plan=gold",
                   "metadata", "object", limit=metadata),
        SettingRow("tags", "tags", "smtpapi_tags", "a JSON array of strings", '["cat","dog"]', "cat",
                   "tags", "array of strings", limit=tags),
        SettingRow("customer_id", "customer", "mo_customer_id", "text; AUTH sets it", "42"),
        SettingRow("tracking_level", "how much tracking may know *(ours)*", "smtpapi_tracking_level",
                   "`off`, `anonymous`, `identified`", "anonymous", "some", "options.tracking_level", "string",
                   limit="`identified` by default; at most the tracking domain's ceiling (`tracking_domains`)"),
    )  # fmt: skip


def header_reference(no_unique_id: Reply) -> str:
    """The page in Markdown; `no_unique_id` is the reply to a message that can have no transmission id."""
    rejected = [(when, code(_shortened(example)), code(str(reply))) for when, example, reply in rejections()]
    rejected.append(("no unique transmission id can be made", "", code(str(no_unique_id))))
    return (
        _INTRODUCTION
        + table(("setting", "context variable", "value", "header field", "option", "default", "limit"), _settings())
        + _HEADER.format(deepest=DEEPEST)
        + table(("when", "example", "reply after the end of DATA"), rejected)
        + _AFTER_REJECTIONS
        + rewriting_reference()
    )


def _settings() -> Iterator[tuple[str, ...]]:
    for row in setting_rows():
        field = f"{code(row.field)} ({row.field_type})" if row.field else "–"
        marker = fields_of(TrackingOptions)[row.option].marker if row.option else None
        default = code(_shown(marker.final)) if isinstance(marker, Setting) else "none"
        yield row.meaning, code(row.variable) or "–", row.value, field, code(row.option) or "–", default, row.limit


def rejections() -> Iterator[tuple[str, str, Reply]]:
    """Each reason to reject a message: in words, an example, and the reply that the code gives for it."""
    for when, values in _BAD_HEADERS:
        yield when, values[0].decode("latin-1"), _refusal(partial(read_msys_header, values))
    options = default_options()
    for row in setting_rows():
        if row.wrong:
            when = "is longer" if row.attribute == "campaign_id" else "cannot be read"
            refusal = _refusal(partial(resolved, {row.variable: row.wrong}, options))
            yield f"the context variable `{row.variable}` {when}", row.wrong, refusal


def default_options() -> ResolvedOptions:
    """The tracking options where nothing is configured."""
    scopes = ScopedOptions(load(None, host_name="localhost"))
    return scopes.resolve(scopes.listeners[0], "127.0.0.1")


def resolved(context: dict[str, str], options: ResolvedOptions, header: bytes | None = None) -> EngagementSettings:
    """The settings for these context variables and this header's value, all tags known; Refusal as for a message."""
    read = read_msys_header([header] if header is not None else [])
    return resolve(context, read, options, EngagementLimits.of(Settings()), list)


def _header_with(value: object) -> bytes:
    return json.dumps(value).encode()


_BAD_HEADERS: tuple[tuple[str, list[bytes]], ...] = (
    ("the header is not JSON", [b"{'tags': ['cat']}"]),
    ("the header is JSON, but no object", [b'["cat"]']),
    ("the header is nested too deeply", [b'{"metadata": ' + b"[" * DEEPEST + b"]" * DEEPEST + b"}"]),
    ("the header has 8-bit bytes that are not UTF-8", [b'{"campaign_id": "caf\xe9"}']),
    ("there is a second header", [b"{}", b"{}"]),
    ("`options` is of another type", [_header_with({"options": True})]),
    ("`options.open_tracking` is of another type", [_header_with({"options": {"open_tracking": 1}})]),
    ("`options.click_tracking` is of another type", [_header_with({"options": {"click_tracking": "yes"}})]),
    ("`options.list_unsubscribe` is of another type", [_header_with({"options": {"list_unsubscribe": 1}})]),
    ("`campaign_id` is of another type", [_header_with({"campaign_id": None})]),
    ("`campaign_id` is longer", [_header_with({"campaign_id": _LONG_CAMPAIGN})]),
    ("`metadata` is of another type", [_header_with({"metadata": "plan=gold"})]),
    ("`tags` is of another type", [_header_with({"tags": "cat"})]),
    ("a tag is no string", [_header_with({"tags": ["cat", 5]})]),
    ("`options.tracking_level` is none of the three", [_header_with({"options": {"tracking_level": "some"}})]),
    ("`options.transactional` is of another type", [_header_with({"options": {"transactional": "yes"}})]),
    ("`options.ip_pool` is no short name", [_header_with({"options": {"ip_pool": "a pool"}})]),
    ("`cc`, `bcc` or `archive` is of another type", [_header_with({"cc": "jo@example.com"})]),
    ("an entry of them is of another type", [_header_with({"bcc": [5]})]),
    ("an entry of them is no address", [_header_with({"archive": ["nobody"]})]),
    ("they have more than 1,000 entries", [_header_with({"cc": ["jo@example.com"] * 1001})]),
)


def _refusal(attempt: Callable[[], Any]) -> Reply:
    try:
        attempt()
    except Refusal as refusal:
        return refusal.reply
    raise AssertionError("an example of a rejection is not rejected")


def _shortened(example: str) -> str:
    return example if len(example) <= CAMPAIGN_LIMIT else f"{example[:40]}…"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_INTRODUCTION = """\
# The X-MSYS-API header and context variables

Each setting of a recipient's copy is taken from the first source that has it: the context variable, then the header,
then the configuration, most specific scope first (see [settings](settings.md)). Each setting is chosen by itself: the
campaign may come from a variable, the tags from the header, the domain from the configuration.

A context variable is always text. [Policy](../policy.md) and XSETCONTEXT set them, and AUTH sets `mo_customer_id`;
`mailwake explain --context NAME=VALUE` shows what each of them would do. `pathway` names the pathway, `mailwake_relay`
the [route](settings.md#which-route-a-copy-takes) *(ours)*; a message with one that is not configured gets 451 4.3.5.
What mailwake chose where Momentum's documentation is silent is marked *(ours)*; all such choices are in
[choices](../choices.md).

## Settings

"""

_HEADER = """
## How the header is read

    X-MSYS-API: {{"options" : {{"open_tracking" : false, "click_tracking" : true}},
       "metadata" : {{"key" : "value"}}, "tags" : ["cat", "dog"], "campaign_id" :
       "my_campaign"}}

- The header never leaves. It is removed from every copy, whether anything is tracked or not.
- Each line break, with the white space after it, becomes one space. JSON is never repaired.
- Text beyond ASCII: `\\u` escapes; RFC 2047 encoded-words inside a string, around a part of the value, or around all
  of it; or raw UTF-8 *(ours)*. The JSON is parsed as it stands first. Where that fails, encoded-words are decoded and
  the result is parsed.
- Unknown fields are ignored, whatever they hold. Of a field that stands there twice the last one counts *(ours)*.
- `null` is the wrong type for every field *(ours)*. At most {deepest} levels may be nested *(ours)*.
- Metadata over the limit: whole pairs are kept in their order as long as they fit, and none after the first that does
  not *(ours)*. `click_tracking_include_metadata = false` keeps metadata out of clicks, not out of opens.
- A tag that stands there twice counts once *(ours)*. `mailwake tags` lists the known tags and frees them *(ours)*.
- An empty campaign means no campaign *(ours)*.

## Recipients and options from the header

- `cc`, `bcc`, `archive`: lists of addresses, or of objects with `email` and `name`, at most 1,000 in all. Each address
  gets one copy, and none if the envelope names it already *(ours)*. Everybody's copy shows all of `cc` in its Cc field,
  behind those that stand there; a `bcc` copy shows its own address alone, in a Bcc field; nothing shows `archive`.
- `cc` and `bcc` copies have links of their own. An `archive` address gets a copy for each recipient of the envelope,
  with that recipient's links *(ours)*. Their events have `rcpt_type`.
- Policy is asked about `cc` and `bcc` recipients in `validate_data_spool_each_rcpt`, not in `validate_rcptto`: RCPT
  never named them. An archive copy follows its original *(ours)*.
- `options.transactional` is `transactional` in the message's events. `options.ip_pool` leaves in the header field that
  `ip_pool_header` names, and nowhere while none is named *(ours)*.
- `options.tracking_level`, or for one recipient the variable `smtpapi_tracking_level`: `off` tracks nothing;
  `anonymous` counts opens and clicks, with neither recipient nor metadata in the link and neither recipient nor address
  in the event; `identified` is the default. The configuration may set a ceiling for each tracking domain *(ours)*.
- `options.list_unsubscribe` asks for, or forbids, the [List-Unsubscribe field](../unsubscribing.md) that mailwake adds;
  where only the configuration asks for it, mail with `options.transactional` gets none *(ours)*.

## Rejections

A rejected message is not relayed to anyone and leaves no event.

"""

_AFTER_REJECTIONS = """
Context variables that cannot be read reject the message *(ours)*: a policy's mistake is seen at once, and not as mail
that nobody tracked.

"""
