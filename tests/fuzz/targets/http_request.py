"""HTTP requests of any octets: no error of ours, one outcome however they are cut, no request out of a body."""

from __future__ import annotations

from tests.fuzz.target import Target

from mailwake.tracker.request_reader import BadRequestError, RequestReader

END = b"\r\n\r\n"
READER = RequestReader(target_octets=1024, header_fields=20)
SEEDS = (
    b"GET /f/a/TOKEN?x=%31#y HTTP/1.1\r\nHost: links.example.com\r\nUser-Agent: Mozilla/5.0\r\n\r\n",
    b"HEAD http://links.example.com:80/q/T HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"POST /u/T HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\nExpect: 100-continue\r\n\r\nList-Unsubscribe=One-Click",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
TOKENS = (
    *(b"GET ", b"POST ", b"HEAD ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"Host: ", b"\r\n", b"\r\n\r\n", b"\n", b"\r"),
    *(b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Connection: ", b"close", b"keep-alive", b"Upgrade"),
    *(b"%2f", b"?", b"#", b"http://", b"://", b"@", b"\0", b" ", b"\t", b":", b"\x80"),
)


def check(data: bytes) -> None:
    """Read every header in `data` as if it came first, and again with the reader as the last one has left it."""
    for head in data.split(END):
        first, second = _outcome(RequestReader(target_octets=1024, header_fields=20), head), _outcome(READER, head)
        assert first == second, "what came before changes what a header means"


def _outcome(reader: RequestReader, head: bytes) -> object:
    try:
        request = reader.read(head + END, "192.0.2.1")
    except BadRequestError as error:
        return error.response
    if "transfer-encoding" in request.headers:
        assert request.unread_body, "what follows is no request"
    length = request.headers.get("content-length")
    assert request.unread_body or length in (None, "0"), "what follows is no request"
    assert len(request.headers.get_all("host")) == 1 or request.http_1_0
    return (request.method, request.path, request.query, request.authority, request.keep_alive, request.unread_body)


TARGET = Target(check, SEEDS, TOKENS, packages=("mailwake.tracker.request_reader", "mailwake.tracker.messages"))
