"""Header fields, their texts, and encoded-words."""

from __future__ import annotations

from tests.fuzz.header_invariants import check_header
from tests.fuzz.target import Target

SEEDS = (
    b"Received: from a by b\r\nReceived: x\r\n"
    b"From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.com>\r\nSubject: one\r\n two\r\n",
    b"Subject: =?iso-2022-jp?B?GyRCJDMbKEI=?=\r\n =?ISO-2022-JP?B?GyRCJHMbKEI=?=\r\nFrom: a@example.com\r\n\r\nbody",
    b'subject : =?utf-8*en?q?a_b=20c?= =?windows-1252?q?=e4?=\nFROM:\n\t"x" <a@b>\nnot a field\nX:\n',
    b"Subject: =?utf-7?Q?+2AA-?= =?unknown?B?YQ?= =?utf-8?B?YW?=\r\nFrom: <a@b> (comment) @c\r\n",
)
TOKENS = (
    *(
        b"Subject:",
        b"From:",
        b"Received:",
        b"\r\n",
        b"\n ",
        b"\r\n\t",
        b"\r",
        b" :",
        b"=?",
        b"?=",
        b"?Q?",
        b"?B?",
        b"?q?",
    ),
    *(
        b"=?utf-8?Q?",
        b"=?utf-8?B?",
        b"=?us-ascii*en?Q?",
        b"=?utf-7?q?",
        b"=?utf-16?b?",
        b"=?unicode_escape?q?",
        b"=?idna?q?",
    ),
    *(b"=?iso-2022-jp?B?", b"=C3=A4", b"\xc3\xa4", b"\xff", b"+2AA-", b"YWJj", b"<", b">", b"@", b" <a@b.example>"),
    *(b"=?raw_unicode_escape?q?", b"\\ud800", b"=?punycode?q?", b"=?undefined?q?", b"=?hz?q?", b"=", b"_"),
)
TARGET = Target(check_header, SEEDS, TOKENS, packages=("mailwake.message",))
