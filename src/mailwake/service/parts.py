"""Settings turned into the parts that workers are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.config.networks import network_set
from mailwake.config.scope_settings import Listen
from mailwake.enrichment.operator_files import check_files
from mailwake.events.privacy import NO_PRIVACY
from mailwake.flows.preparation import PreparationSettings
from mailwake.flows.routing import Routing
from mailwake.links.keyring import Key, Keyring
from mailwake.links.keyring_file import KeyringFile
from mailwake.listener.accounts import Account, Accounts
from mailwake.listener.address_limits import AddressLimitSettings
from mailwake.listener.limits import ListenerLimits
from mailwake.listener.settings import ListenerSettings
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.policy.precedence import EngagementLimits
from mailwake.rewrite.settings import RewriteSettings
from mailwake.service.next_hops import check_next_hops
from mailwake.service.policy_files import load_policies
from mailwake.service.unix_sockets import group_id, path_of
from mailwake.smtp.extensions import extensions_without
from mailwake.smtp.server_limits import ServerLimits
from mailwake.transport.tls import server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from mailwake.clock import Clock
    from mailwake.config.schema import Keys, Settings
    from mailwake.config.scope_settings import EsmtpListener
    from mailwake.config.scopes import ResolvedOptions, ScopedOptions
    from mailwake.events.privacy import EventPrivacy
    from mailwake.service.data_directory import DataDirectory
    from mailwake.smtp.extensions import Extension

COMMAND_LINE_OCTETS = 2048
AUTH_LINE_OCTETS = 12_288
PIPELINED_OCTETS = 1 << 20


class KeySource:
    """Where a worker's keys come from: the configuration, or the keyring file, which may be rotated meanwhile."""

    def __init__(self, keys: Keys, data: DataDirectory, clock: Clock) -> None:
        self._configured = keyring_of(keys)
        self._file = KeyringFile(data.keys, clock=clock)

    def load(self) -> Keyring:
        """The keyring as it stands now; KeyringError, one line, when the file cannot be used."""
        return self._configured or self._file.load()

    def changed(self) -> Keyring | None:
        """The keyring if it is another than the one last loaded; costs a `stat`."""
        return None if self._configured else self._file.reload_if_changed()


def keyring_of(keys: Keys) -> Keyring | None:
    """The keyring given in the configuration, None when there is none."""
    if not keys.secrets:
        return None
    return Keyring.of([Key(each.id, each.secret) for each in keys.secrets], keys.current)


def accounts_of(settings: Settings) -> Accounts:
    """The accounts that may authenticate."""
    return Accounts(
        {
            name: Account(name, account.password or "", account.customer_id or name, account.certificates)
            for name, account in settings.accounts.items()
        }
    )


def preparation_settings(settings: Settings, privacy: EventPrivacy = NO_PRIVACY) -> PreparationSettings:
    """What holds for every message."""
    return PreparationSettings(
        hostname=settings.esmtp_listener.hostname,
        node_name=settings.node_name,
        trace_header=settings.trace_header,
        include_metadata_in_clicks=settings.click_tracking_include_metadata,
        plan_cache_entries=settings.plan_cache_entries,
        ip_pool_header=settings.ip_pool_header or "",
        unsubscribe_mailto={
            name.lower(): domain.unsubscribe_mailto
            for name, domain in settings.tracking_domains.items()
            if domain.unsubscribe_mailto
        },
        privacy=privacy,
        rewriting=RewriteSettings(
            text_click_tracking=settings.text_click_tracking,
            text_click_limit=settings.text_click_limit,
            open_pixel=settings.open_pixel,
            track_mso=settings.track_mso,
            tracked_link_text=settings.tracked_link_text,
            on_signed=settings.on_signed,
        ),
        limits=EngagementLimits.of(settings),
        routing=Routing.of(settings),
    )


def check_parts(settings: Settings, *, demo: bool) -> None:
    """Make once what every worker will make: what cannot be made is said before anything is started."""
    tls_context(settings.esmtp_listener)
    for address, listen in settings.esmtp_listener.listen.items():
        if listen.socket_group is not None and path_of(address) is not None:
            group_id(listen.socket_group, f'esmtp_listener.listen."{address}"')
    load_policies(settings, log=make_logger("json", "error"), metrics=Metrics())
    check_files(settings.enrichment)
    if not demo:
        check_next_hops(settings)


def listener_settings(name: str, listener: EsmtpListener, scopes: ScopedOptions) -> ListenerSettings:
    """The settings of the listener with this address."""
    listen = listener.listen.get(name) or Listen()
    return ListenerSettings(
        name=name,
        hostname=listener.hostname,
        greeting=f"{listener.hostname} {_greeting(listener, listen)}",
        limits=_limits(listener),
        relay_networks=listener.relay_networks,
        tls_context=tls_context(listener) if listen.tls != "off" else None,
        unix=path_of(name) is not None,
        certificate_required=listener.tls_client_certificates == "require",
        lmtp=listen.protocol == "lmtp",
        implicit_tls=listen.tls == "implicit",
        auth_requires_tls=listener.auth_requires_tls,
        bare_newlines=listener.bare_newlines,
        resolve=_resolver(name, scopes),
        smtp_extensions=lambda peer: scopes.resolve_connection(name, peer).smtp_extensions.value,
        extensions=_extensions(name, scopes),
        proxies=network_set(listen.proxy_networks) if listen.proxy_protocol == "required" else None,
    )


def _greeting(listener: EsmtpListener, listen: Listen) -> str:
    # The text of old has the protocol's name in front; one of the operator's own stays as it is.
    return listener.greeting.replace("ESMTP ", "LMTP ", 1) if listen.protocol == "lmtp" else listener.greeting


def _extensions(name: str, scopes: ScopedOptions) -> Callable[[str], frozenset[Extension]]:
    return lambda peer: extensions_without(scopes.resolve_connection(name, peer).ehlo_discard.value)


def tls_context(listener: EsmtpListener) -> ssl.SSLContext | None:
    """The listener's side of TLS, None without a certificate; StartupError, one line, when a file cannot be used."""
    certificate = listener.tls_certificate
    if certificate is None:
        return None
    return server_context(
        certificate,
        listener.tls_key or certificate,
        minimum_version=listener.tls_minimum_version,
        client_ca=None if listener.tls_client_certificates == "off" else listener.tls_client_ca,
    )


def _resolver(name: str, scopes: ScopedOptions) -> Callable[[str, str | None], ResolvedOptions]:
    return lambda peer, pathway: scopes.resolve(name, peer, pathway)


def address_limits(listener: EsmtpListener) -> AddressLimitSettings:
    """What one address may do in each worker."""
    return AddressLimitSettings(
        connections=listener.max_connections_per_address,
        new_connections_a_minute=listener.max_connection_rate,
        auth_failures=listener.max_auth_failures_per_address,
        auth_failure_window=listener.auth_failure_window,
    )


def _limits(listener: EsmtpListener) -> ListenerLimits:
    return ListenerLimits(
        protocol=ServerLimits(
            command_line=COMMAND_LINE_OCTETS,
            auth_line=AUTH_LINE_OCTETS,
            text_line=listener.max_line_length,
            message_size=listener.max_message_size,
            recipients=listener.max_recipients,
            errors=listener.max_errors,
            buffered=PIPELINED_OCTETS,
        ),
        connections=listener.max_connections,
        idle_timeout=listener.idle_timeout,
        command_timeout=listener.command_timeout,
        data_timeout=listener.data_timeout,
        transactions=listener.max_transactions,
        auth_failures=listener.max_auth_failures,
    )
