"""The reference of bot rules, generated from their tables and from the rules that ship."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.config.describe import settings_of_table
from mailwake.config.durations import show_duration
from mailwake.enrichment.rule_file import shipped_rules
from mailwake.enrichment.rule_tables import JUDGED, ProxyTable, RuleFile, RuleTable
from mailwake.markdown import code, table

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# Bot rules

What a file of bot rules may hold, and the rules that mailwake ships. [Machine or person](../bots.md) says what they are
for. `mailwake bots check FILE` checks a file; `mailwake bots shipped` prints the shipped one with all its comments.

"""


def rules_reference() -> str:
    """The page in Markdown."""
    rules = shipped_rules()
    events = ", ".join(map(code, JUDGED))
    return (
        f"{_INTRODUCTION}Events that can be named: {events}.\n\n"
        f"## The top of the file\n\n{settings_of_table(RuleFile)}\n"
        f"## `[[rule]]`\n\n{RuleTable.__doc__}\n\n{settings_of_table(RuleTable)}\n"
        f"## `[[proxy]]`\n\n{ProxyTable.__doc__}\n\n{settings_of_table(ProxyTable)}\n"
        "## The shipped rules\n\n"
        + table(
            ("rule", "confidence", "events", "holds for"),
            (
                (code(rule.name), f"{rule.confidence:g}", ", ".join(rule.events or ()), "; ".join(_conditions(rule)))
                for rule in rules.rule
            ),
        )
        + "\n## The shipped proxies\n\n"
        + table(
            ("proxy", "known by", "fetches ahead"),
            ((code(proxy.name), "; ".join(_marks(proxy)), _ahead(proxy)) for proxy in rules.proxy),
        )
    )


def _marks(entry: RuleTable | ProxyTable) -> Iterator[str]:
    if entry.agents is not None:
        yield "programs " + ", ".join(code(pattern.text) for pattern in entry.agents)
    if entry.networks is not None:
        yield "networks " + ", ".join(code(str(network)) for network in entry.networks)


def _conditions(rule: RuleTable) -> Iterator[str]:
    yield from _marks(rule)
    whose = " by one address" if rule.same_address else ""
    if rule.links is not None:
        yield f"{rule.links} different links of the copy asked for within {show_duration(rule.within)}{whose}"
    if rule.after_delivery is not None:
        yield f"at most {show_duration(rule.after_delivery)} after delivery"
    if rule.head_within is not None:
        yield f"HEAD for the same link, by the same address, at most {show_duration(rule.head_within)} before"
    if rule.honeypot_within is not None:
        yield f"the hidden link followed{whose}, {show_duration(rule.honeypot_within)} around"
    if rule.proxy is not None:
        yield "through a proxy" if rule.proxy else "not through a proxy"
    if rule.prefetched is not None:
        yield "fetched ahead" if rule.prefetched else "not fetched ahead"


def _ahead(proxy: ProxyTable) -> str:
    if proxy.prefetches:
        return "always"
    soon = proxy.prefetches_within
    return f"what comes within {show_duration(soon)} of delivery" if soon else "no"
