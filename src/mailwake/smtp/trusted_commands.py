"""The arguments of the commands for trusted peers: XCLIENT (Postfix's), XREMOTEIP and XSETCONTEXT (Momentum's).

The documents are Postfix's XCLIENT_README and Momentum's "ESMTP_Listener Extensions". Whether the peer is trusted was
looked up before; everything here answers what a trusted peer says wrongly with 501 5.5.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailwake.config.networks import parse_client
from mailwake.smtp.replies import Refusal, Reply
from mailwake.smtp.xtext import XtextError, decode_xtext

UNKNOWN_ADDRESS = "unknown"
"""The address of a client about which the peer knows none; no network holds it."""

_UNAVAILABLE = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?")
_HELLO = re.compile(r"[!-~]{1,255}")
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class ClientAttributes:
    """What XCLIENT says of the client; None where it says nothing, "" where it says that nothing is known."""

    name: str | None = None
    """Its host name, which the peer has looked up."""
    address: str | None = None
    """An IP address, or UNKNOWN_ADDRESS."""
    port: int | None = None
    hello: str | None = None
    """What it called itself in HELO or EHLO."""
    protocol: str | None = None
    """SMTP or ESMTP."""
    login: str | None = None
    """The account that it has authenticated as with the peer."""
    receiving_address: str | None = None
    """Where it connected to (DESTADDR)."""
    receiving_port: int | None = None


def parse_xclient(argument: str) -> ClientAttributes:
    """XCLIENT's attributes, each at most once; raises Refusal."""
    values: dict[str, str | int] = {}
    for word in argument.split():
        name, equals, text = word.partition("=")
        attribute = _ATTRIBUTES.get(name.upper())
        if attribute is None or not equals:
            raise _syntax(f"XCLIENT attribute=value …, with the attributes {' '.join(XCLIENT_ATTRIBUTES)}")
        field, read = attribute
        try:
            if field in values:
                raise XtextError("it stands there twice")
            values[field] = read(decode_xtext(text))
        except ValueError:
            raise Refusal(Reply(501, "5.5.4", f"Bad value of the XCLIENT attribute {name.upper()}")) from None
    if not values:
        raise _syntax("XCLIENT attribute=value …")
    return ClientAttributes(**values)  # type: ignore[arg-type]  # the table below says which of them are numbers


def parse_address(text: str) -> str:
    """An IP address in its usual form, IPv6 with or without `IPV6:` before it; raises Refusal."""
    try:
        return _ip_address(text)
    except ValueError:
        raise _syntax("XREMOTEIP address") from None


def parse_variables(argument: str) -> list[tuple[str, str]]:
    """XSETCONTEXT's names and values, both of them xtext; raises Refusal."""
    variables = []
    for word in argument.split():
        name, equals, value = word.partition("=")
        try:
            variables.append((_variable_name(name if equals else ""), decode_xtext(value)))
        except XtextError as error:
            raise Refusal(Reply(501, "5.5.4", f"Bad context variable {len(variables) + 1}: {error}")) from None
    if not variables:
        raise _syntax("XSETCONTEXT name=value …, names and values as xtext (RFC 3461)")
    return variables


def _variable_name(text: str) -> str:
    name = decode_xtext(text)
    if not name or not name.isprintable():
        raise XtextError("name=value is needed, with a printable name")
    return name


def _syntax(form: str) -> Refusal:
    return Refusal(Reply(501, "5.5.4", f"Syntax: {form}"))


def _ip_address(text: str) -> str:
    bare = text[5:] if text[:5].upper() == "IPV6:" else text
    address = None if "%" in bare else parse_client(bare)  # a zone is known on one machine only
    if address is None or (bare is not text and ":" not in bare):
        raise ValueError
    return str(address)


def _known(read: Callable[[str], str], unknown: str = "") -> Callable[[str], str]:
    return lambda text: unknown if text.upper() in _UNAVAILABLE else read(text)


def _port(text: str) -> int:
    if text.upper() in _UNAVAILABLE:
        return 0
    if _PORT.fullmatch(text) is None or int(text) > 65535:
        raise ValueError
    return int(text)


def _protocol(text: str) -> str:
    if text.upper() not in ("SMTP", "ESMTP"):
        raise ValueError
    return text.upper()


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError
        return text

    return read


def _login(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError
    return text


_ATTRIBUTES: Mapping[str, tuple[str, Callable[[str], str | int]]] = {
    "NAME": ("name", _known(_matching(_NAME))),
    "ADDR": ("address", _known(_ip_address, UNKNOWN_ADDRESS)),
    "PORT": ("port", _port),
    "PROTO": ("protocol", _protocol),
    "HELO": ("hello", _known(_matching(_HELLO))),
    "LOGIN": ("login", _known(_login)),
    "DESTADDR": ("receiving_address", _known(_ip_address)),
    "DESTPORT": ("receiving_port", _port),
}
XCLIENT_ATTRIBUTES = tuple(_ATTRIBUTES)
"""In the order in which EHLO lists them."""
