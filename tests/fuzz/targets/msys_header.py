"""Values of the X-MSYS-API header field."""

from __future__ import annotations

from tests.fuzz.msys_header_invariants import check_msys_header
from tests.fuzz.target import Target

SEEDS = (
    b' {"options" : {"open_tracking" : false, "click_tracking" : true},\r\n'
    b'   "metadata" : {"key" : ["value", 1.5e3, null]},'
    b'\r\n   "tags" : ["cat", "dog"], "campaign_id" :\r\n   "my_campaign"}\r\n',
    b'{"metadata":{"a":-0,"b":18446744073709551616,"c":1e400,"d":"\\ud83d\\ude00\\ud800"}}',
    b'{"campaign_id":"=?utf-8?Q?caf=C3=A9?=","metadata":{"=?utf-8?B?YQ==?=":[[[[{}]]]]}}',
    b"=?utf-8?B?eyJ0YWdzIjpbXX0=?=\r\n =?utf-8?Q?_?=",
    b'{"campaign_id":"' + "ä".encode() * 32 + b'","campaign_id":"\xff","options":{"open_tracking":1}}',
    b'{"cc":["a@b.example",{"email":"c@d.example","name":"N"}],"bcc":[],"archive":["a@B.example"],'
    b'"options":{"ip_pool":"p-1","tracking_level":"anonymous","transactional":true}}',
)
TOKENS = (
    *(
        b'"options"',
        b'"open_tracking"',
        b'"click_tracking"',
        b'"metadata"',
        b'"tags"',
        b'"campaign_id"',
        b'"cc"',
        b'"bcc"',
        b'"archive"',
        b'"email"',
        b'"name"',
        b'"a@b.example"',
        b'"ip_pool"',
        b'"tracking_level"',
        b'"off"',
        b'"transactional"',
        b"true",
        b"false",
    ),
    *(
        b"null",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b'"',
        b"{}",
        b"[]",
        b'""',
        b"0",
        b"-0",
        b"-",
        b"1e5",
        b"1E+400",
        b"0.1",
        b"NaN",
    ),
    *(
        b"Infinity",
        b"18446744073709551616",
        b"-9223372036854775809",
        b"\\u0000",
        b"\\ud800",
        b"\\udc00",
        b"\\ud83d\\ude00",
    ),
    *(
        b'\\"',
        b"\\\\",
        b"\\/",
        b"\\n",
        b"\r\n ",
        b"\r\n",
        b"\n\t",
        b"\r",
        b" ",
        b"\xc3\xa4",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
    ),
    *(
        b"=?utf-8?Q?",
        b"=?utf-8?B?",
        b"?=",
        b"=22",
        b"=7B",
        b"[" * 64,
        b"]" * 64,
        b'{"a":' * 63,
        b"}" * 63,
        b"x" * 64,
        b"9" * 400,
    ),
)
TARGET = Target(check_msys_header, SEEDS, TOKENS, packages=("mailwake.message",))
