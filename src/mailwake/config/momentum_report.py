"""What an import takes over and what it leaves out: the TOML text, and the report for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailwake.config.fields import fields_of
from mailwake.config.momentum_values import is_true, shown
from mailwake.config.scope_settings import TrackingOptions
from mailwake.config.toml_lines import join_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.config.momentum_files import Given, Place, Scope
    from mailwake.config.toml_lines import Path

_ACCOUNTS = "senders who authenticate are [accounts.NAME] here: `mailwake account hash` hashes the password of each"
_LUA = "try it with `mailwake policy check` and name it as file in [[policy]]"
_SIEVE = "policy is Python or Lua here: write what touches tracking anew (`mailwake policy new`)"
_SCRIPTLET = "scriptlet"
_BUILT_IN = "msys."
"""How the names of scripts begin that are parts of Momentum itself."""

_OPTION_ADVICE = {
    "banner_hostname": "set esmtp_listener.hostname if the greeting shall have this name",
    "gateway": "mailwake has next hops for all mail, a pathway or a customer: set relay.next_hop, or write [relays]",
    "idle_time": "set esmtp_listener.idle_timeout if clients need another time than 5 minutes",
}
"""What to do about options that have a counterpart of another meaning or form."""

_STANZA_ADVICE = {
    "auth_ds": _ACCOUNTS,
    "http_listener": "mail over HTTP is not taken in; where the tracker listens is said by tracker.listen",
    "sieve": _SIEVE,
}

_TRUSTED = frozenset({"XCLIENT", "XREMOTEIP", "XSETCONTEXT", "XDUMPCONTEXT"})
_TRUSTED_ADVICE = (
    "who has {} can pretend to be anybody: set smtp_extensions in the peers that need it, and nowhere else"
)
_PROXY_ADVICE = 'set proxy_protocol = "required" for the address, and the load balancers as its proxy_networks'

_MSG_GEN = "in msg_gen it is about mail made over HTTP only; set {} if mail over SMTP shall have it"
_MISPLACED = "Momentum reads it in listeners, pathways and peers only; set it in one of these if it shall apply"
_CONTEXT = "variables of a connection are set by policy here: set it there"


@dataclass(slots=True)
class ImportReport:
    """What was left out, by importance: things to do something about, and what has nothing to do with tracking."""

    left_out: list[tuple[Place, str]] = field(default_factory=list)
    stanzas: Counter[str] = field(default_factory=Counter)
    options: dict[str, Counter[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _spellings: dict[str, str] = field(default_factory=dict)

    def _spelled(self, name: str) -> str:
        """A name as it was spelled first, as names know no case."""
        return self._spellings.setdefault(name.lower(), name)

    def leave(self, place: Place, what: str, reason: str) -> None:
        """Note something that is left out, why, and what to do instead."""
        self.left_out.append((place, f"{what}: {reason}"))

    def leave_option(self, scope: Scope, given: Given) -> None:
        """Note an option without a counterpart; most have nothing to do with tracking and are only counted."""
        name = given.name.lower()
        if name in fields_of(TrackingOptions):
            in_msg_gen = scope.name.lower() == "msg_gen"
            self.leave(given.place, _title(scope, given), _MSG_GEN.format(name) if in_msg_gen else _MISPLACED)
        elif name == "engagement_tracking_host":
            self.leave(given.place, f"{given.name} = {shown(given.value)}", _MSG_GEN.format("tracking_domain"))
        elif name.startswith("auth") and name.endswith("parameters"):
            self.leave(given.place, given.name, _ACCOUNTS)
        elif advice := _advice(given):
            self.leave(given.place, f"{given.name} = {shown(given.value)}", advice)
        elif name != "context" or not self._leave_context(given):
            self.options.setdefault(scope.name.lower(), Counter())[self._spelled(given.name)] += 1

    def _leave_context(self, given: Given) -> bool:
        """Note the variables of a `context` dictionary that tracking reads; whether there are any."""
        variables = given.value if isinstance(given.value, dict) else {}
        known = [name for name in variables if name.startswith("smtpapi_") or name in ("mo_customer_id", "pathway")]
        for name in known:
            self.leave(given.place, f"context {name} = {shown(variables[name])}", _CONTEXT)
        return bool(known)

    def leave_stanza(self, scope: Scope) -> None:
        """Note a stanza without a counterpart, and what is in it of tracking."""
        name = scope.name.lower()
        if name in _STANZA_ADVICE:
            self.leave(scope.place, scope.title, _STANZA_ADVICE[name])
        elif name != _SCRIPTLET or not self._leave_scripts(scope):
            self.stanzas[self._spelled(scope.name)] += scope.count
        self._leave_tracking(scope)

    def _leave_scripts(self, scope: Scope) -> bool:
        """Note the Lua scripts of a `scriptlet` stanza that are no parts of Momentum; whether there are any."""
        found = [(script, script.options["source"]) for script in scope.named("script") if "source" in script.options]
        own = [(script, source) for script, source in found if not str(source.value).startswith(_BUILT_IN)]
        for script, source in own:
            self.leave(source.place, f"{script.title}, {shown(source.value)}", _LUA)
        return bool(own)

    def _leave_tracking(self, scope: Scope) -> None:
        for name, given in scope.options.items():
            if name in fields_of(TrackingOptions) or name == "engagement_tracking_host":
                self.leave_option(scope, given)
        for inner in scope.scopes.values():
            self._leave_tracking(inner)

    def lines(self) -> Iterator[str]:
        """The report as lines for people, without anything that a terminal could obey."""
        for line in self._lines():
            yield "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)

    def _lines(self) -> Iterator[str]:
        if self.left_out:
            yield "Left out, and what to do:"
            for place, text in sorted(self.left_out, key=lambda left: (left[0].file, left[0].line)):
                yield f"  {place}: {text}"
        if self.stanzas or self.options:
            yield "Left out, as it has nothing to do with tracking:"
            for name, count in sorted(self.stanzas.items()):
                yield f"  {name}: {count} stanza{'s' if count > 1 else ''}"
            for scope, names in sorted(self.options.items()):
                counted = (f"{name} ({count})" if count > 1 else name for name, count in sorted(names.items()))
                yield f"  options {f'in {scope}' if scope else 'at the top'}: {', '.join(counted)}"
        if self.notes:
            yield "Before `mailwake serve`:"
            yield from (f"  {note}" for note in self.notes)


def _advice(given: Given) -> str:
    """What to do about an option by itself, whatever its scope; nothing for most."""
    name = given.name.lower()
    if name == "smtp_extensions" and isinstance(given.value, list):
        trusted = [word for word in given.value if isinstance(word, str) and word.upper() in _TRUSTED]
        return _TRUSTED_ADVICE.format(" and ".join(trusted)) if trusted else ""
    if name == "proxy_protocol":
        return _PROXY_ADVICE if is_true(given) else ""
    return _OPTION_ADVICE.get(name, "")


def _title(scope: Scope, given: Given) -> str:
    return f"{given.name} = {shown(given.value)} in {scope.title}"


@dataclass(slots=True)
class _Table:
    place: Place | None
    settings: dict[str, tuple[str, str]] = field(default_factory=dict)
    """TOML text and source by name."""


class TomlDraft:
    """The tables of the new configuration, in the order in which they are begun."""

    def __init__(self) -> None:
        self._tables: dict[Path, _Table] = {}

    def begin(self, path: Path, place: Place | None = None) -> None:
        """Have a table, also when nothing is put into it."""
        self._tables.setdefault(path, _Table(place))

    def put(self, path: Path, name: str, text: str, *places: Place) -> None:
        """Set a value; one that is set again takes the old one's position."""
        self.begin(path, None)
        self._tables[path].settings[name] = (text, ", ".join(dict.fromkeys(map(str, places))))

    def has(self, path: Path) -> bool:
        """Whether there is such a table."""
        return path in self._tables

    def value(self, path: Path, name: str) -> str | None:
        """The TOML text of a setting; None when it is not set."""
        table = self._tables.get(path)
        return table.settings[name][0] if table is not None and name in table.settings else None

    def sets(self, name: str) -> bool:
        """Whether any table sets a setting of this name."""
        return any(name in table.settings for table in self._tables.values())

    @property
    def size(self) -> int:
        """How many settings and named tables there are."""
        named = sum(1 for path in self._tables if len(path) > 1)
        return named + sum(len(table.settings) for table in self._tables.values())

    def text(self, head: str) -> str:
        """The file: `head` as a comment, then every value with the place it came from."""
        lines = [f"# {head}"]
        for path, table in self._tables.items():
            if path or table.settings:
                lines.append("")
            if path:
                lines.append(f"[{join_name(path)}]{_comment(str(table.place) if table.place else '')}")
            lines += [f"{name} = {text}{_comment(source)}" for name, (text, source) in table.settings.items()]
        return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """A comment behind a value; file names may hold what TOML does not allow in comments."""
    return f"  # {''.join(c if c.isprintable() else '?' for c in text)}" if text else ""
