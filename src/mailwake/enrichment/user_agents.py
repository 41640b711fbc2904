"""Which program, device and system a `User-Agent` names: ua-parser's rules, run by its native accelerator."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, TypedDict

from ua_parser import Parser
from ua_parser.loaders import load_lazy_builtins

# Not ua-parser's own choice of the best matcher there is: without the accelerator that would be one in Python, sixty
# times as slow, and nobody would be told.
from ua_parser.regex import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from ua_parser import OS

CACHED_AGENTS: Final = 20_000
"""Agents whose meaning is remembered, about 500 octets each; campaigns meet the same ones again and again."""

UNKNOWN: Final = "Other"
"""What ua-parser's family of libraries says of a program that it does not know."""

_MOBILE_SYSTEMS: Final = frozenset(
    ("iOS", "Android", "Windows Phone", "Windows Mobile", "BlackBerry OS", "KaiOS", "Symbian OS", "Tizen", "HarmonyOS")
)
_NOT_IN_A_HAND: Final = ("TV", "Chromecast", "AFTS", "AFTT", "BRAVIA")


class AgentFacts(TypedDict):
    """What the text says, as fields of an event; empty where it says nothing of the kind."""

    agent_family: str
    device_brand: str
    device_family: str
    os_family: str
    os_version: str
    is_mobile: bool
    """Whether it runs on a phone or tablet."""


_NO_FACTS: Final = AgentFacts(
    agent_family="", device_brand="", device_family="", os_family="", os_version="", is_mobile=False
)


class UserAgents:
    """Reads one `User-Agent` after another; what it has read before costs a dictionary look-up."""

    def __init__(self) -> None:
        self._parse: Final = Parser(Resolver(load_lazy_builtins())).parse
        self.facts: Final[Callable[[str], AgentFacts]] = functools.lru_cache(CACHED_AGENTS)(self._read)
        """The facts of an agent's text, not to be changed; never fails."""

    def _read(self, text: str) -> AgentFacts:
        if not text:
            return _NO_FACTS
        found = self._parse(text)
        device_family = found.device.family if found.device else UNKNOWN
        system = found.os.family if found.os else UNKNOWN
        return AgentFacts(
            agent_family=found.user_agent.family if found.user_agent else UNKNOWN,
            device_brand=(found.device.brand or "") if found.device else "",
            device_family=device_family,
            os_family=system,
            os_version=_version(found.os) if found.os else "",
            is_mobile=system in _MOBILE_SYSTEMS and not any(mark in device_family for mark in _NOT_IN_A_HAND),
        )


def _version(system: OS) -> str:
    parts: list[str] = []
    for part in (system.major, system.minor, system.patch):
        if not part:
            break
        parts.append(part)
    return ".".join(parts)
