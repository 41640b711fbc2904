"""The server's side of SMTP against the documents: a section, the octets a client sends, the codes that answer."""

import base64
import re
from itertools import cycle, islice, product
from typing import Any

import pytest

from mailwake.smtp.extensions import Extension, extensions_without
from mailwake.smtp.server_protocol import ServerLimits, ServerProtocol, StartTLS

LIMITS = ServerLimits(
    command_line=2048, auth_line=12288, text_line=1000, message_size=10_000, recipients=100, errors=20, buffered=65536
)
HELLO = "EHLO client.example\r\n"
FROM = HELLO + "MAIL FROM:<a@example.com>\r\n"
TO = FROM + "RCPT TO:<b@example.org>\r\n"
TAKEN = "250 250:2.1.0 250:2.1.5"  # the replies to TO
NOT_TAKEN = "250 250:2.1.0 501:5.5.4"
BINARY = HELLO + "MAIL FROM:<a@example.com> BODY=BINARYMIME\r\nRCPT TO:<b@example.org>\r\n"
UTF8 = HELLO + "MAIL FROM:<> SMTPUTF8\r\n"
TLS: dict[str, Any] = {"starttls": True, "auth_mechanisms": ["PLAIN"]}
AUTH: dict[str, Any] = {"auth_mechanisms": ["PLAIN", "LOGIN"], "auth_requires_tls": False}
BDAT: dict[str, Any] = {}
CREDENTIALS = base64.b64encode(b"\0ann\0secret").decode()


def without(*names: str) -> dict[str, Any]:
    """The option that these extensions are discarded."""
    return {"extensions": extensions_without(names)}


def codes(script: str, options: dict[str, Any]) -> str:
    """Code and enhanced code of every reply after the greeting, for a script sent at once; "!" when it hangs up."""
    protocol = ServerProtocol("mx.example", LIMITS, **options)
    said = []
    for data in ("", script):
        protocol.receive_data(data.encode())
        while (event := protocol.next_event()) is not None:
            protocol.accept()
            if isinstance(event, StartTLS) and not protocol.closing:
                protocol.tls_established()
        said.append(protocol.data_to_send())
    assert said[0] == f"220 mx.example {'LMTP' if options.get('lmtp') else 'ESMTP'}\r\n".encode()
    assert re.fullmatch(rb"([2345]\d\d[ -][ -~]{0,507}\r\n)*", said[1])
    final = re.findall(rb"(?m)^(\d{3}) (?:([245]\.\d{1,3}\.\d{1,3}) )?", said[1])
    return " ".join((code + b":" + enhanced).decode().rstrip(":") for code, enhanced in final) + (
        " !" if protocol.closing else ""
    )


TABLE: list[tuple[str, str, str, dict[str, Any]]] = [
    ("5321 §2.4 verbs in any case", "eHlO x\r\nmAiL fRoM:<>\r\nrCpT tO:<a@b>\r\n", TAKEN, {}),
    ("5321 §3.1 nothing before EHLO", "MAIL FROM:<>\r\n", "503:5.5.1", {}),
    ("5321 §3.2 HELO", "HELO x\r\nMAIL FROM:<>\r\n", "250 250:2.1.0", {}),
    ("5321 §3.3 a mail", TO + "DATA\r\nx\r\n.\r\n", TAKEN + " 354 250:2.0.0", {}),
    ("5321 §3.3 two mails", TO + "DATA\r\n.\r\nMAIL FROM:<>\r\n", TAKEN + " 354 250:2.0.0 250:2.1.0", {}),
    ("5321 §3.3 MAIL in a transaction", FROM + "MAIL FROM:<>\r\n", "250 250:2.1.0 503:5.5.1", {}),
    ("5321 §3.5.3 VRFY", HELLO + "VRFY ann\r\nVRFY\r\n", "250 252:2.0.0 501:5.5.4", {}),
    ("5321 §3.6.1 source route", FROM + "RCPT TO:<@x.example,@y.example:b@z.example>\r\n", TAKEN, {}),
    ("5321 §3.8 QUIT", "QUIT\r\nNOOP\r\n", "221:2.0.0 !", {}),
    ("5321 §4.1.1.1 EHLO without a name", "EHLO\r\nHELO\r\n", "501:5.5.4 501:5.5.4", {}),
    ("5321 §4.1.1.1 address literal", "EHLO [192.0.2.1]\r\n", "250", {}),
    ("5321 §4.1.1.2 null sender", HELLO + "MAIL FROM:<>\r\n", "250 250:2.1.0", {}),
    ("5321 §4.1.1.2 no brackets", HELLO + "MAIL FROM:a@b\r\n", "250 501:5.1.7", {}),
    ("5321 §4.1.1.3 RCPT first", HELLO + "RCPT TO:<a@b>\r\n", "250 503:5.5.1", {}),
    ("5321 §4.1.1.3 null recipient", FROM + "RCPT TO:<>\r\n", "250 250:2.1.0 501:5.1.3", {}),
    ("5321 §4.1.1.3 postmaster", FROM + "RCPT TO:<Postmaster>\r\n", TAKEN, {}),
    ("5321 §4.1.1.4 DATA without MAIL", HELLO + "DATA\r\n", "250 503:5.5.1", {}),
    ("5321 §4.1.1.4 DATA without RCPT", FROM + "DATA\r\n", "250 250:2.1.0 503:5.5.1", {}),
    ("5321 §4.1.1.4 all RCPT refused", FROM + "RCPT TO:<a>\r\nDATA\r\n", "250 250:2.1.0 501:5.1.3 554:5.5.1", {}),
    ("5321 §4.1.1.4 DATA with an argument", TO + "DATA x\r\n", TAKEN + " 501:5.5.4", {}),
    ("5321 §4.1.1.5 RSET", FROM + "RSET\r\nRCPT TO:<a@b>\r\n", "250 250:2.1.0 250:2.0.0 503:5.5.1", {}),
    ("5321 §4.1.1.5 RSET before EHLO", "RSET\r\n", "250:2.0.0", {}),
    ("5321 §4.1.1.5 RSET with an argument", HELLO + "RSET x\r\n", "250 501:5.5.4", {}),
    ("5321 §4.1.1.8 HELP", "HELP\r\nHELP MAIL\r\n", "214:2.0.0 214:2.0.0", {}),
    ("5321 §4.1.1.9 NOOP with an argument", "NOOP x y\r\n", "250:2.0.0", {}),
    ("5321 §4.1.1.10 QUIT with an argument", "QUIT x\r\n", "501:5.5.4", {}),
    ("5321 §4.1.1.11 unknown parameter", HELLO + "MAIL FROM:<> X=1\r\n", "250 555:5.5.4", {}),
    ("5321 §4.1.1.11 RCPT parameter", FROM + "RCPT TO:<a@b> X\r\n", "250 250:2.1.0 555:5.5.4", {}),
    ("5321 §4.1.1.11 syntax of parameters", HELLO + "MAIL FROM:<> =1\r\n", "250 501:5.5.4", {}),
    ("5321 §4.1.1 trailing white space", "NOOP   \t\r\n", "250:2.0.0", {}),
    ("5321 §4.1.2 quoted string", FROM + 'RCPT TO:<"a b>\\"@"@c>\r\n', TAKEN, {}),
    ("5321 §4.1.2 dots, deviation", FROM + "RCPT TO:<a..b@c_d>\r\n", TAKEN, {}),
    ("5321 §4.1.3 literals", FROM + "RCPT TO:<a@[IPv6:::1]>\r\n", TAKEN, {}),
    ("5321 §4.1.3 bad literal", FROM + "RCPT TO:<a@[1.2.3]>\r\n", "250 250:2.1.0 501:5.1.3", {}),
    ("5321 §4.1.4 EHLO resets", FROM + HELLO + "RCPT TO:<a@b>\r\n", "250 250:2.1.0 250 503:5.5.1", {}),
    ("5321 §4.1.4 NOOP anywhere", "NOOP\r\n" + FROM + "NOOP\r\n", "250:2.0.0 250 250:2.1.0 250:2.0.0", {}),
    ("5321 §4.2.4 unknown", "XYZZY\r\n", "500:5.5.1", {}),
    ("5321 §4.2.4 not implemented", "EXPN list\r\nTURN\r\n", "502:5.5.1 502:5.5.1", {}),
    ("5321 §4.5.2 transparency", TO + "DATA\r\n..\r\n.\r\nNOOP\r\n", TAKEN + " 354 250:2.0.0 250:2.0.0", {}),
    ("5321 §4.5.3.1.1 local part", FROM + f"RCPT TO:<{'l' * 64}@b>\r\n", TAKEN, {}),
    ("5321 §4.5.3.1.1 one over", FROM + f"RCPT TO:<{'l' * 65}@b>\r\n", "250 250:2.1.0 501:5.1.3", {}),
    ("5321 §4.5.3.1.1 sender", HELLO + f"MAIL FROM:<{'l' * 65}@b>\r\n", "250 501:5.1.7", {}),
    ("5321 §4.5.3.1.2 domain", FROM + f"RCPT TO:<a@{'d.' * 128}d>\r\n", "250 250:2.1.0 501:5.1.3", {}),
    ("5321 §4.5.3.1.3 path", HELLO + f"MAIL FROM:<{'l' * 64}@{'d.' * 95}d>\r\n", "250 501:5.1.7", {}),
    ("5321 §4.5.3.1.4 command line", "NOOP " + "x" * 2041 + "\r\n", "250:2.0.0", {}),
    ("5321 §4.5.3.1.4 one over", "NOOP " + "x" * 2042 + "\r\nNOOP\r\n", "500:5.5.2 250:2.0.0", {}),
    ("5321 §4.5.3.1.6 text line", TO + f"DATA\r\n{'x' * 998}\r\n.\r\n", TAKEN + " 354 250:2.0.0", {}),
    ("5321 §4.5.3.1.6 one over", TO + f"DATA\r\n{'x' * 999}\r\n.\r\n", TAKEN + " 354 550:5.6.0", {}),
    ("5321 §4.5.3.1.8 100", FROM + "RCPT TO:<a@b>\r\n" * 100, "250 250:2.1.0" + " 250:2.1.5" * 100, {}),
    ("5321 §4.5.3.1.10 101", FROM + "RCPT TO:<a@b>\r\n" * 101, "250 250:2.1.0" + " 250:2.1.5" * 100 + " 452:4.5.3", {}),
    ("5321 §2.3.8 bare LF in a command", "NOOP\nNOOP\r\n", "521:5.5.2 !", {}),
    ("5321 §2.3.8 bare CR in a command", "NOOP\rNOOP\r\n", "500:5.5.2", {}),
    ("5321 §2.3.8 bare LF in the text", TO + "DATA\r\nx\n.\nQUIT\r\n.\r\n", TAKEN + " 354 550:5.6.11", {}),
    ("5321 §2.3.8 bare CR in the text", TO + "DATA\r\nx\r.\r\n.\r\n", TAKEN + " 354 550:5.6.11", {}),
    ("5321 §4.1.1.4 NUL in the text", TO + "DATA\r\n\0\r\n.\r\n", TAKEN + " 354 250:2.0.0", {}),
    ("5321 §4.1.1 NUL in a command", "NOOP\0\r\n", "500:5.5.2", {}),
    ("5321 §4.3.2 too many errors", "X\r\n" * 30, "500:5.5.1 " * 20 + "421:4.7.0 !", {}),
    ("1870 §6.1 SIZE", HELLO + "MAIL FROM:<> SIZE=10000\r\n", "250 250:2.1.0", {}),
    ("1870 §6.1 one over", HELLO + "MAIL FROM:<> SIZE=10001\r\n", "250 552:5.3.4", {}),
    ("1870 §6.3 over in DATA", TO + "DATA\r\n" + "x\r\n" * 3334 + ".\r\n", TAKEN + " 354 552:5.3.4", {}),
    ("1870 §5 syntax", HELLO + "MAIL FROM:<> SIZE=x\r\n", "250 501:5.5.4", {}),
    ("2033 §4.1 LHLO is LMTP's", "LHLO x\r\n" + HELLO + "LHLO x\r\n", "500:5.5.1 250 500:5.5.1", {}),
    ("2920 §3.1 a group", TO + "RSET\r\n" + "NOOP\r\n", TAKEN + " 250:2.0.0 250:2.0.0", {}),
    ("3030 §2 BDAT", TO + "BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n", TAKEN + " 250:2.0.0 250:2.0.0", BDAT),
    ("3030 §2 an empty last chunk", TO + "BDAT 0 LAST\r\n", TAKEN + " 250:2.0.0", BDAT),
    ("3030 §2 DATA after BDAT", TO + "BDAT 0\r\nDATA\r\n", TAKEN + " 250:2.0.0 503:5.5.1", BDAT),
    ("3030 §2 RCPT after BDAT", TO + "BDAT 0\r\nRCPT TO:<a@b>\r\n", TAKEN + " 250:2.0.0 503:5.5.1", BDAT),
    ("3030 §2 RSET after BDAT", TO + "BDAT 0\r\nRSET\r\nBDAT 0\r\n", TAKEN + " 250:2.0.0 250:2.0.0 503:5.5.1", BDAT),
    ("3030 §2 refused octets are swallowed", HELLO + "BDAT 6\r\nQUIT\r\nNOOP\r\n", "250 503:5.5.1 250:2.0.0", BDAT),
    ("3030 §2 over the size", TO + f"BDAT 10001 LAST\r\n{'x' * 10001}NOOP\r\n", TAKEN + " 552:5.3.4 250:2.0.0", BDAT),
    ("3030 §2 no number", TO + "BDAT x\r\nNOOP\r\n", TAKEN + " 501:5.5.4 !", BDAT),
    ("3030 §2 not offered", TO + "BDAT 0\r\n", TAKEN + " 502:5.5.1", without("CHUNKING")),
    ("3461 §4.1 NOTIFY", FROM + "RCPT TO:<a@b> NOTIFY=SUCCESS,delay\r\n", TAKEN, {}),
    ("3461 §4.1 NEVER", FROM + "RCPT TO:<a@b> notify=never\r\n", TAKEN, {}),
    ("3461 §4.1 NEVER and more", FROM + "RCPT TO:<a@b> NOTIFY=NEVER,DELAY\r\n", NOT_TAKEN, {}),
    ("3461 §4.1 no such condition", FROM + "RCPT TO:<a@b> NOTIFY=ALWAYS\r\n", NOT_TAKEN, {}),
    ("3461 §4.1 no value", FROM + "RCPT TO:<a@b> NOTIFY\r\n", NOT_TAKEN, {}),
    ("3461 §4.1 with MAIL", HELLO + "MAIL FROM:<> NOTIFY=NEVER\r\n", "250 555:5.5.4", {}),
    ("3461 §4.2 ORCPT", FROM + "RCPT TO:<a@b> ORCPT=rfc822;a+2Bb@c\r\n", TAKEN, {}),
    ("3461 §4.2 no type", FROM + "RCPT TO:<a@b> ORCPT=a@b\r\n", NOT_TAKEN, {}),
    ("3461 §4.2 no xtext", FROM + "RCPT TO:<a@b> ORCPT=rfc822;a+b\r\n", NOT_TAKEN, {}),
    ("3461 §4.2 500", FROM + f"RCPT TO:<a@b> ORCPT=rfc822;{'x' * 493}\r\n", TAKEN, {}),
    ("3461 §4.2 one over", FROM + f"RCPT TO:<a@b> ORCPT=rfc822;{'x' * 494}\r\n", NOT_TAKEN, {}),
    ("3461 §4.3 RET", HELLO + "MAIL FROM:<> RET=FULL\r\nRSET\r\nMAIL FROM:<> ret=hdrs\r\n",
        "250 250:2.1.0 250:2.0.0 250:2.1.0", {}),
    ("3461 §4.3 bad value", HELLO + "MAIL FROM:<> RET=NONE\r\n", "250 501:5.5.4", {}),
    ("3461 §4.3 twice", HELLO + "MAIL FROM:<> RET=FULL RET=FULL\r\n", "250 501:5.5.4", {}),
    ("3461 §4.3 with RCPT", FROM + "RCPT TO:<a@b> RET=FULL\r\n", "250 250:2.1.0 555:5.5.4", {}),
    ("3461 §4.4 ENVID 100", HELLO + f"MAIL FROM:<> ENVID={'x' * 100}\r\n", "250 250:2.1.0", {}),
    ("3461 §4.4 one over", HELLO + f"MAIL FROM:<> ENVID={'x' * 101}\r\n", "250 501:5.5.4", {}),
    ("3461 §4.4 not printable", HELLO + "MAIL FROM:<> ENVID=a+0Ab\r\n", "250 501:5.5.4", {}),
    ("3461 §4 not offered", HELLO + "MAIL FROM:<> RET=FULL\r\n", "250 555:5.5.4", without("DSN")),
    ("3461 §4 not offered", FROM + "RCPT TO:<a@b> NOTIFY=NEVER\r\n", "250 250:2.1.0 555:5.5.4", without("DSN")),
    ("6533 §3 ORCPT", FROM + "RCPT TO:<a@b> ORCPT=utf-8;zo\\x{EB}@c\r\n", TAKEN, {}),
    ("6533 §3 ORCPT in UTF-8", UTF8 + "RCPT TO:<a@b> ORCPT=utf-8;zoë@c\r\n", TAKEN, {}),
    ("6533 §3 without SMTPUTF8", FROM + "RCPT TO:<a@b> ORCPT=utf-8;zoë@c\r\n", NOT_TAKEN, {}),
    ("6533 §3 another type", UTF8 + "RCPT TO:<a@b> ORCPT=rfc822;zoë@c\r\n", NOT_TAKEN, {}),
    ("3030 §2 not offered, and too early", HELLO + "BDAT 0 LAST\r\n", "250 502:5.5.1", without("CHUNKING")),
    ("3030 §3 BINARYMIME", BINARY + "BDAT 14 LAST\r\nA: b\r\n\r\nx\n\0\r.\n", TAKEN + " 250:2.0.0", {}),
    ("3030 §3 in two chunks", BINARY + "BDAT 8\r\nA: b\r\n\r\nBDAT 1 LAST\r\n\n", TAKEN + " 250:2.0.0 250:2.0.0", {}),
    ("3030 §3 no header", BINARY + "BDAT 4 LAST\r\n\r\n\n\n", TAKEN + " 250:2.0.0", {}),
    ("3030 §3 long lines in the body", BINARY + "BDAT 3004 LAST\r\nA:\r\n\r\n" + "x" * 2998, TAKEN + " 250:2.0.0", {}),
    ("3030 §3 no DATA", BINARY + "DATA\r\nBDAT 0 LAST\r\n", TAKEN + " 503:5.5.1 250:2.0.0", {}),
    ("3030 §3 a header of lines", BINARY + "BDAT 9 LAST\r\nA: b\n\r\n\r\n", TAKEN + " 550:5.6.11", {}),
    ("3030 §3 that ends once", BINARY + "BDAT 12 LAST\r\nA: b\n\nx\r\n\r\ny", TAKEN + " 550:5.6.11", {}),
    ("3030 §3 also where they are converted", BINARY + "BDAT 3 LAST\r\nA:\n", TAKEN + " 550:5.6.11",
        {"bare_newlines": "convert"}),
    ("3030 §3 a long header line", BINARY + "BDAT 1003 LAST\r\n" + "x" * 999 + "\r\n\r\n", TAKEN + " 550:5.6.0", {}),
    ("3030 §3 over the size", BINARY + f"BDAT 10001 LAST\r\n{'x' * 10001}", TAKEN + " 552:5.3.4", {}),
    ("3030 §3 the next message is text", BINARY + "BDAT 0 LAST\r\n" + TO[len(HELLO):] + "BDAT 1 LAST\r\n\n",
        TAKEN + " 250:2.0.0 250:2.1.0 250:2.1.5 550:5.6.11", {}),
    ("3030 §3 not offered", HELLO + "MAIL FROM:<> BODY=BINARYMIME\r\n", "250 555:5.5.4", without("BINARYMIME")),
    ("3030 §3 needs CHUNKING", HELLO + "MAIL FROM:<> BODY=BINARYMIME\r\n", "250 555:5.5.4", without("CHUNKING")),
    ("3030 §3 without 8BITMIME", HELLO + "MAIL FROM:<> BODY=7bit\r\nMAIL FROM:<> BODY=8BITMIME\r\n",
        "250 250:2.1.0 503:5.5.1", without("8BITMIME")),
    ("VERP_README XVERP", HELLO + "MAIL FROM:<a@b> XVERP\r\nRSET\r\nMAIL FROM:<a@b> xverp==-\r\n",
        "250 250:2.1.0 250:2.0.0 250:2.1.0", {}),
    ("VERP_README two delimiters", HELLO + "MAIL FROM:<a@b> XVERP=+\r\n", "250 501:5.5.4", {}),
    ("VERP_README of -=+", HELLO + "MAIL FROM:<a@b> XVERP=#=\r\n", "250 501:5.5.4", {}),
    ("VERP_README null sender", HELLO + "MAIL FROM:<> XVERP\r\n", "250 503:5.5.4", {}),
    ("VERP_README not offered", HELLO + "MAIL FROM:<a@b> XVERP=+=\r\n", "250 555:5.5.4", without("XVERP")),
    ("3207 §4 STARTTLS", HELLO + "STARTTLS\r\n", "250 220:2.0.0", TLS),
    ("3207 §4 with an argument", HELLO + "STARTTLS x\r\n", "250 501:5.5.4", TLS),
    ("3207 §4 not offered", HELLO + "STARTTLS\r\n", "250 502:5.5.1", {}),
    ("3207 §4 twice", HELLO + "STARTTLS\r\n", "250 503:5.5.1", {**TLS, "tls": True}),
    ("3207 §6 commands behind it", HELLO + "STARTTLS\r\nNOOP\r\n", "250 554:5.5.1 !", TLS),
    ("4954 §4 AUTH PLAIN", HELLO + f"AUTH PLAIN {CREDENTIALS}\r\n", "250 235:2.7.0", AUTH),
    ("4954 §4 challenge", HELLO + f"AUTH PLAIN\r\n{CREDENTIALS}\r\n", "250 334 235:2.7.0", AUTH),
    ("4954 §4 cancelled", HELLO + "AUTH PLAIN\r\n*\r\n", "250 334 501:5.7.0", AUTH),
    ("4954 §4 not base64", HELLO + "AUTH PLAIN @\r\n", "250 501:5.5.2", AUTH),
    ("4954 §4 in a transaction", FROM + "AUTH PLAIN\r\n", "250 250:2.1.0 503:5.5.1", AUTH),
    ("4954 §4 once", HELLO + f"AUTH PLAIN {CREDENTIALS}\r\n" * 2, "250 235:2.7.0 503:5.5.1", AUTH),
    ("4954 §4 before EHLO", "AUTH PLAIN\r\n", "503:5.5.1", AUTH),
    ("4954 §4.1 unknown mechanism", HELLO + "AUTH GSSAPI\r\n", "250 504:5.5.4", AUTH),
    ("4954 §4.2 long line", HELLO + f"AUTH PLAIN\r\n{'x' * 12287}\r\n", "250 334 500:5.5.6", AUTH),
    ("4954 §5 AUTH parameter", HELLO + "MAIL FROM:<> AUTH=<>\r\n", "250 250:2.1.0", AUTH),
    ("4954 §5 bad value", HELLO + "MAIL FROM:<> AUTH=+\r\n", "250 501:5.5.4", AUTH),
    ("4954 §5 not offered", HELLO + "MAIL FROM:<> AUTH=<>\r\n", "250 555:5.5.4", {}),
    ("4954 §6 without TLS", HELLO + f"AUTH PLAIN {CREDENTIALS}\r\n", "250 538:5.7.11", TLS),
    ("6152 §3 8BITMIME", HELLO + "MAIL FROM:<> BODY=8BITMIME\r\n", "250 250:2.1.0", {}),
    ("6152 §3 bad value", HELLO + "MAIL FROM:<> BODY=9BIT\r\n", "250 501:5.5.4", {}),
    ("6152 §3 not offered", HELLO + "MAIL FROM:<> BODY=8BITMIME\r\n", "250 555:5.5.4", without("8BITMIME")),
    ("1870 §5 not offered", HELLO + "MAIL FROM:<> SIZE=1\r\n", "250 555:5.5.4", without("SIZE")),
    ("2920 §3 not offered, works", TO, TAKEN, without("PIPELINING")),
    ("6531 §3.4 not offered", UTF8, "250 555:5.5.4", without("SMTPUTF8")),
    ("3207 §4 discarded", HELLO + "STARTTLS\r\n", "250 502:5.5.1", {**TLS, **without("STARTTLS")}),
    ("4954 §4 discarded", HELLO + "AUTH PLAIN\r\n", "250 502:5.5.1", {**AUTH, **without("AUTH")}),
    ("6531 §3.4 SMTPUTF8", UTF8 + "RCPT TO:<zoë@bücher.example>\r\n", TAKEN, {}),
    ("6531 §3.5 sender without it", HELLO + "MAIL FROM:<zoë@b>\r\n", "250 553:5.6.7", {}),
    ("6531 §3.5 recipient without it", FROM + "RCPT TO:<zoë@b>\r\n", "250 250:2.1.0 553:5.6.7", {}),
    ("7504 §3 nothing after a 521", "NOOP\n" + HELLO, "521:5.5.2 !", {}),
]  # fmt: skip


@pytest.mark.parametrize(("section", "script", "expected", "options"), TABLE, ids=[row[0] for row in TABLE])
def test_rfc(section: str, script: str, expected: str, options: dict[str, Any]) -> None:
    assert codes(script, options) == expected, section


def extensions(options: dict[str, Any]) -> list[str]:
    protocol = ServerProtocol("mx.example", LIMITS, **options)
    protocol.receive_data(HELLO.encode())
    while protocol.next_event() is not None:
        protocol.accept()
    return [line[4:] for line in protocol.data_to_send().decode().split("\r\n")[2:-1]]


BASE = ["PIPELINING", "SIZE 10000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
BASE += ["CHUNKING", "BINARYMIME", "DSN", "XVERP"]


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({}, []),
        (TLS, ["STARTTLS"]),
        ({**TLS, "tls": True}, ["AUTH PLAIN"]),
        (AUTH, ["AUTH PLAIN LOGIN"]),
        ({**AUTH, "starttls": True}, ["STARTTLS", "AUTH PLAIN LOGIN"]),
    ],
)
def test_ehlo_lists_what_can_be_used_now(options: dict[str, Any], more: list[str]) -> None:
    assert extensions(options) == BASE + more


USES = {
    "PIPELINING": "NOOP\r\nNOOP\r\n",
    "SIZE": "MAIL FROM:<> SIZE=1\r\n",
    "8BITMIME": "MAIL FROM:<> BODY=8BITMIME\r\n",
    "SMTPUTF8": "MAIL FROM:<ë@b> SMTPUTF8\r\n",
    "ENHANCEDSTATUSCODES": "NOOP\r\n",
    "CHUNKING": "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 0 LAST\r\n",
    "BINARYMIME": "MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<a@b>\r\nBDAT 1 LAST\r\nx",
    "XVERP": "MAIL FROM:<a@b> XVERP=-+\r\n",
    "DSN": "MAIL FROM:<> RET=FULL ENVID=x\r\nRCPT TO:<a@b> NOTIFY=NEVER ORCPT=rfc822;a@b\r\n",
    "STARTTLS": "STARTTLS\r\n",
    "AUTH": f"AUTH PLAIN {CREDENTIALS}\r\nMAIL FROM:<> AUTH=<>\r\n",
}
WORKS_HIDDEN = {"PIPELINING"}
SETTINGS = [{"starttls": s, "auth_mechanisms": a, "auth_requires_tls": r, "tls": t}
    for s in (False, True) for a in ((), ("PLAIN",)) for r in (False, True) for t in (False, True)]  # fmt: skip


def test_what_ehlo_shows_can_be_used_and_nothing_else() -> None:
    names = [each for each in Extension if each is not Extension.ENHANCEDSTATUSCODES]
    settings = cycle(SETTINGS)
    for discarded in product((False, True), repeat=len(names)):
        options = without(*(name for name, gone in zip(names, discarded, strict=True) if gone))
        for setting in islice(settings, 3):
            shown = {line.partition(" ")[0] for line in extensions({**setting, **options})}
            for keyword, use in USES.items():
                works = all(code[0] in "23" for code in codes(HELLO + use, {**setting, **options}).split())
                assert works == (keyword in shown | WORKS_HIDDEN), (keyword, discarded, setting)


def test_every_extension_is_tried() -> None:
    assert set(USES) == set(Extension)


def test_who_has_logged_in_is_not_shown_auth_again() -> None:
    protocol = ServerProtocol("mx.example", LIMITS, **AUTH)
    for data in (HELLO, f"AUTH PLAIN {CREDENTIALS}\r\n"):
        protocol.receive_data(data.encode())
        while protocol.next_event() is not None:
            protocol.accept()
    protocol.data_to_send()
    protocol.receive_data(HELLO.encode())
    protocol.next_event()
    protocol.accept()
    assert b"AUTH" not in protocol.data_to_send()


def test_what_is_offered_can_change_with_the_client() -> None:
    protocol = ServerProtocol("mx.example", LIMITS)
    for names, expected in ((("DSN",), b"555 5.5.4"), ((), b"250 2.1.0")):
        protocol.offer(extensions_without(names))
        protocol.receive_data((HELLO + "MAIL FROM:<> RET=FULL\r\n").encode())
        while protocol.next_event() is not None:
            protocol.accept()
        assert protocol.data_to_send().splitlines()[-1].startswith(expected)
