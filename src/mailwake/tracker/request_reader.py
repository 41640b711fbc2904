"""From the octets of a request's header to the request, or to the answer for what is none (RFC 9112).

llhttp, in its strict mode, decides what is well-formed: bare line feeds, folded lines, spaces before a colon, two ways
of saying how long a body is, and control characters are all refused there. Here is what it leaves open.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

import httptools

from mailwake.errors import MailwakeError
from mailwake.tracker import responses
from mailwake.tracker.messages import Request, RequestHeaders, Response

_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]")
_OTHER_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ ]+ HTTP/1\.[01]\Z")


class BadRequestError(MailwakeError):
    """What came is no request that can be answered; `response` is the last one on its connection."""

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(response.head.partition(b"\r\n")[0].decode())


class RequestReader:
    """Reads one header after another, of whatever connection: each `read` is complete in itself."""

    def __init__(self, *, target_octets: int, header_fields: int) -> None:
        self._target_octets = target_octets
        self._most_lines = header_fields + 2
        self._renew()

    def _renew(self) -> None:
        self._parser = httptools.HttpRequestParser(self)

    def read(self, head: bytes, client: str) -> Request:
        """The request of a header with its empty line, and nothing behind it; BadRequestError when it is none."""
        if head.count(b"\r\n") > self._most_lines:
            raise BadRequestError(responses.HEADER_TOO_LARGE)
        self._target = b""
        self._fields: dict[bytes, bytes | list[bytes]] = {}
        self._header_complete = self._complete = self._keep_alive = False
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            self._renew()  # nothing else is spoken here: a request like any other (RFC 9110 §7.8)
            return self._request(head, client, keep_alive=False)
        except httptools.HttpParserError as error:
            self._renew()
            return self._read_otherwise(head, client, error)
        if not self._header_complete:
            self._renew()
            raise BadRequestError(responses.BAD_REQUEST)
        if not (self._keep_alive and self._complete):
            self._renew()  # this one waits for a body, or for the end
        return self._request(head, client, keep_alive=self._keep_alive)

    def _read_otherwise(self, head: bytes, client: str, error: httptools.HttpParserError) -> Request:
        line, end, fields = head.partition(b"\r\n")
        if isinstance(error, httptools.HttpParserInvalidMethodError) and _OTHER_METHOD.match(line):
            raise BadRequestError(responses.WRONG_METHOD)
        if isinstance(error, httptools.HttpParserInvalidURLError) and _BEYOND_ASCII.search(line):
            # Some programs send a link that somebody has added to as it stands, where browsers encode it.
            encoded = _BEYOND_ASCII.sub(lambda found: b"%%%02X" % found[0][0], line)
            return self.read(encoded + end + fields, client)
        raise BadRequestError(responses.BAD_REQUEST)

    # --- what the parser tells

    def on_url(self, url: bytes) -> None:
        """The request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field."""
        name, value = name.lower(), value.rstrip(b" \t")  # RFC 9112 §5.1; before it llhttp takes the space away
        fields = self._fields
        if name not in fields:
            fields[name] = value
        elif isinstance(known := fields[name], bytes):
            fields[name] = [known, value]
        else:
            known.append(value)

    def on_headers_complete(self) -> None:
        """The header has ended."""
        self._header_complete = True
        self._keep_alive = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        """There is no body, or an empty one."""
        self._complete = True

    # --- the request

    def _request(self, head: bytes, client: str, *, keep_alive: bool) -> Request:
        line_end = head.find(b"\r\n")
        version = head[line_end - 9 : line_end]
        fields, target = self._fields, self._target
        if version != b" HTTP/1.1":
            if version != b" HTTP/1.0":
                raise BadRequestError(responses.WRONG_VERSION)
        elif not isinstance(fields.get(b"host"), bytes):  # none, or several (RFC 9112 §3.2)
            raise BadRequestError(responses.BAD_REQUEST)
        if len(target) > self._target_octets:
            raise BadRequestError(responses.TARGET_TOO_LONG)
        authority = None
        if target[:1] != b"/":
            target, authority = _absolute(target)
        path, _, query = target.decode("latin-1").partition("#")[0].partition("?")
        unread_body = (
            not self._complete or fields.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in fields
        )
        return Request(
            head[: head.find(b" ")].decode("latin-1"),
            unquote(path) if "%" in path else path,
            RequestHeaders(fields),
            query=query,
            authority=authority,
            client=client,
            keep_alive=keep_alive,
            http_1_0=version == b" HTTP/1.0",
            unread_body=unread_body,
        )


def _absolute(target: bytes) -> tuple[bytes, str | None]:
    """Path and authority of a target in absolute form (RFC 9112 §3.2.2); other forms are paths that lead nowhere."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return target, None
    authority, slash, path = rest.partition(b"/")
    return slash + path, authority.rpartition(b"@")[2].decode("latin-1")
