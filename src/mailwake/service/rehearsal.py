"""A message put through every phase without a network: what policy, header and configuration make of it."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mailwake.clock import SystemClock
from mailwake.config.scopes import ScopedOptions
from mailwake.errors import SettingError
from mailwake.events.unique_ids import UniqueIds
from mailwake.flows.message_policy import MessagePolicy
from mailwake.flows.preparation import Preparation
from mailwake.links.keyring import Keyring
from mailwake.links.token import TokenCodec
from mailwake.listener.accounts import Accounts
from mailwake.listener.address_limits import AddressLimits, AddressLimitSettings
from mailwake.listener.conversation import Conversation
from mailwake.listener.login_limits import LoginLimits
from mailwake.listener.memory_budget import MemoryBudget
from mailwake.listener.refusals import Refusals
from mailwake.listener.session import Session
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.policy.phases import Phase
from mailwake.service.parts import accounts_of, preparation_settings
from mailwake.service.policy_files import load_policies
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.replies import Refusal, Reply
from mailwake.smtp.server_events import Connected, Hello, MailFrom, RcptTo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.config.load import Configuration
    from mailwake.config.schema import Settings
    from mailwake.flows.message_policy import Judged
    from mailwake.flows.prepared_message import PreparedMessage
    from mailwake.listener.accounts import Account
    from mailwake.smtp.server_events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who would send the message, and what is already known of the connection."""

    sender: str
    recipient: str
    peer: str = "127.0.0.1"
    listener: str | None = None
    account: str = ""
    """The account it has authenticated as, "" for none."""
    context: Mapping[str, str] = field(default_factory=dict)


class Rehearsed(NamedTuple):
    """The message as it would leave."""

    session: Session
    message: PreparedMessage
    judged: Judged | None
    preparation: Preparation


async def rehearse(configuration: Configuration, content: bytes, client: Client) -> Rehearsed:
    """Put the message through all phases, with keys of the moment and every tag known.

    Raises Refusal, with the phase in its log text, where the service would refuse, and Refusal with a 250 where policy
    would throw the copy away.
    """
    settings, clock, metrics, log = configuration.settings, SystemClock(), Metrics(), make_logger("auto", "error")
    account = _account(settings, client.account)
    policies = load_policies(settings, log=log, metrics=metrics)
    session = _session(configuration, client)
    conversation = Conversation(
        session,
        _NoReceiver(),
        Accounts({}),
        greeting="explain.invalid",
        login_limits=LoginLimits(AddressLimits(AddressLimitSettings(), clock), Refusals(log, "explain"), clock, 1),
        transactions=0,
        budget=MemoryBudget(1),
        policies=policies,
        log=log,
        metrics=metrics,
    )
    envelope = Envelope(client.sender, [client.recipient])
    await _phases(conversation, client, account, envelope)
    ids = UniqueIds(0, 0, clock.now, lambda mark: None)
    judged = await MessagePolicy(policies, metrics=metrics).judge(session, envelope, content, ids.next())
    if judged is not None and judged.discarded:
        raise Refusal(
            Reply(250, "2.0.0", "OK"), f"policy takes the message and throws it away: {judged.discarded[0][1]}"
        )
    preparation = Preparation(
        preparation_settings(settings),
        ids=ids,
        codec=TokenCodec(Keyring.new(os.urandom, 0)),
        admit_tags=list,
        clock=clock,
        log=log,
        metrics=metrics,
    )
    return Rehearsed(session, preparation.prepare(session, envelope, content, judged), judged, preparation)


def _account(settings: Settings, name: str) -> Account | None:
    if not name:
        return None
    found = accounts_of(settings).find(name)
    if found is None:
        known = ", ".join(sorted(settings.accounts)) or "none"
        raise SettingError(f"--account: there is no [accounts.{name}] in the configuration; it has: {known}")
    return found


def _session(configuration: Configuration, client: Client) -> Session:
    scopes = ScopedOptions(configuration)
    wanted = client.listener or scopes.listeners[0]
    name = scopes.find_listener(wanted)
    if name is None:
        raise SettingError(f"--listener: nothing listens on {wanted}; configured: {', '.join(scopes.listeners)}")
    session = Session(
        name,
        client.peer,
        0,
        scopes.resolve(name, client.peer),
        trusted_network=True,
        resolve=lambda pathway: scopes.resolve(name, client.peer, pathway),
        tracing=True,
    )
    for variable, value in client.context.items():
        session.context.set(variable, value, "the command line")
    return session


async def _phases(conversation: Conversation, client: Client, account: Account | None, envelope: Envelope) -> None:
    before = Envelope(client.sender)
    await _pass(conversation, Connected(), Phase.CONNECT)
    await _pass(conversation, Hello("explain.invalid", extended=True), Phase.EHLO)
    if account is not None:
        await _accepted(conversation.log_in(account.name, account.customer_id), Phase.AUTH)
    await _pass(conversation, MailFrom(before), Phase.MAILFROM)
    await _pass(conversation, RcptTo(client.recipient, before), Phase.RCPTTO)


async def _pass(conversation: Conversation, event: Event, phase: Phase) -> None:
    await _accepted(conversation.decide(event), phase)


async def _accepted(decision: object, phase: Phase) -> None:
    reply = await decision if inspect.isawaitable(decision) else decision
    assert isinstance(reply, Reply)
    if not reply.is_positive:
        raise Refusal(reply, f"policy in {phase}: {reply}")


class _NoReceiver:
    """Nothing is ever sent here: the message is looked at, not relayed."""

    async def receive(self, session: Session, envelope: Envelope, content: bytes) -> Reply:
        raise AssertionError("a rehearsal relays nothing")
