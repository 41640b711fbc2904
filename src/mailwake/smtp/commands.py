"""Command lines as values (RFC 5321 §4.1.1): the verb, its argument, and what MAIL and RCPT say in it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple, get_args

from mailwake.smtp.addresses import AddressError, NeedsSmtputf8, parse_recipient, parse_sender
from mailwake.smtp.dsn import NO_REQUEST, DsnRequest, Returned, request_of
from mailwake.smtp.envelope import BodyType, Envelope
from mailwake.smtp.extensions import EVERY_EXTENSION, Extension
from mailwake.smtp.parameters import MAIL_PARAMETERS, RCPT_PARAMETERS, is_size, parse_parameters
from mailwake.smtp.replies import Refusal, Reply
from mailwake.smtp.states import Verb
from mailwake.smtp.verp import DEFAULT_DELIMITERS
from mailwake.smtp.xtext import normal_xtext

_VERBS = {verb.value: verb for verb in Verb}
# RFC 5321 §4.2.4: known and not implemented is 502; unknown is 500.
_NOT_IMPLEMENTED = frozenset({"EXPN", "SEND", "SOML", "SAML", "TURN", "ETRN", "ATRN"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The path ends at the first ">" outside a quoted string. One space after the colon is no syntax, and common.
_PATH = r'<((?:[^"<>]++|"(?:[^"\\]++|\\.)*+")*+)>(?: ++(.*))?'
_MAIL = re.compile(rf"(?i:FROM): ?{_PATH}")
_RCPT = re.compile(rf"(?i:TO): ?{_PATH}")


UNKNOWN_COMMAND = Reply(500, "5.5.1", "Unknown command")


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
        raise Refusal(UNKNOWN_COMMAND)
    return _VERBS[name]


def parse_hello(argument: str, verb: Verb) -> str:
    """The name a client gives itself: one word in ASCII, whatever else it is (RFC 5321 §4.1.4 forbids to check it)."""
    if not argument or " " in argument or len(argument) > 255 or not argument.isascii():
        raise Refusal(Reply(501, "5.5.4", f"{verb} needs one domain or address literal"))
    return argument


def parse_mail(argument: str, extensions: Collection[Extension] = EVERY_EXTENSION) -> Envelope:
    """The envelope that MAIL opens; raises Refusal."""
    found = _MAIL.fullmatch(argument)
    if found is None:
        raise Refusal(Reply(501, "5.1.7", "Syntax: MAIL FROM:<address> [parameters]"))
    envelope = _envelope(parse_parameters(found[2], MAIL_PARAMETERS, extensions)) if found[2] else Envelope("")
    try:
        envelope.sender = parse_sender(found[1], smtputf8=envelope.smtputf8)
    except AddressError as error:
        raise _bad_address(error, "5.1.7", "sender") from None
    if envelope.verp and not envelope.sender:
        raise Refusal(Reply(503, "5.5.4", "XVERP needs a sender"))  # as in Postfix
    return envelope


def _envelope(parameters: dict[str, str]) -> Envelope:
    """The envelope that these say of, whose sender is still to come."""
    return Envelope(
        "",
        smtputf8="SMTPUTF8" in parameters,
        body=_BODY_TYPES[parameters.get("BODY", "7BIT").upper()],
        parameters=parameters,
        returned=_RETURNED[parameters.get("RET", "").upper()],
        envelope_id=normal_xtext(parameters.get("ENVID", "")),
        verp=(parameters["XVERP"] or DEFAULT_DELIMITERS) if "XVERP" in parameters else "",
    )


_BODY_TYPES: dict[str, BodyType] = {each: each for each in get_args(BodyType)}
_RETURNED: dict[str, Returned] = {each: each for each in get_args(Returned)}


class Recipient(NamedTuple):
    """RCPT's argument."""

    address: str
    request: DsnRequest = NO_REQUEST


def parse_rcpt(argument: str, *, smtputf8: bool, extensions: Collection[Extension] = EVERY_EXTENSION) -> Recipient:
    """The recipient that RCPT names, and what it asks for; raises Refusal."""
    found = _RCPT.fullmatch(argument)
    if found is None:
        raise Refusal(Reply(501, "5.1.3", "Syntax: RCPT TO:<address> [parameters]"))
    request = NO_REQUEST
    if found[2]:
        asked = parse_parameters(found[2], RCPT_PARAMETERS, extensions, smtputf8=smtputf8)
        request = request_of(asked.get("NOTIFY", ""), asked.get("ORCPT", ""))
    try:
        return Recipient(parse_recipient(found[1], smtputf8=smtputf8), request)
    except AddressError as error:
        raise _bad_address(error, "5.1.3", "recipient") from None


class Chunk(NamedTuple):
    """BDAT's argument (RFC 3030 §2)."""

    octets: int
    last: bool


def parse_bdat(argument: str) -> Chunk | None:
    """The chunk that follows, or None when it cannot be told how many octets to take."""
    size, _, last = argument.partition(" ")
    if not is_size(size) or last.strip(" ").upper() not in ("", "LAST"):
        return None
    return Chunk(int(size), last != "")


def _bad_address(error: AddressError, enhanced: str, role: str) -> Refusal:
    if isinstance(error, NeedsSmtputf8):
        return Refusal(Reply(553, "5.6.7", f"Bad {role}: {error}"))  # RFC 6531 §3.5
    return Refusal(Reply(501, enhanced, f"Bad {role}: {error}"))
