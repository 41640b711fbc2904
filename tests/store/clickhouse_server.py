"""ClickHouse's HTTP interface over chDB, which is ClickHouse's engine in a process: a server for tests.

Run it as a process of its own, as chDB has one session a process; it says on standard output which port it has. It
knows of the interface what mailwake uses: POST with the statement in the body, in `query`, or in a form; rows of an
INSERT in the body; `param_NAME`; settings in the query; one user. Answers and errors look like the real one's.
"""

from __future__ import annotations

import email.policy
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import parse_qsl, urlsplit

USER, PASSWORD = "mailwake", "geheim '\\ €"

_NOT_SETTINGS = ("query", "database", "default_format", "wait_end_of_query")
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*\Z")
_STATUS = {516: 403, 497: 403, 60: 404, 81: 404, 241: 500, 159: 500}


class RefusedError(Exception):
    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


class Engine:
    """The one session; its statements run one after the other."""

    def __init__(self, path: str) -> None:
        self._session: Any = import_module("chdb.session").Session(path)
        self._turn = threading.Lock()
        self._database = ""

    def run(self, sql: str, body: bytes, query: Mapping[str, str]) -> bytes:
        values = {name.removeprefix("param_"): text for name, text in query.items() if name.startswith("param_")}
        settings = {
            name: text for name, text in query.items() if name not in _NOT_SETTINGS and not name.startswith("param_")
        }
        with self._turn, self._failures():
            self._use(query.get("database", "default"))
            if body:
                return self._insert(sql, body, settings)
            form = _FORMAT.search(sql)
            text, name = (sql[: form.start()], form[1]) if form else (sql, query.get("default_format", "TabSeparated"))
            return self._answer(_with(settings, text), name, values)

    def _use(self, database: str) -> None:
        if database != self._database:
            self._session.query(f"USE {database}")
            self._database = database

    def _insert(self, sql: str, body: bytes, settings: Mapping[str, str]) -> bytes:
        """What reads the body as `input(STRUCTURE)` reads a file: chDB has no body."""
        form = _FORMAT.search(sql)
        assert form is not None
        with NamedTemporaryFile() as rows:
            rows.write(body)
            rows.flush()
            from_file = sql[: form.start()].replace("FROM input(", f"FROM file('{rows.name}', '{form[1]}', ")
            return self._answer(_with(settings, from_file), "TabSeparated", {})

    def _answer(self, sql: str, form: str, values: Mapping[str, str]) -> bytes:
        answer: bytes | None = self._session.query(sql, form, params=dict(values) or None).bytes()
        return answer or b""

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            code = re.match(r"Code: (\d+)\.", str(error))
            raise RefusedError(int(code[1]) if code else 1002, str(error)) from None


def _with(settings: Mapping[str, str], sql: str) -> str:
    """The statement with settings of its own, if it is one that can have them at its end."""
    if not settings or not re.match(r"SELECT|ALTER|DELETE|CHECK|INSERT.* SELECT", sql):
        return sql
    given = ", ".join(f"{name} = {_quoted(text)}" for name, text in settings.items())
    return f"{sql} SETTINGS {given}"


def _quoted(text: str) -> str:
    return text if text.isdigit() else f"'{text}'"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Engine

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        try:
            self._check_user()
            if self.headers.get("Content-Type", "").startswith("multipart/form-data"):
                query |= _form(self.headers["Content-Type"], body)
                body = b""
            if "query" not in query:
                query["query"], body = body.decode(), b""
            self._send(200, self.engine.run(query["query"], body, query))
        except RefusedError as refused:
            self._send(_STATUS.get(refused.code, 400), f"{refused}\n".encode(), refused.code)

    def _check_user(self) -> None:
        given = (self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key"))
        if given != (USER, PASSWORD.encode().decode("latin-1")):
            raise RefusedError(
                516, f"Code: 516. DB::Exception: {given[0]}: Authentication failed. (AUTHENTICATION_FAILED)"
            )

    def _send(self, status: int, body: bytes, code: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.end_headers()
        self.wfile.write(body)


def _form(content_type: str, body: bytes) -> dict[str, str]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    found = {}
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found[str(part.get_param("name", header="content-disposition"))] = content.decode()
    return found


if __name__ == "__main__":
    Handler.engine = Engine(sys.argv[1])
    had = int(sys.argv[2]) if len(sys.argv) > 2 else 0  # the port of one that was killed
    server = ThreadingHTTPServer(("127.0.0.1", had), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
