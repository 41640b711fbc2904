"""ClickHouse's HTTP interface: statements with values apart from the text, rows of JSON in and out, errors in one line.

Blocking calls, for threads of `ClickHouseStore`; any number of threads may make them at once.
"""

from __future__ import annotations

import re
import ssl
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from mailwake.store.contract import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

CONNECT_SECONDS = 10
PATIENCE_SECONDS = 15
"""How much longer than the server is given an answer may take on its way."""

WRITE_SECONDS = 300
"""A load that takes longer is tried again; what was there after all is known then."""

LONG_SECONDS = 6 * 3600
"""For what reads or rewrites everything."""

_IN_FORM = 4096
"""Values of together more octets travel in the body, as addresses have a limit."""

TYPES = {
    "UTINYINT": "UInt8",
    "UINTEGER": "UInt32",
    "UBIGINT": "UInt64",
    "BIGINT": "Int64",
    "VARCHAR": "String",
    "UBIGINT[]": "Array(UInt64)",
    "VARCHAR[]": "Array(String)",
}
"""ClickHouse's name for each type that values have in shared SQL (`dialect.py`)."""

_PLACE = re.compile(r"(?P<column>\w+) IN \(\?::(?P<each>[A-Z]+)(?:, \?::(?P=each))*\)|\?::(?P<kind>[A-Z]+(?:\[\])?)")
_FIELD = 60_000
"""Octets of one value: servers take 128 KiB in a field of a form."""

_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
_QUOTED = str.maketrans({"\\": "\\\\", "'": "\\'", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


class Server(NamedTuple):
    """Where ClickHouse is, and who asks."""

    url: str
    database: str
    user: str
    password: str
    authorities: Path | None = None
    """A file of certificates (PEM) that may sign the server's; None is those of the system."""


class ClickHouseError(StoreError):
    """What the server refuses: its number for that, and what it says."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


class TablesGoneError(StoreUnavailableError):
    """The database or a table in it is not there, or not any more."""


def with_names(sql: str, values: Sequence[Any]) -> tuple[str, dict[str, str]]:
    """SQL with `?::TYPE` for its values as ClickHouse has it: `{p0:UInt64}`, and the values by name.

    Values of a list behind IN travel together, as servers do not like forms of a thousand fields.
    """
    left = iter(values)
    named: dict[str, str] = {}

    def place(kind: str, encoded: str) -> str:
        name = f"p{len(named)}"
        named[f"param_{name}"] = encoded
        return f"{{{name}:{kind}}}"

    def replaced(found: re.Match[str]) -> str:
        if found["kind"]:
            return place(TYPES[found["kind"]], _encoded(next(left)))
        wanted = list(islice(left, found[0].count("?::")))
        kind = f"Array({TYPES[found['each']]})"
        parts = [f"{found['column']} IN {place(kind, part)}" for part in _pieces(wanted)]
        return f"({' OR '.join(parts)})"

    text = _PLACE.sub(replaced, sql)
    assert next(left, None) is None, "more values than places"
    return text, named


def _pieces(values: Sequence[Any]) -> Iterator[str]:
    """Arrays of these values, none of them longer than a field may be."""
    piece: list[str] = []
    octets = 0
    for element in map(_element, values):
        octets += len(element.encode()) + 1
        if octets > _FIELD and piece:
            yield f"[{','.join(piece)}]"
            piece, octets = [], len(element.encode()) + 1
        piece.append(element)
    yield f"[{','.join(piece)}]"


def _encoded(value: Any) -> str:
    if isinstance(value, str):
        return value.translate(_ESCAPED)
    if isinstance(value, list | tuple):
        return f"[{','.join(_element(each) for each in value)}]"
    return f"{value:d}"


def _element(value: Any) -> str:
    return f"'{value.translate(_QUOTED)}'" if isinstance(value, str) else f"{value:d}"


class ClickHouseHttp:
    """A client of one server. `settings` of a call are ClickHouse's own, for this statement alone."""

    def __init__(self, server: Server) -> None:
        self._server = server
        verify = True if server.authorities is None else _trusting(server.authorities)
        self._client = httpx.Client(
            base_url=server.url,
            headers={b"X-ClickHouse-User": server.user.encode(), b"X-ClickHouse-Key": server.password.encode()},
            trust_env=False,
            verify=verify,
        )

    def ask(
        self,
        sql: str,
        values: Sequence[Any] = (),
        *,
        settings: Mapping[str, str | int] | None = None,
        database: bool = True,
        seconds: float = WRITE_SECONDS,
    ) -> bytes:
        """The answer to a statement: a line of JSON for each row, an array of its values."""
        text, named = with_names(sql, values)
        query: dict[str, str | int] = {**_ANSWERS, **(settings or {})}
        if database:
            query["database"] = self._server.database
        if sum(map(len, named.values())) + 24 * len(named) > _IN_FORM:
            form = {name: (None, value) for name, value in {"query": text, **named}.items()}
            return self._post(query, seconds, files=form)
        return self._post({**query, **named}, seconds, content=text.encode())

    def insert(self, sql: str, lines: bytes, *, settings: Mapping[str, str | int]) -> None:
        """Add rows, a JSON object a line."""
        query = {**settings, "query": sql, "database": self._server.database, "wait_end_of_query": 1}
        self._post(query, WRITE_SECONDS, content=lines)

    def _post(self, query: Mapping[str, str | int], seconds: float, **body: Any) -> bytes:
        timeout = httpx.Timeout(seconds + PATIENCE_SECONDS, connect=CONNECT_SECONDS)
        try:
            response = self._client.post("/", params=query, timeout=timeout, **body)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise StoreUnavailableError(
                f"ClickHouse at {self._server.url} does not answer: {reason}; start it, or see store.url"
            ) from None
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        return response.content

    def _refusal(self, response: httpx.Response) -> StoreError:
        said = _line(response.text)
        where = f"ClickHouse at {self._server.url}"
        code = _code(response)
        if code is None:
            return StoreUnavailableError(
                f"{where} answers {response.status_code} {said[:80]!r}; is store.url its HTTP interface?"
            )
        if code in _LOGIN:
            return StoreUnavailableError(f"{where} refuses the login; see store.user and store.password")
        if code in _RIGHTS:
            return StoreUnavailableError(f"{where} does not allow {self._server.user!r} that: {said}; grant it")
        if code in _GONE:
            return TablesGoneError(f"{where}: {said}; they are made anew")
        return ClickHouseError(code, f"{where}: {said}")

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()


TIMED_OUT = (159, 160)
OUT_OF_MEMORY = (241,)
_LOGIN = (192, 193, 194, 516)
_RIGHTS = (164, 291, 497)
_GONE = (60, 81)

_ANSWERS: dict[str, str | int] = {
    "wait_end_of_query": 1,  # so that an error on the way is a status, and not the end of half an answer
    "default_format": "JSONCompactEachRow",
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
    "max_query_size": 16 << 20,  # ids stand in the text of some statements
    # All copies of an event are in the part of the same month, so months need not be looked at together.
    "do_not_merge_across_partitions_select_final": 1,
}


def _trusting(authorities: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise StoreUnavailableError(
            f"store.tls_ca_file: cannot read certificates from {authorities}: {error.strerror or error}; "
            "name a PEM file"
        ) from None


def _code(response: httpx.Response) -> int | None:
    given = response.headers.get("X-ClickHouse-Exception-Code", "")
    return int(given) if given.isascii() and given.isdigit() else None


_NOISE = re.compile(r"^Code: \d+\. DB::Exception: |\s*\((?:official|version)[^()]*(?:\([^()]*\))?\)\s*$")


def _line(said: str) -> str:
    """What the server says, in one line, without what only its developers need."""
    first = next(_lines(said), "")
    return _NOISE.sub("", _NOISE.sub("", first)).rstrip(". ")[:400]


def _lines(said: str) -> Iterator[str]:
    return (line.strip() for line in said.splitlines() if line.strip())
