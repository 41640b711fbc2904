"""Reports to the sender about a copy: failed, delayed, or relayed to where reports end (RFC 3464, RFC 3461 §5 and §6).

Who may have one: never the null sender, and nobody about a report (RFC 5321 §4.5.5); nobody who said NOTIFY=NEVER, and
otherwise who asked for that kind of report, or asked for nothing (RFC 3461 §4.1).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mailwake.relay.delivery import Outcome, Status
from mailwake.relay.report_content import Reported, report_content
from mailwake.smtp.dsn import DsnRequest
from mailwake.smtp.replies import Reply
from mailwake.spool.contract import NewEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.spool.steady_time import Moment

_ASKS_FOR_NO_REPORT = DsnRequest("NEVER")
"""RFC 3461 §6.1: a report is sent with NOTIFY=NEVER, if with any NOTIFY at all."""


class StatusReports:
    """Makes the spool entries of reports; `reporting_mta` is this host's own name (RFC 3464 §2.2.2)."""

    def __init__(self, reporting_mta: str, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._reporting_mta = reporting_mta
        self._random_bytes = random_bytes

    def failed(self, entry: NewEntry, outcome: Outcome, moment: Moment) -> NewEntry | None:
        """The report that a copy will never arrive, due at once, for its sender; None if there is to be none."""
        return self._report(entry, Reported("failed", outcome), moment) if entry.dsn.on_failure else None

    def removed(self, entry: NewEntry, moment: Moment) -> NewEntry | None:
        """The report that an operator has removed a copy undelivered."""
        reply = Reply(554, "5.3.0", "removed from the queue by the administrator")
        outcome = Outcome(Status.REFUSED, reply, self._reporting_mta, "connect")
        if not entry.dsn.on_failure:
            return None
        return self._report(entry, Reported("failed", outcome, by_operator=True), moment)

    def delayed(self, entry: NewEntry, outcome: Outcome, moment: Moment, retry_until: float) -> NewEntry | None:
        """The report that a copy is late, and tried until `retry_until` (time of the spool)."""
        if not entry.dsn.on_delay:
            return None
        return self._report(entry, Reported("delayed", outcome, moment.on_the_wall(retry_until)), moment)

    def relayed(self, entry: NewEntry, outcome: Outcome, moment: Moment) -> NewEntry | None:
        """The report that a copy went to a next hop without DSN (RFC 3461 §5.2.2); only for those who asked for it."""
        if not entry.dsn.on_success or outcome.dsn_passed:
            return None
        return self._report(entry, Reported("relayed", outcome), moment)

    def _report(self, about: NewEntry, reported: Reported, moment: Moment) -> NewEntry | None:
        if not may_be_told(about):
            return None
        unique = self._random_bytes(12).hex()
        content = report_content(about, reported, moment, reporting_mta=self._reporting_mta, unique=unique)
        return NewEntry(
            sender="",
            recipient=about.sender,
            content=content,
            # RFC 6531 §3.6: what it says of others stands in parts of it; its own header is as ASCII as its recipient.
            smtputf8=not about.sender.isascii(),
            body="7BIT" if content.isascii() else "8BITMIME",
            transmission_id=about.transmission_id,
            message_id=about.message_id,
            first_reply="",
            queued_at=moment.steady,
            next_attempt=moment.steady,
            attempts=0,
            is_report=True,
            dsn=_ASKS_FOR_NO_REPORT,
            customer=about.customer,
        )


def may_be_told(entry: NewEntry) -> bool:
    """Whether there is a sender who may have a report at all."""
    return bool(entry.sender) and not entry.is_report
