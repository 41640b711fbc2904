"""Command lines as values (RFC 5321 §4.1.1): the verb, its argument, and what MAIL and RCPT say in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from mailwake.smtp.addresses import AddressError, NeedsSmtputf8, parse_recipient, parse_sender
from mailwake.smtp.envelope import BodyType, Envelope
from mailwake.smtp.replies import Refusal, Reply
from mailwake.smtp.states import Verb

_VERBS = {verb.value: verb for verb in Verb}
# RFC 5321 §4.2.4: known and not implemented is 502; unknown is 500.
_NOT_IMPLEMENTED = frozenset({"EXPN", "SEND", "SOML", "SAML", "TURN", "ETRN", "ATRN"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The path ends at the first ">" outside a quoted string. One space after the colon is no syntax, and common.
_PATH = r'<((?:[^"<>]++|"(?:[^"\\]++|\\.)*+")*+)>(?: ++(.*))?'
_MAIL = re.compile(rf"(?i:FROM): ?{_PATH}")
_RCPT = re.compile(rf"(?i:TO): ?{_PATH}")
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*+(?:=[!-<>-~]++)?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})++")  # RFC 3461 §4


class Command(NamedTuple):
    """One command line."""

    verb: Verb
    argument: str
    """What follows the verb, without white space around it; octets that are not UTF-8 are lone surrogates."""


def parse_command(line: bytes) -> Command:
    """The command in a line without its CRLF; raises Refusal with 500 or 502."""
    text = line.decode("utf-8", "surrogateescape").rstrip(" \t")  # RFC 5321 §4.1.1: trailing white space is tolerated
    if not text.isprintable() and _CONTROL.search(text):
        raise Refusal(Reply(500, "5.5.2", "A command must not contain control characters"))
    word, _, argument = text.partition(" ")
    verb = _VERBS.get(word)
    if verb is None:
        verb = _verb_of(word)
    return Command(verb, argument.lstrip(" ") if argument else "")


def _verb_of(word: str) -> Verb:
    name = word.upper() if word.isascii() else ""  # beyond ASCII there are letters that become I or S in upper case
    if name in _NOT_IMPLEMENTED:
        raise Refusal(Reply(502, "5.5.1", f"{name} is not implemented"))
    if name not in _VERBS:
        raise Refusal(Reply(500, "5.5.1", "Unknown command"))
    return _VERBS[name]


def parse_hello(argument: str, verb: Verb) -> str:
    """The name a client gives itself: one word in ASCII, whatever else it is (RFC 5321 §4.1.4 forbids to check it)."""
    if not argument or " " in argument or len(argument) > 255 or not argument.isascii():
        raise Refusal(Reply(501, "5.5.4", f"{verb} needs one domain or address literal"))
    return argument


def parse_mail(argument: str) -> Envelope:
    """The envelope that MAIL opens; raises Refusal."""
    found = _MAIL.fullmatch(argument)
    if found is None:
        raise Refusal(Reply(501, "5.1.7", "Syntax: MAIL FROM:<address> [parameters]"))
    parameters = _parameters(found[2], _MAIL_PARAMETERS) if found[2] else {}
    body: BodyType = "8BITMIME" if parameters.get("BODY", "").upper() == "8BITMIME" else "7BIT"
    envelope = Envelope("", [], "SMTPUTF8" in parameters, body, parameters)
    try:
        envelope.sender = parse_sender(found[1], smtputf8=envelope.smtputf8)
    except AddressError as error:
        raise _bad_address(error, "5.1.7", "sender") from None
    return envelope


def parse_rcpt(argument: str, *, smtputf8: bool) -> str:
    """The recipient that RCPT names; raises Refusal."""
    found = _RCPT.fullmatch(argument)
    if found is None:
        raise Refusal(Reply(501, "5.1.3", "Syntax: RCPT TO:<address>"))
    if found[2]:
        _parameters(found[2], _RCPT_PARAMETERS)
    try:
        return parse_recipient(found[1], smtputf8=smtputf8)
    except AddressError as error:
        raise _bad_address(error, "5.1.3", "recipient") from None


class Chunk(NamedTuple):
    """BDAT's argument (RFC 3030 §2)."""

    octets: int
    last: bool


def parse_bdat(argument: str) -> Chunk | None:
    """The chunk that follows, or None when it cannot be told how many octets to take."""
    size, _, last = argument.partition(" ")
    if not _is_size(size) or last.strip(" ").upper() not in ("", "LAST"):
        return None
    return Chunk(int(size), last != "")


def _is_size(value: str) -> bool:
    return value.isdigit() and value.isascii() and len(value) <= 20


def _bad_address(error: AddressError, enhanced: str, role: str) -> Refusal:
    if isinstance(error, NeedsSmtputf8):
        return Refusal(Reply(553, "5.6.7", f"Bad {role}: {error}"))  # RFC 6531 §3.5
    return Refusal(Reply(501, enhanced, f"Bad {role}: {error}"))


def _parameters(text: str, known: Mapping[str, Callable[[str], bool]]) -> dict[str, str]:
    """ESMTP parameters (RFC 5321 §4.1.1.11), each at most once, each with a value its keyword allows."""
    parameters: dict[str, str] = {}
    if not text.isascii():
        raise Refusal(Reply(501, "5.5.4", "Parameters are ASCII"))
    for word in text.split():
        name, equals, value = word.partition("=")
        keyword = name.upper()
        is_good = known.get(keyword)
        if is_good is None:
            raise _unknown_parameter(word)
        if keyword in parameters or bool(equals) != bool(value) or not is_good(value):
            raise Refusal(Reply(501, "5.5.4", f"Parameter {keyword} is repeated or has a bad value"))
        parameters[keyword] = value
    return parameters


def _unknown_parameter(word: str) -> Refusal:
    if _PARAMETER.fullmatch(word) is None:
        return Refusal(Reply(501, "5.5.4", "Syntax of parameters: KEYWORD or KEYWORD=value"))
    return Refusal(Reply(555, "5.5.4", f"Parameter {word.partition('=')[0].upper()} is not supported"))


_MAIL_PARAMETERS: Mapping[str, Callable[[str], bool]] = {
    "SIZE": lambda value: _is_size(value),  # RFC 1870 §5: up to 20 digits
    "BODY": lambda value: value.upper() in ("7BIT", "8BITMIME"),  # RFC 6152
    "SMTPUTF8": lambda value: value == "",  # RFC 6531 §3.4
    "AUTH": lambda value: _XTEXT.fullmatch(value) is not None,  # RFC 4954 §5: taken, and believed as little as "<>"
}
_RCPT_PARAMETERS: Mapping[str, Callable[[str], bool]] = {}
