"""Mail addresses of the envelope: the syntax and the length limits of RFC 5321 §4.1.2, with RFC 6531 on request."""

from __future__ import annotations

import ipaddress
import re

from mailwake.errors import MailwakeError

# RFC 5321 §4.5.3.1.1–3: octets; the path includes its angle brackets.
LONGEST_LOCAL_PART = 64
LONGEST_DOMAIN = 255
LONGEST_PATH = 256
_LONGEST_LABEL = 63  # RFC 1035 §2.3.4

# Possessive throughout: no input makes them go back.
_ATEXT = r"-A-Za-z0-9!#$%&'*+/=?^_`{|}~"
# Two deviations, both for addresses that exist and that other mail servers take: dots anywhere in a local part
# (carriers in Japan gave out such mailboxes), and underscores in a domain (hosts inside of companies).
_DOT_STRING = rf"[{_ATEXT}.]++"
_LABEL = r"[A-Za-z0-9_]++(?:-++[A-Za-z0-9_]++)*+"
_PLAIN = re.compile(rf"{_DOT_STRING}@{_LABEL}(?:\.{_LABEL})*+")
# RFC 6531 §3.3 lets any character beyond ASCII into atoms, quoted strings and labels; controls stay out.
_BEYOND = "\xa0-\u2027\u202a-\ud7ff\ue000-\U0010ffff"
_LOCAL_DOT_STRING = re.compile(rf"[{_ATEXT}{_BEYOND}.]++")
_LOCAL_QUOTED = re.compile(rf'"(?:[ !#-\[\]-~{_BEYOND}]|\\[ -~])*+"')
# IDNA takes these for dots; a label that holds one is no label.
_WIDE_DOTS = "\u3002\uff0e\uff61"
_LABEL_START = rf"(?![{_WIDE_DOTS}\s])[A-Za-z0-9_{_BEYOND}]"
_DOMAIN_LABEL = re.compile(rf"{_LABEL_START}(?:-|{_LABEL_START})*+")


class AddressError(MailwakeError):
    """An address that breaks the syntax; its text says where."""


class NeedsSmtputf8(AddressError):  # noqa: N818 - the client's cure, rather than its mistake
    """An address beyond ASCII in a transaction without SMTPUTF8 (RFC 6531 §3.5)."""


def parse_sender(path: str, *, smtputf8: bool = False) -> str:
    """The reverse-path between the angle brackets, without a source route; "" is the null sender."""
    return parse_address(path, smtputf8=smtputf8) if path else ""


def parse_recipient(path: str, *, smtputf8: bool = False) -> str:
    """The forward-path between the angle brackets, without a source route; postmaster needs no domain (§4.5.1)."""
    return path if path.isascii() and path.lower() == "postmaster" else parse_address(path, smtputf8=smtputf8)


def parse_address(path: str, *, smtputf8: bool = False) -> str:
    """The mailbox of a path, exactly as it was written; raises AddressError."""
    if len(path) <= LONGEST_LOCAL_PART and _PLAIN.fullmatch(path):
        return path  # most addresses: nothing in them can be over a limit
    if not path.isascii():
        _check_encoding(path, smtputf8=smtputf8)
    mailbox = _without_route(path)
    local_part, at, domain = mailbox.rpartition("@")
    if not at:
        raise AddressError("there is no @ in the address")
    _check_local_part(local_part)
    check_domain(domain)
    if len(path.encode("utf-8")) + len("<>") > LONGEST_PATH:
        raise AddressError(f"the path is longer than {LONGEST_PATH} octets")
    return mailbox


def _check_encoding(path: str, *, smtputf8: bool) -> None:
    if not smtputf8:
        raise NeedsSmtputf8("addresses beyond ASCII need SMTPUTF8")
    if any("\ud800" <= character <= "\udfff" for character in path):  # octets that were not UTF-8
        raise AddressError("the address is not UTF-8")


def _without_route(path: str) -> str:
    """RFC 5321 appendix C: a source route is to be accepted and ignored, though not to be malformed."""
    if not path.startswith("@"):
        return path
    route, colon, mailbox = path.partition(":")
    if not colon:
        raise AddressError("the source route has no end")
    for hop in route.split(","):
        if not hop.startswith("@"):
            raise AddressError("the source route has a hop without @")
        check_domain(hop[1:])
    return mailbox


def _check_local_part(local_part: str) -> None:
    if len(local_part.encode("utf-8")) > LONGEST_LOCAL_PART:
        raise AddressError(f"the local part is longer than {LONGEST_LOCAL_PART} octets")
    if not (_LOCAL_DOT_STRING.fullmatch(local_part) or _LOCAL_QUOTED.fullmatch(local_part)):
        raise AddressError("the local part is neither a dot-atom nor a quoted string")


def check_domain(domain: str) -> None:
    """Raises AddressError unless this is a domain or an address literal (RFC 5321 §4.1.2, §4.1.3)."""
    if len(domain.encode("utf-8")) > LONGEST_DOMAIN:
        raise AddressError(f"the domain is longer than {LONGEST_DOMAIN} octets")
    if domain.startswith("["):
        _check_literal(domain)
        return
    for label in domain.split("."):
        _check_label(label)


def _check_label(label: str) -> None:
    if not _DOMAIN_LABEL.fullmatch(label) or label.endswith("-"):
        raise AddressError("the domain has a label that is empty or has characters that cannot be in it")
    # A label beyond ASCII is as long as it will be in the DNS: "xn--" and its Punycode (RFC 5890 §2.3.2.1).
    length = len(label) if label.isascii() else len("xn--") + len(label.encode("punycode"))
    if length > _LONGEST_LABEL:
        raise AddressError(f"the domain has a label longer than {_LONGEST_LABEL} octets")


def _check_literal(domain: str) -> None:
    content = domain[1:-1]
    try:
        if not domain.endswith("]"):
            raise ValueError
        if content[:5].lower() == "ipv6:":
            if "%" in content:  # a zone means nothing to anybody else
                raise ValueError
            ipaddress.IPv6Address(content[5:])
        else:
            ipaddress.IPv4Address(content)
    except ValueError:
        raise AddressError("the address literal is neither [IPv4] nor [IPv6:address]") from None
