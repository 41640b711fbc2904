"""What was asked for lately, copy by copy: enough to see patterns that no single request shows, and no more."""

from __future__ import annotations

from typing import Final

from mailwake.enrichment.contract import HOLD_SECONDS

REQUESTS_KEPT: Final = 32
"""Requests for links of one copy that are remembered at once, the latest ones."""

ARRIVALS_KEPT: Final = 16
"""Moments at which one copy may have arrived that are remembered: several, where it was deferred."""

LOOK_AHEAD_MS: Final = int(HOLD_SECONDS * 1000)
"""What comes later than this after an event does not count for it, though it may be known already: a verdict must not
hang on how far the journal was read."""

COPIES_KEPT: Final = 100_000
"""Copies that are remembered at once; one costs about 400 octets, and 150 more for each request."""


class _Request:
    __slots__ = ("address", "head", "link", "time_ms")

    def __init__(self, time_ms: int, link: int, address: str, *, head: bool) -> None:
        self.time_ms = time_ms
        self.link = link  # the hash of its target: links to one place are one link
        self.address = address
        self.head = head


class _Copy:
    __slots__ = ("has_head", "has_others", "requests")

    def __init__(self) -> None:
        self.requests: list[_Request] = []
        self.has_others = False  # whether more than one link was asked for, ever
        self.has_head = False

    def add(self, request: _Request) -> None:
        requests = self.requests
        if requests:
            self.has_others = self.has_others or request.link != requests[-1].link
            if len(requests) >= REQUESTS_KEPT:
                del requests[0]
        self.has_head = self.has_head or request.head
        requests.append(request)


_NOTHING: Final = _Copy()
"""Of a copy that nobody has asked for anything of; never added to."""


class CopyHistory:
    """Remembers requests and deliveries by the copy's message id, noted in the order of time.

    What lies `horizon_ms` before the last event that was judged is forgotten. Events may be noted long before they are
    judged, when the journal of hours is read at once: nothing that they need goes until then.
    """

    def __init__(self, horizon_ms: int, copies: int = COPIES_KEPT) -> None:
        self._horizon = horizon_ms
        self._forget_before = 0
        self._limit = copies
        self._requests: dict[str, _Copy] = {}
        self._honeypots: dict[str, _Copy] = {}
        self._delivered: dict[str, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self._requests) + len(self._delivered) + len(self._honeypots)

    def judged(self, time_ms: int) -> None:
        """An event of this time has been judged, and none before it will be."""
        if time_ms - self._horizon > self._forget_before:
            self._forget_before = time_ms - self._horizon

    def keep_for(self, horizon_ms: int) -> None:
        """Remember for so long from now on."""
        self._horizon = horizon_ms

    def delivered(self, message_id: str, time_ms: int) -> None:
        """A copy may have reached its reader from now on."""
        known = self._delivered
        earlier = known.pop(message_id, ())
        known[message_id] = tuple(sorted((*earlier, time_ms)))[-ARRIVALS_KEPT:]
        while known:  # it may itself be too old: another worker's file was read late
            oldest = next(iter(known))
            if known[oldest][-1] >= self._forget_before and len(known) <= self._limit:
                break
            del known[oldest]

    def delivery_time(self, message_id: str, time_ms: int) -> int | None:
        """The first such moment that matters for an event, in Unix milliseconds; None when none is known (any more).

        Moments from before the horizon are as if they were forgotten already.
        """
        for moment in self._delivered.get(message_id, ()):
            if moment >= time_ms - self._horizon:
                return moment if moment - time_ms <= LOOK_AHEAD_MS else None
        return None

    def followed(self, message_id: str, link: int, address: str, time_ms: int, *, head: bool = False) -> None:
        """A link was asked for."""
        self._add(self._requests, message_id, _Request(time_ms, link, address, head=head))

    def trapped(self, message_id: str, address: str, time_ms: int) -> None:
        """The hidden link was followed."""
        self._add(self._honeypots, message_id, _Request(time_ms, 0, address, head=False))

    def _add(self, known: dict[str, _Copy], message_id: str, request: _Request) -> None:
        copy = known.pop(message_id, None)  # and back at the end: the front is what rested longest
        if copy is None:
            copy = _Copy()
        copy.add(request)
        known[message_id] = copy
        while known:
            oldest = next(iter(known))
            if known[oldest].requests[-1].time_ms >= self._forget_before and len(known) <= self._limit:
                break
            del known[oldest]

    def traces(self, message_id: str) -> tuple[bool, bool, bool]:
        """Whether there may be several links, a HEAD, or the hidden link among what was asked for of a copy."""
        copy = self._requests.get(message_id, _NOTHING)
        return copy.has_others, copy.has_head, message_id in self._honeypots

    def links_around(self, message_id: str, time_ms: int, within_ms: int, address: str | None, enough: int = 99) -> int:
        """The most links that were asked for in any stretch of `within_ms` around this moment, or `enough` of them.

        Of all addresses, or of one.
        """
        near = [
            (each.time_ms, each.link)
            for each in self._requests.get(message_id, _NOTHING).requests
            if -within_ms <= each.time_ms - time_ms <= within_ms and (address is None or each.address == address)
        ]
        most = 0
        for start in {time_ms, *(time for time, _ in near if time <= time_ms)} if len(near) > 1 else (time_ms,):
            end = start + within_ms
            most = max(most, len({link for time, link in near if start <= time <= end}))
            if most >= enough:
                break
        return most

    def head_before(self, message_id: str, link: int, address: str, time_ms: int, within_ms: int) -> bool:
        """Whether this address asked for this link with HEAD so shortly before."""
        return any(
            each.head and each.link == link and each.address == address and 0 <= time_ms - each.time_ms <= within_ms
            for each in self._requests.get(message_id, _NOTHING).requests
        )

    def honeypot_near(self, message_id: str, time_ms: int, within_ms: int, address: str | None) -> bool:
        """Whether the hidden link was followed, by anybody or by one address.

        At most `within_ms` before, or LOOK_AHEAD_MS after.
        """
        return any(
            -LOOK_AHEAD_MS <= time_ms - each.time_ms <= within_ms and (address is None or each.address == address)
            for each in self._honeypots.get(message_id, _NOTHING).requests
        )
