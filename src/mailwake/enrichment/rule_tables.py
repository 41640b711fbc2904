"""The form of a file of bot rules: its tables, declared as the settings are, each with a sentence of documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mailwake.config import kinds
from mailwake.config.fields import Section, Setting
from mailwake.config.networks import IPNetwork
from mailwake.enrichment.agent_pattern import AgentPattern, parse_agent
from mailwake.enrichment.contract import HOLD_SECONDS
from mailwake.events.model import EventType

JUDGED: dict[str, EventType] = {
    each.wire_name: each for each in EventType if each.group in ("track_event", "unsubscribe_event")
}
"""The events that rules can speak of, by the names they have there."""

_LONGEST = 86400.0


def _agent(value: object) -> AgentPattern:
    if not isinstance(value, str):
        raise ValueError
    return parse_agent(value)


_AGENTS = kinds.list_of(
    kinds.Kind(
        "agent",
        'text found in User-Agent in any case, or "=" and the whole of it, "^" and its beginning, "~" and a regular '
        "expression",
        _agent,
        show=lambda pattern: kinds.show_text(pattern.text),
    ),
    minimum=1,
)
_EVENTS = kinds.list_of(kinds.choice(*JUDGED), minimum=1)
_NETWORKS = kinds.list_of(kinds.network(), minimum=1)
_NAME = kinds.text(pattern=r"[a-z0-9][a-z0-9_-]{0,49}", allowed="up to 50 of a-z, 0-9, - and _")


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleTable:
    """One rule: the request is a machine's with this confidence where every condition that stands here holds."""

    name: Annotated[str, Setting("The rule's name.", _NAME, example='"link-previews"')]
    enabled: Annotated[bool, Setting("Whether it is asked; false switches a shipped rule off.", kinds.flag())] = True
    reason: Annotated[
        str | None,
        Setting("What events say in bot_reason.", kinds.text(), unset="the rule's name", example='"link_preview"'),
    ] = None
    confidence: Annotated[
        float, Setting("How sure it is of a machine; the surest of the rules that hold decides.", kinds.fraction())
    ] = 0.9
    events: Annotated[
        tuple[str, ...] | None,
        Setting("The events that it speaks of.", _EVENTS, unset="required", example='["click", "open"]'),
    ] = None
    agents: Annotated[
        tuple[AgentPattern, ...] | None,
        Setting("Condition: one of these programs.", _AGENTS, unset="any program", example='["Slackbot", "^curl/"]'),
    ] = None
    networks: Annotated[
        tuple[IPNetwork, ...] | None,
        Setting("Condition: an address in one of these.", _NETWORKS, unset="any", example='["192.0.2.0/24"]'),
    ] = None
    proxy: Annotated[
        bool | None,
        Setting(
            "Condition: whether it came through one of the [[proxy]] tables.",
            kinds.flag(),
            unset="either",
            example="false",
        ),
    ] = None
    prefetched: Annotated[
        bool | None,
        Setting("Condition: whether it is marked as fetched ahead.", kinds.flag(), unset="either", example="false"),
    ] = None
    after_delivery: Annotated[
        float | None,
        Setting(
            "Condition: at most this long after the copy was delivered, or before that; after the message was taken "
            "where no delivery is known.",
            kinds.duration(0, _LONGEST),
            unset="any time",
            example='"1s"',
        ),
    ] = None
    links: Annotated[
        int | None,
        Setting(
            "Condition: so many different links of one copy were asked for in the time of `within`, before or after.",
            kinds.integer(2, 20),
            unset="any number",
            example="3",
        ),
    ] = None
    within: Annotated[float, Setting("The time of `links`.", kinds.duration(0.1, HOLD_SECONDS), example='"2s"')] = 2.0
    head_within: Annotated[
        float | None,
        Setting(
            "Condition: the same address asked for the same link with HEAD at most this long before.",
            kinds.duration(0.1, _LONGEST),
            unset="with or without",
            example='"10s"',
        ),
    ] = None
    honeypot_within: Annotated[
        float | None,
        Setting(
            "Condition: the copy's hidden link was followed, at most this long before, or up to 2.5 s after.",
            kinds.duration(0, _LONGEST),
            unset="with or without",
            example='"10s"',
        ),
    ] = None
    same_address: Annotated[
        bool, Setting("Whether `links` and `honeypot_within` count requests of the same address only.", kinds.flag())
    ] = False
    source: Annotated[
        str | None, Setting("Where this is known from.", kinds.text(), unset="nowhere", example='"https://…"')
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyTable:
    """Servers that fetch images for those whose mail they show: `is_proxy`, and, ahead of them, `is_prefetched`."""

    name: Annotated[str, Setting("The proxy's name.", _NAME, example='"gmail"')]
    enabled: Annotated[bool, Setting("Whether it is looked for; false switches a shipped one off.", kinds.flag())] = (
        True
    )
    events: Annotated[tuple[str, ...], Setting("The events that it can make.", _EVENTS)] = (
        "open",
        "initial_open",
        "amp_open",
        "amp_initial_open",
    )
    agents: Annotated[
        tuple[AgentPattern, ...] | None,
        Setting("Condition: one of these programs.", _AGENTS, unset="any", example='["GoogleImageProxy"]'),
    ] = None
    networks: Annotated[
        tuple[IPNetwork, ...] | None,
        Setting("Condition: an address in one of these.", _NETWORKS, unset="any", example='["192.0.2.0/24"]'),
    ] = None
    prefetches: Annotated[
        bool, Setting("Whether it fetches images before anybody looks, so that nothing is known.", kinds.flag())
    ] = False
    prefetches_within: Annotated[
        float,
        Setting("What it fetches this soon after delivery it has fetched ahead.", kinds.duration(0, _LONGEST)),
    ] = 0.0
    source: Annotated[
        str | None, Setting("Where this is known from.", kinds.text(), unset="nowhere", example='"https://…"')
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleFile:
    """A file of bot rules."""

    threshold: Annotated[
        float | None,
        Setting(
            "From this confidence on is_bot is true.",
            kinds.fraction(),
            unset="that of the shipped rules, 0.5",
            example="0.5",
        ),
    ] = None
    rule: Annotated[tuple[RuleTable, ...], Section("A rule.", numbered=True)] = ()
    proxy: Annotated[tuple[ProxyTable, ...], Section("A proxy.", numbered=True)] = ()
