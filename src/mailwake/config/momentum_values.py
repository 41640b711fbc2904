"""Single values of a Momentum configuration as mailwake has them, and the reasons why some cannot be had."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network
from typing import TYPE_CHECKING

from mailwake.config.fields import Setting, fields_of
from mailwake.config.kinds import flag, normal_address
from mailwake.config.networks import IPNetwork, parse_network
from mailwake.config.scope_settings import NAME

if TYPE_CHECKING:
    from mailwake.config.momentum_files import Given
    from mailwake.config.momentum_syntax import Value


class NotConverted(ValueError):  # noqa: N818 - a reason, not a failure
    """Why a value cannot be taken over, and what to do instead; one clause."""


def setting_text(table: type, name: str, value: Value) -> str:
    """The TOML text for setting `name` of `table`. Raises NotConverted.

    Numbers are digits only: what Momentum would make of a suffix its documentation does not say.
    """
    marker = fields_of(table)[name].marker
    if not isinstance(marker, Setting):
        raise TypeError(f"{name} is no setting")
    kind = marker.kind
    text = _word(value)
    if kind.name in ("duration", "size") and not (text.isascii() and text.isdigit()):
        raise NotConverted(f"{shown(value)} is no whole number, and Momentum's manual has nothing else; set it by hand")
    try:
        return kind.show(kind.read(kind.from_text(text.lower() if kind.name == "choice" else text)))
    except (ValueError, OverflowError):
        raise NotConverted(f"{shown(value)} cannot be used; give {kind.allowed}") from None


def shown(value: Value) -> str:
    """A value for the report: on one line, and short."""
    if isinstance(value, dict):
        return "[ … ]"
    text = f"( {' '.join(map(_bare, value))} )" if isinstance(value, list) else f'"{value}"'
    return text if len(text) <= 60 else f"{text[:57]}..."


def _bare(value: Value) -> str:
    return value if isinstance(value, str) else shown(value)


def is_true(given: Given) -> bool:
    """Whether an option is on; whatever is no boolean is not."""
    kind = flag()
    try:
        return bool(kind.read(kind.from_text(_word(given.value))))
    except ValueError:
        return False


def listen_address(text: str) -> str:
    """`host:port` of a Listen stanza: `:25` and `*:25` are every IPv4 address, `[*]:25` every IPv6 one."""
    if "/" in text:
        raise NotConverted(
            f'write [esmtp_listener.listen."unix:{text}"] if you want it: whoever may write to that file may relay'
        )
    host, colon, port = text.strip().rpartition(":")
    host = {"": "0.0.0.0", "*": "0.0.0.0", "[*]": "[::]"}.get(host, host) if colon else host  # noqa: S104 - theirs
    try:
        if host.startswith("["):
            host = f"[{IPv6Address(host[1:-1]).compressed}]"
        return normal_address(f"{host}{colon}{port}")
    except ValueError:
        raise NotConverted(f"{shown(text)} is no HOST:PORT; give one, like 192.0.2.1:25 or [2001:db8::1]:25") from None


def network(text: str) -> IPNetwork:
    """A network or address, its host bits cleared, as Momentum takes `10.1.2.3/8` for `10.0.0.0/8`."""
    try:
        return parse_network(str(ip_network(text.strip().strip("[]"), strict=False)))
    except ValueError:
        raise NotConverted(f"{shown(text)} is no IP address or network; give one, like 10.0.0.0/8") from None


def relay_networks(value: Value) -> list[str]:
    """The items of `relay_hosts`, still as text: a list, or several in one text. Raises NotConverted."""
    return [_word(item) for item in value] if isinstance(value, list) else _word(value).split()


def relay_network(text: str) -> IPNetwork:
    """A network that may send without AUTH. Raises NotConverted, also for a network that has everybody in it."""
    found = network(text)
    if found.prefixlen == 0:
        raise NotConverted(f"{found} would let everybody send without AUTH; name the networks that may")
    return found


def file_path(value: Value) -> str:
    """The path of a certificate or key; Momentum also takes `file://` before it."""
    text = _word(value).removeprefix("file://")
    if not text or not text.isprintable():
        raise NotConverted(f"{shown(value)} is no path")
    return text


def pathway_name(text: Value) -> str:
    """The name of a pathway or group, when mailwake can have it."""
    try:
        return str(NAME.read(text))
    except ValueError:
        raise NotConverted(f"{shown(text)} cannot be a name; give {NAME.allowed}") from None


def _word(value: Value) -> str:
    if not isinstance(value, str):
        raise NotConverted(f"{shown(value)} cannot be used; give one value")
    return value
