"""What an event's request tells of who made it: program, place, proxy, machine or person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from mailwake.enrichment.copy_history import LOOK_AHEAD_MS, CopyHistory
from mailwake.enrichment.judge import Judge, link_of, taken_at
from mailwake.enrichment.places import NOWHERE, NoPlaces, PlaceFinder, Places
from mailwake.enrichment.rule_file import merged, read_rules, shipped_rules
from mailwake.enrichment.rule_tables import JUDGED, RuleFile
from mailwake.enrichment.user_agents import UserAgents
from mailwake.enrichment.watched_file import WatchedFile
from mailwake.errors import MailwakeError, StartupError
from mailwake.events.model import EventType
from mailwake.links.body import HONEYPOT_NAME

if TYPE_CHECKING:
    from mailwake.config.enrichment_settings import Enrichment
    from mailwake.enrichment.judge import Fetch, Verdict
    from mailwake.enrichment.rule_tables import RuleTable
    from mailwake.events.model import Event
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics

_RULES, _PLACES = "bot rules", "database of places"
_LINK, _MAY_HAVE_ARRIVED = 1, 2


def _noted(event_type: EventType) -> int:
    if event_type in (EventType.CLICK, EventType.AMP_CLICK, EventType.LINK_UNSUBSCRIBE):
        return _LINK
    # A copy that was deferred may have reached its reader all the same (a connection lost before the reply).
    return _MAY_HAVE_ARRIVED if event_type in (EventType.DELIVERY, EventType.DELAY) else 0


# By the type's number: it costs less than finding an enumeration's member in a set.
_JUDGED: Final = [number in JUDGED.values() for number in range(max(EventType) + 1)]
_NOTED: Final = {int(event_type): _noted(event_type) for event_type in EventType}
_NOTE: Final = [_NOTED.get(number, 0) for number in range(max(EventType) + 1)]


class Enricher:
    """The `EventEnricher` of `contract.py`.

    With a file of the operator's that cannot be used, StartupError; or, if it `goes_on`, a line in the log, and it does
    without until the file can be used: events must not wait for a database of places. `agents` can be shared by
    several: making them takes half a second.
    """

    def __init__(
        self,
        settings: Enrichment,
        log: Logger,
        metrics: Metrics,
        *,
        goes_on: bool = False,
        agents: UserAgents | None = None,
    ) -> None:
        self._log = log
        self._metrics = metrics
        self._agents: Final = agents or UserAgents()
        self._shipped: Final = shipped_rules()
        self._history: Final = CopyHistory(0)
        rules, places = settings.bot_rules, settings.geoip_database
        self._own = None if rules is None else WatchedFile(rules, read_rules, RuleFile())
        self._places = None if places is None else WatchedFile[PlaceFinder](places, Places, NoPlaces())
        for file, what in ((self._own, _RULES), (self._places, _PLACES)):
            if file is not None:
                self._read_first(file, what, goes_on=goes_on)
        self._judge = self._new_judge()

    def observe(self, event: Event) -> None:
        """Take note of an event of the journal; call it for each one, of message events too, in order of time."""
        note = _NOTE[event.type]
        if note == _LINK:
            if event.rcpt_to:  # an anonymous copy's id is that of everybody's
                self._note_link(event)
        elif note == _MAY_HAVE_ARRIVED:
            self._history.delivered(event.message_id, event.timestamp)

    def observe_head(self, message_id: str, target: str, address: str, time_ms: int) -> None:
        """Take note of a HEAD request for a link of a copy, in the same order; it is no event."""
        self._history.followed(message_id, hash(target), address, time_ms, head=True)

    def complete(self, event: Event) -> Event:
        """The event with all that is known of it; call it when later ones up to HOLD_SECONDS have been observed."""
        if not _JUDGED[event.type]:
            return event
        fetch = self._judge.fetch(event)
        verdict = self._judge.verdict(event, fetch)
        self._history.judged(event.timestamp)
        if verdict.is_bot:
            self._metrics.counter("events_bot_total", event.type.wire_name, verdict.reason).inc()
        return msgspec.structs.replace(event, **self._facts(event, fetch, verdict))

    def reload_if_changed(self) -> None:
        """Read rules and places anew where their files have changed; what cannot be read leaves the old in force."""
        if self._own is not None and self._refreshed(self._own, _RULES):
            self._judge = self._new_judge()
        if self._places is not None:
            old = self._places.value
            if self._refreshed(self._places, _PLACES):
                old.close()

    def all_that_hold(self, event: Event) -> list[RuleTable]:
        """Every rule that holds for an engagement, the surest first."""
        return self._judge.all_that_hold(event, self._judge.fetch(event))

    def surroundings(self, event: Event) -> str:
        """In words, when an engagement came and what else was asked for around it."""
        delivered = self._history.delivery_time(event.message_id, event.timestamp)
        begin, since = (taken_at(event), "the message was taken") if delivered is None else (delivered, "delivery")
        links = self._history.links_around(event.message_id, event.timestamp, 2000, None)
        return f"{(event.timestamp - begin) / 1000:g} s after {since}; different links asked for within 2 s: {links}"

    def _note_link(self, event: Event) -> None:
        self._history.followed(event.message_id, link_of(event), event.ip_address, event.timestamp)
        if event.target_link_name == HONEYPOT_NAME:
            self._history.trapped(event.message_id, event.ip_address, event.timestamp)

    def _facts(self, event: Event, fetch: Fetch, verdict: Verdict) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "is_proxy": fetch.is_proxy,
            "is_prefetched": fetch.is_prefetched,
            "is_bot": verdict.is_bot,
            "bot_reason": verdict.reason,
            "bot_confidence": verdict.confidence,
        }
        agent = self._agents.facts(event.user_agent)
        if fetch.is_proxy:  # what a proxy says of device and place is its own, or made up
            facts["agent_family"] = agent["agent_family"]
            return facts
        facts |= agent
        if self._places is not None and (place := self._places.value.find(event.ip_address)) is not NOWHERE:
            facts |= place._asdict()
        return facts

    def _new_judge(self) -> Judge:
        judge = Judge(merged(self._shipped, RuleFile() if self._own is None else self._own.value), self._history)
        self._history.keep_for(judge.horizon_ms + 2 * LOOK_AHEAD_MS)
        return judge

    def _read_first(self, file: WatchedFile[Any], what: str, *, goes_on: bool) -> None:
        try:
            file.refresh()
        except MailwakeError as error:
            if not goes_on:
                raise StartupError(str(error)) from None
            self._refuse(what, error)

    def _refuse(self, what: str, error: MailwakeError) -> None:
        self._log.error("enrichment file cannot be used; the old one stays", file=what, error=str(error))
        self._metrics.counter("enrichment_reloads_total", what, "refused").inc()

    def _refreshed(self, file: WatchedFile[Any], what: str) -> bool:
        try:
            changed = file.refresh()
        except MailwakeError as error:
            self._refuse(what, error)
            return False
        if changed:
            self._log.info("enrichment file read anew", file=what)
            self._metrics.counter("enrichment_reloads_total", what, "accepted").inc()
        return changed
