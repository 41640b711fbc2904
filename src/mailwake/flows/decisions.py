"""Why a copy is treated as it is: each setting with the source that decided it, each link with its fate, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailwake.config.scopes import Sourced
    from mailwake.policy.context import Context
    from mailwake.policy.precedence import EngagementSettings
    from mailwake.rewrite.plan import MessagePlan

TRACE_FIELD = b"X-Mailwake-Trace"
"""The field with which a trusted peer asks for the decisions, and in which they leave."""

CLICKS_OFF = "click tracking is off"
_LONGEST = 400


class Decision(NamedTuple):
    """One setting, its value, and who decided it."""

    name: str
    value: Any
    source: str


def decisions(settings: EngagementSettings, route: Sourced[str], contexts: Sequence[Context]) -> list[Decision]:
    """Every setting and the route; `contexts` are the recipient's and the connection's, for the line that set one."""
    named = (
        ("open_tracking", settings.open_tracking),
        ("initial_open", settings.initial_open),
        ("honeypot_link", settings.honeypot_link),
        ("click_tracking", settings.click_tracking),
        ("open_tracking_scheme", settings.open_scheme),
        ("click_tracking_scheme", settings.click_scheme),
        ("tracking_domain", settings.tracking_domain),
        ("tracking_link_expiry", settings.link_expiry),
        ("list_unsubscribe", settings.list_unsubscribe),
        ("campaign_id", settings.campaign_id),
        ("metadata", settings.metadata),
        ("tags", settings.tags),
        ("customer_id", settings.customer_id),
        ("tracking_level", settings.tracking_level),
        ("relay", route),
    )
    return [Decision(name, sourced.value, _with_setter(sourced.source, contexts)) for name, sourced in named]


def trace_field(
    settings: EngagementSettings, route: Sourced[str], contexts: Sequence[Context], plan: MessagePlan | None
) -> bytes:
    """The decisions as comments of a header field (RFC 5322 §3.2.2), one a line."""
    lines = list(_lines(decisions(settings, route, contexts), settings, plan))
    return TRACE_FIELD + b": 1" + b"".join(b"\r\n\t(" + _comment(line) + b")" for line in lines) + b"\r\n"


def _lines(decided: Sequence[Decision], settings: EngagementSettings, plan: MessagePlan | None) -> Iterator[str]:
    for name, value, source in decided:
        yield f"{name}: {value}; {source}"
    if plan is None:
        return
    for link in plan.links:
        reason = link.reason or ("" if settings.click_tracking.value else CLICKS_OFF)
        fate = f"left as it is, {reason}" if reason else f"tracked as {link.name}"
        yield f"line {link.line} {link.part} {link.target}: {fate}"
    for where, reason in plan.skipped_parts:
        yield f"{where}: {reason}"


def _comment(text: str) -> bytes:
    plain = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    printable = "".join(character if character.isprintable() else " " for character in plain)
    for special in "\\()":
        printable = printable.replace(special, "\\" + special)
    return printable.encode("ascii", "backslashreplace")


def _with_setter(source: str, contexts: Sequence[Context]) -> str:
    """The source, and for a context variable who set it."""
    kind, _, variable = source.partition(" ")
    if kind == "context":
        for context in contexts:
            if variable in context:
                setter = context.source(variable)
                return f"{source}, set by {setter}" if setter else source
    return source
