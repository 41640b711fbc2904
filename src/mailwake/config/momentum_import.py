"""From a Momentum configuration to mailwake's: the tracking options in their scopes, and what belongs to them.

Momentum's manual has the options in `ESMTP_Listener`, `Listen`, `Peer`, `Pathway` and `Pathway_Group` ("smtpapi – SMTP
Engagement Tracking"); all of these are scopes here too (1-injection §1). A pathway inside a group belongs to it, and
its options come before those of a pathway of the same name at the top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.config.fields import fields_of
from mailwake.config.kinds import show_text
from mailwake.config.momentum_report import ImportReport, TomlDraft
from mailwake.config.momentum_shared import LISTENER, SHARED, Shared, convert_shared
from mailwake.config.momentum_values import (
    NotConverted,
    is_true,
    listen_address,
    network,
    pathway_name,
    setting_text,
    shown,
)
from mailwake.config.schema import Settings
from mailwake.config.scope_settings import TrackingOptions

if TYPE_CHECKING:
    from mailwake.config.momentum_files import Given, MomentumConfiguration, Scope
    from mailwake.config.toml_lines import Path

_HEAD = "Converted by `mailwake config import`; behind each value stands where it came from."
_MODULE_SETTINGS = ("click_tracking_include_metadata", "max_metadata_len")

_NO_LISTEN = "no address to listen on was found; without one, senders connect to 127.0.0.1:2525"
_NO_RELAY = "no relay_hosts were found; without relay_networks only this machine may send without AUTH"
_NEXT_HOP = "set relay.next_hop (or start with --next-hop): the server that delivers, HOST:PORT; it may be Momentum"
_NO_DOMAIN = "no tracking_domain was found; links lead to localhost:8080 until you set it"
_METADATA = (
    "max_metadata_len is not set: Momentum 4.2 and later keep 1000 octets of metadata, mailwake 200; "
    "set it to 1000 for as much, at the price of longer links"
)
_NO_SMTPAPI = "no smtpapi stanza was found: without it Momentum tracks no mail over SMTP; mailwake does"
_GROUPS = (
    "options of a Pathway_Group apply here to all of its pathways; Momentum's manual warns that it does not do so for "
    "listener options"
)


class MomentumImport(NamedTuple):
    """What an import gives: the TOML text, how many settings and scopes are in it, and the report."""

    toml: str
    size: int
    report: ImportReport


def convert(found: MomentumConfiguration) -> MomentumImport:
    """The configuration for mailwake, which its loader takes, and a report of all that is not in it."""
    conversion = _Conversion()
    conversion.root(found.root)
    for place, name in found.missing:
        conversion.report.leave(place, f"include {shown(name)}", "it is not there and was passed over")
    return MomentumImport(conversion.draft.text(_HEAD), conversion.draft.size, conversion.report)


class _Conversion:
    def __init__(self) -> None:
        self.draft = TomlDraft()
        self.report = ImportReport()
        self._shared: list[Shared] = []
        self._listens: list[Path] = []
        self._named: dict[str, Given] = {}
        """The pathways that listeners and peers name, and one place that does."""

    def root(self, root: Scope) -> None:
        """Convert the whole configuration."""
        self.draft.begin(())
        self._options(root, ())
        for scope in root.named("engagement_tracker"):
            self._tracker_module(scope)
        for scope in root.named("esmtp_listener"):
            self._listener(scope)
        for scope in root.named("pathway"):
            self._pathway(scope, None)
        for scope in root.named("pathway_group"):
            self._pathway_group(scope)
        self._declare_named_pathways()
        convert_shared(self._shared, self._listens, self.draft, self.report)
        self._others(root, "engagement_tracker", "esmtp_listener", "pathway", "pathway_group", "smtpapi")
        self._notes(root)

    def _options(self, scope: Scope, path: Path) -> None:
        for name, given in scope.options.items():
            if name in fields_of(TrackingOptions):
                self._put(path, TrackingOptions, given)
            elif name == "pathway" and path[:1] == LISTENER:
                self._name_pathway(path, given)
            elif name in SHARED:
                self._shared.append(Shared(path, given))
            elif name != "enable" or path[:1] != LISTENER:
                self.report.leave_option(scope, given)

    def _put(self, path: Path, table: type, given: Given) -> None:
        name = given.name.lower()
        try:
            self.draft.put(path, name, setting_text(table, name, given.value), given.place)
        except NotConverted as reason:
            self.report.leave(given.place, given.name, str(reason))

    def _name_pathway(self, path: Path, given: Given) -> None:
        try:
            name = pathway_name(given.value)
        except NotConverted as reason:
            self.report.leave(given.place, given.name, str(reason))
            return
        self.draft.put(path, "pathway", show_text(name), given.place)
        self._named.setdefault(name, given)

    def _others(self, scope: Scope, *converted: str) -> None:
        for inner in scope.scopes.values():
            if inner.name.lower() not in converted:
                self.report.leave_stanza(inner)

    def _tracker_module(self, scope: Scope) -> None:
        for name, given in scope.options.items():
            if name in _MODULE_SETTINGS:
                self._put((), Settings, given)
            else:
                self.report.leave_option(scope, given)
        self._others(scope)

    def _listener(self, scope: Scope) -> None:
        self.draft.begin(LISTENER, scope.place)
        self._options(scope, LISTENER)
        for listen in scope.named("listen"):
            self._listen(listen, scope)
        self._peers(scope, LISTENER)
        self._others(scope, "listen", "peer")

    def _listen(self, scope: Scope, listener: Scope) -> None:
        enable = scope.options.get("enable") or listener.options.get("enable")
        if enable is not None and not is_true(enable):
            self.report.leave(scope.place, scope.title, f"it is switched off ({enable.place}); take it in if needed")
            return
        try:
            path = (*LISTENER, "listen", listen_address(scope.instance or ""))
        except NotConverted as reason:
            self.report.leave(scope.place, scope.title, str(reason))
            return
        self.draft.begin(path, scope.place)
        if path not in self._listens:
            self._listens.append(path)
        self._options(scope, path)
        self._peers(scope, path)
        self._others(scope, "peer")

    def _peers(self, scope: Scope, path: Path) -> None:
        for peer in scope.named("peer"):
            try:
                found = (*path, "peer", str(network(peer.instance or "")))
            except NotConverted as reason:
                self.report.leave(peer.place, peer.title, str(reason))
                continue
            if any(name in fields_of(TrackingOptions) or name == "pathway" for name in peer.options):
                self.draft.begin(found, peer.place)
            self._options(peer, found)
            self._others(peer)

    def _pathway(self, scope: Scope, group: str | None) -> None:
        try:
            name = pathway_name(scope.instance or "")
        except NotConverted as reason:
            self.report.leave(scope.place, scope.title, str(reason))
            return
        path = ("pathway", name)
        self.draft.begin(path, scope.place)
        before = self.draft.value(path, "group")
        if group is not None and before is None:
            self.draft.put(path, "group", show_text(group), scope.place)
        elif group is not None and before != show_text(group):
            self.report.leave(scope.place, scope.title, f"it is in group {before} already, and can be in one only")
            return
        self._options(scope, path)
        self._others(scope)

    def _pathway_group(self, scope: Scope) -> None:
        try:
            name = pathway_name(scope.instance or "")
        except NotConverted as reason:
            self.report.leave(scope.place, scope.title, str(reason))
            return
        path = ("pathway_group", name)
        self.draft.begin(path, scope.place)
        self._options(scope, path)
        for pathway in scope.named("pathway"):
            self._pathway(pathway, name)
        self._others(scope, "pathway")

    def _declare_named_pathways(self) -> None:
        """A pathway that is named must be there (config/references.py); in Momentum it need not."""
        for name, given in self._named.items():
            if not self.draft.has(("pathway", name)):
                self.draft.begin(("pathway", name), given.place)
                self.report.leave(
                    given.place, f"pathway {shown(name)}", "no such Pathway was found; an empty one is made"
                )

    def _notes(self, root: Scope) -> None:
        smtpapi = root.named("smtpapi")
        notes = {
            _NEXT_HOP: True,
            _NO_LISTEN: not self._listens,
            _NO_RELAY: self.draft.value(LISTENER, "relay_networks") is None,
            _NO_DOMAIN: not self.draft.sets("tracking_domain"),
            _METADATA: self.draft.value((), "max_metadata_len") is None,
            _NO_SMTPAPI: not smtpapi,
            _GROUPS: any(set(group.options) & set(fields_of(TrackingOptions)) for group in root.named("pathway_group")),
        }
        self.report.notes += [note for note, applies in notes.items() if applies]
        for scope in smtpapi:
            for given in scope.options.values():
                self.report.leave_option(scope, given)
            self._others(scope)
