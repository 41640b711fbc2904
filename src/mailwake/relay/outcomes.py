"""What the end of an attempt means for the copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.relay.delivery import Outcome, Status, status_of
from mailwake.smtp.dsn import NO_REQUEST
from mailwake.smtp.replies import Reply

if TYPE_CHECKING:
    from mailwake.relay.opening import ConnectFailure
    from mailwake.relay.settings import RelaySettings
    from mailwake.rewrite.transfer_conversion import ConversionImpossible
    from mailwake.smtp.client_events import Finished, Lost
    from mailwake.smtp.client_handshake import Capabilities


def of_finished(event: Finished, settings: RelaySettings, offered: Capabilities) -> Outcome:
    """The next hop answered, or the copy could never be sent to one that offers this."""
    reply = event.reply
    dsn_passed = offered.dsn or event.transaction.dsn == NO_REQUEST
    return Outcome(status_of(reply), reply, settings.address, event.stage, "", settings.protocol, dsn_passed, event.own)


def of_missing_tls(event: Finished, settings: RelaySettings) -> Outcome:
    """The next hop offers TLS and takes nothing without it, and TLS failed: that may pass, its 530 is not the end."""
    address = settings.address
    reply = Reply(451, "4.7.5", f"TLS with next hop {address} failed, and it takes nothing in the clear")
    return Outcome(Status.DEFERRED, reply, address, event.stage, str(event.reply), settings.protocol)


def of_lost(event: Lost, settings: RelaySettings, *, may_be_taken: bool) -> Outcome:
    """The connection was lost on the way; a refusal that had come before still holds."""
    address, transaction = settings.address, event.transaction
    if transaction.refusal is not None:
        reply, stage = transaction.refusal
        return Outcome(status_of(reply), reply, address, stage, "", settings.protocol)
    status = Status.UNCERTAIN if may_be_taken and not event.behind_421 else Status.DEFERRED
    reply = Reply(451, "4.4.2", f"Connection to next hop {address} lost")
    return Outcome(status, reply, address, event.stage or "mail", event.reason, settings.protocol)


def of_impossible_conversion(refusal: ConversionImpossible, settings: RelaySettings) -> Outcome:
    """The next hop does not take such content, and it cannot be given another form; nothing was sent."""
    reply, protocol = refusal.reply, settings.protocol
    return Outcome(Status.REFUSED, reply, settings.address, "mail", refusal.log, protocol, unsuited=True)


def of_connect_failure(failure: ConnectFailure, settings: RelaySettings) -> Outcome:
    """There is no usable connection; if the next hop said why, its reply is in ours."""
    why = f": {failure}" if failure.reply is not None else " cannot be reached"
    reply = Reply(451, "4.4.1", f"Next hop {settings.address}{why}")
    return Outcome(Status.UNREACHABLE, reply, settings.address, "connect", str(failure), settings.protocol)
