"""What the commands for trusted peers do to a session (3-policy, "SMTP extensions for trusted peers").

That the peer is trusted, that the command is possible now and well-formed is certain here: the protocol saw to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.listener.session import Told
from mailwake.policy.context import Context, ContextFull
from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import DumpContext, RemoteAddress, SetContext, XClient
from mailwake.smtp.xtext import encode_xtext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.listener.accounts import Accounts
    from mailwake.listener.session import Session
    from mailwake.logs import Logger

SOURCE = "XSETCONTEXT"
"""Who set a variable, as `explain` and XDUMPCONTEXT's readers see it."""

DUMPED_VARIABLES = 200
"""Of each context; more are only counted."""
DUMPED_NAME, DUMPED_VALUE = 150, 300
"""Octets of each, so that a line of the reply keeps to RFC 5321 §4.5.3.1.5."""

_OK = Reply(250, "2.0.0", "Ok")
_UNKNOWN_ACCOUNT = Reply(535, "5.7.8", "LOGIN names no account that there is here")
# RFC 3207 §4.2 and RFC 4954 §4: what AUTH and a client's greeting have left in the connection's context.
_SAID_BY_CLIENT = ("ehlo_string", "ehlo_domain", "auth_user", "auth_status")

TrustedEvent = XClient | RemoteAddress | SetContext | DumpContext


def obey_trusted_peer(session: Session, event: TrustedEvent, accounts: Accounts, log: Logger) -> Reply:
    """The answer to one of these commands; after a refusal the session is as it was."""
    match event:
        case XClient():
            return _become(session, event, accounts, log)
        case RemoteAddress():
            log.info("XREMOTEIP", peer=session.peer_address, client=event.address)
            session.move(event.address, 0)
            session.context.set("remote_ip", event.address)
            return _OK
        case SetContext():
            return _set_context(session, event)
        case DumpContext():
            return Reply(250, "", "\n".join(_dump(session, in_transaction=event.in_transaction)))


def forget_what_was_said(context: Context) -> None:
    """Unset what a client said before TLS was started (RFC 3207 §4.2); what policy set stays."""
    if context.get("auth_status") == "pass":
        context.delete("mo_customer_id")
    said = [name for name in context if name in _SAID_BY_CLIENT or context.source(name) == SOURCE]
    for name in said:
        context.delete(name)


def _become(session: Session, event: XClient, accounts: Accounts, log: Logger) -> Reply:
    client = event.client
    if client.login and accounts.find(client.login) is None:
        log.warning("XCLIENT refused", peer=session.peer_address, account=client.login[:64])
        return _UNKNOWN_ACCOUNT
    address = session.peer_address if client.address is None else client.address
    port = client.port if client.port is not None else session.peer_port if client.address is None else 0
    name = session.peer_name if client.name is None else client.name
    log.info("XCLIENT", peer=session.peer_address, client=address, name=name, account=client.login or "")
    session.move(address, port)
    session.peer_name = name
    session.told = _told(session.told, event)
    # The session is as after connecting: nothing that was known of one client may reach the next one.
    session.hello_domain, session.extended, session.account = "", False, ""
    session.certificate, session.by_certificate = "", False  # it is the peer's, not that of its client
    session.context, session.message_context = Context(), Context()
    return _OK


def _told(before: Told, event: XClient) -> Told:
    """What is not said again stays, as in Postfix; but an account is always that of one client."""
    client = event.client
    return Told(
        before.hello if client.hello is None else client.hello,
        before.extended if client.protocol is None else client.protocol == "ESMTP",
        client.login or "",
        before.receiving_address if client.receiving_address is None else client.receiving_address,
    )


def _set_context(session: Session, event: SetContext) -> Reply:
    context = session.context.copy()
    try:
        for name, value in event.variables:
            context.set(name, value, SOURCE)
    except ContextFull as full:
        return Reply(552, "5.3.4", f"None was set: {full}")
    session.context = context
    return Reply(250, "2.0.0", f"{len(event.variables)} context variables set")


def _dump(session: Session, *, in_transaction: bool) -> Iterator[str]:
    """Lines as Momentum's: the context, the name, the value, the latter two as xtext."""
    contexts = {"connection": session.context}
    if in_transaction:
        contexts["message"] = session.message_context
    for kind, context in contexts.items():
        variables = context.items()
        for name, value in variables[:DUMPED_VARIABLES]:
            yield f"[{kind}] {_cut(name, DUMPED_NAME)} {_cut(value, DUMPED_VALUE)}".rstrip()
        if len(variables) > DUMPED_VARIABLES:
            yield f"[{kind}] and {len(variables) - DUMPED_VARIABLES} more"
    yield "XDUMPCONTEXT complete"


def _cut(text: str, longest: int) -> str:
    """`text` as xtext, its end replaced by an equals sign, which xtext does not have, where it is too long."""
    encoded = encode_xtext(text[: longest + 1])
    if len(encoded) <= longest:
        return encoded
    cut = encoded[:longest]
    # Never inside `+XX`.
    return (cut[: cut.rfind("+", longest - 2)] if "+" in cut[-2:] else cut) + "="
