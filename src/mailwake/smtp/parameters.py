"""The parameters of MAIL and RCPT (RFC 5321 §4.1.1.11): each belongs to an extension, and is unknown without it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from mailwake.smtp.dsn import is_envelope_id, is_notify, is_original_recipient
from mailwake.smtp.extensions import Extension
from mailwake.smtp.replies import Refusal, Reply
from mailwake.smtp.verp import is_verp
from mailwake.smtp.xtext import is_xtext

_SYNTAX = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*+(?:=[!-<>-~]++)?")

Values = Mapping[Extension, Callable[[str], bool]]
"""The extensions that have a parameter, and the values that each of them allows; "" is no value."""


def is_size(value: str) -> bool:
    """Whether this is a number of octets: up to 20 digits (RFC 1870 §5)."""
    return value.isdigit() and value.isascii() and len(value) <= 20


def _one_of(*values: str) -> Callable[[str], bool]:
    return lambda value: value.upper() in values


MAIL_PARAMETERS: Mapping[str, Values] = {
    "SIZE": {Extension.SIZE: is_size},
    "BODY": {
        Extension.EIGHT_BIT_MIME: _one_of("7BIT", "8BITMIME"),  # RFC 6152
        Extension.BINARYMIME: _one_of("7BIT", "BINARYMIME"),  # RFC 3030 §3
    },
    "SMTPUTF8": {Extension.SMTPUTF8: _one_of("")},  # RFC 6531 §3.4
    "AUTH": {Extension.AUTH: lambda value: value != "" and is_xtext(value)},  # RFC 4954 §5: believed as little as "<>"
    "RET": {Extension.DSN: _one_of("FULL", "HDRS")},  # RFC 3461 §4.3
    "ENVID": {Extension.DSN: is_envelope_id},
    "XVERP": {Extension.XVERP: is_verp},
}
RCPT_PARAMETERS: Mapping[str, Values] = {
    "NOTIFY": {Extension.DSN: is_notify},
    "ORCPT": {Extension.DSN: is_original_recipient},
}


def parse_parameters(
    text: str, known: Mapping[str, Values], extensions: Collection[Extension], *, smtputf8: bool = False
) -> dict[str, str]:
    """The parameters by keyword in upper case, each at most once, "" for those without a value; raises Refusal."""
    parameters: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        keyword = name.upper()
        # RFC 6533 §3: ORCPT alone may hold characters beyond ASCII, and only of who may write such addresses.
        if not word.isascii() and not (smtputf8 and keyword == "ORCPT" and name.isascii()):
            raise Refusal(Reply(501, "5.5.4", "Parameters are ASCII"))
        if not _is_taken(known.get(keyword, {}), value, extensions):
            raise _refusal(word, known.get(keyword), value, extensions)
        if keyword in parameters or (equals and not value):
            raise Refusal(Reply(501, "5.5.4", f"Parameter {keyword} is repeated or has a bad value"))
        parameters[keyword] = value
    return parameters


def _is_taken(values: Values, value: str, extensions: Collection[Extension]) -> bool:
    """Whether an extension that is there allows the value."""
    for extension, is_good in values.items():  # noqa: SIM110 - `any` takes twice the time, and every MAIL comes by here
        if extension in extensions and is_good(value):
            return True
    return False


def _refusal(word: str, values: Values | None, value: str, extensions: Collection[Extension]) -> Refusal:
    """Why a parameter is not taken: nobody knows it, its extension is not there, or its value is none."""
    keyword = word.partition("=")[0].upper()
    if values is None and _SYNTAX.fullmatch(word) is None:
        return Refusal(Reply(501, "5.5.4", "Syntax of parameters: KEYWORD or KEYWORD=value"))
    # A value that only an absent extension has (BODY=BINARYMIME) is not supported, rather than wrong.
    is_there = any(each in extensions for each in values or ())
    if values is None or not is_there or any(is_good(value) for is_good in values.values()):
        return Refusal(Reply(555, "5.5.4", f"Parameter {keyword} is not supported"))
    return Refusal(Reply(501, "5.5.4", f"Parameter {keyword} is repeated or has a bad value"))
