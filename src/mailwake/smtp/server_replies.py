"""The replies that the server's protocol gives of its own."""

from __future__ import annotations

from collections.abc import Mapping

from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import (
    Authenticate,
    DumpContext,
    Event,
    MailFrom,
    MessageData,
    Quit,
    RcptTo,
    RemoteAddress,
    SetContext,
    StartTLS,
    XClient,
)
from mailwake.smtp.states import LMTP_GREETINGS, SMTP_GREETINGS, TRUSTED_VERBS, Verb

OK = Reply(250, "2.0.0", "Ok")
CANNOT_VERIFY = Reply(252, "2.0.0", "Cannot verify, but will take messages and try")  # RFC 5321 §3.5.3
HELP = Reply(
    214,
    "2.0.0",
    f"Commands: {' '.join(each for each in Verb if each not in TRUSTED_VERBS | LMTP_GREETINGS)}; see RFC 5321",
)
LMTP_HELP = Reply(
    214,
    "2.0.0",
    f"Commands: {' '.join(each for each in Verb if each not in TRUSTED_VERBS | SMTP_GREETINGS)}; see RFC 2033",
)
START_INPUT = Reply(354, "", "End data with <CR><LF>.<CR><LF>")

BARE_LF = Reply(521, "5.5.2", "A line ended with a bare LF, closing the connection")
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
AUTH_LINE_TOO_LONG = Reply(500, "5.5.6", "Authentication line too long")  # RFC 4954 §4.2
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument")
VRFY_SYNTAX = Reply(501, "5.5.4", "Syntax: VRFY address")
BDAT_SYNTAX = Reply(501, "5.5.4", "Syntax: BDAT octets [LAST]; closing the connection, as the octets cannot be told")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
NO_VALID_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")  # RFC 5321 §4.1.1.4
NO_VALID_LMTP_RECIPIENTS = Reply(503, "5.5.1", "No valid recipients")  # RFC 2033 §4.2
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, closing the connection")

NO_TLS = Reply(502, "5.5.1", "STARTTLS is not offered")
TLS_ACTIVE = Reply(503, "5.5.1", "TLS is already active")
INJECTION = Reply(554, "5.5.1", "Commands after STARTTLS were not encrypted, closing the connection")

NO_AUTH = Reply(502, "5.5.1", "AUTH is not offered")
NO_DATA = Reply(503, "5.5.1", "A message with BODY=BINARYMIME comes by BDAT")  # RFC 3030 §3
NO_BDAT = Reply(502, "5.5.1", "BDAT is not offered")
AUTHENTICATED = Reply(503, "5.5.1", "Already authenticated")  # RFC 4954 §4: once a session
ENCRYPTION_NEEDED = Reply(538, "5.7.11", "AUTH needs TLS, use STARTTLS first")
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "This mechanism is not offered")

NOT_TRUSTED = Reply(550, "5.7.0", "This command is for trusted peers only")

CUSTOMARY: Mapping[type[Event], Reply] = {
    StartTLS: Reply(220, "2.0.0", "Ready to start TLS"),
    Authenticate: Reply(235, "2.7.0", "Authentication succeeded"),
    MailFrom: Reply(250, "2.1.0", "Ok"),
    RcptTo: Reply(250, "2.1.5", "Ok"),
    MessageData: OK,
    Quit: Reply(221, "2.0.0", "Bye"),
    XClient: OK,
    RemoteAddress: OK,
    SetContext: OK,
    DumpContext: OK,
}
"""The positive reply to each event; those with the host's name in them are made by the protocol."""

ERRORS = frozenset({500, 501, 502, 503, 504, 535, 538})
"""The codes that count as errors of the client: it does not speak the protocol, or guesses passwords."""
