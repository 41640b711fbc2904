"""The reference of the API in Markdown, made from the same table of routes as the OpenAPI document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mailwake.api.answering import HEADERS
from mailwake.api.errors import Fault
from mailwake.api.http_limits import HttpLimits
from mailwake.api.openapi import TAGS, body_schema, tag_of
from mailwake.api.route_table import ROUTES
from mailwake.control.api_keys import SCOPE_MEANINGS
from mailwake.markdown import code, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mailwake.api.routes import Route

_INTRODUCTION = """\
# HTTP API

Served on `api.listen` by the collector, in clear HTTP/1.1. [The guide](../api.md) says how to begin. The same
description for programs is `/api/openapi.json` (OpenAPI 3.1), and `/api/` shows it in a browser.

Answers are `{"results": …}`, errors `{"errors": [{"message": …, "description": …, "code": …}]}` with SparkPost's codes.
A slash at the end of a path means nothing. HEAD gets the header of GET; OPTIONS says what a path answers.

"""


def api_reference() -> str:
    """The page."""
    return "".join(
        (
            _INTRODUCTION,
            table(("scope of a key", "it may"), [(code(scope), text) for scope, text in SCOPE_MEANINGS.items()]),
            "\n## Errors\n\n",
            table(("status", "`code`", "`message`", "when"), [_fault_row(fault) for fault in Fault]),
            "\n## Limits\n\n",
            table(("limit", "of"), _limits()),
            "\n## Header fields of every answer\n\n",
            table(("field", "value"), [(code(name), code(value)) for name, value in HEADERS.items()]),
            *(part for tag in TAGS for part in _tag(tag)),
        )
    )


def _fault_row(fault: Fault) -> tuple[str, str, str, str]:
    return str(fault.status), code(fault.code) or "–", fault.message, fault.meaning


def _limits() -> list[tuple[str, str]]:
    limits = HttpLimits()
    return [
        ("`api.max_body`", "a request's body; more is 413"),
        (f"{limits.header_bytes} bytes", "a request's URL and header together; more is 431"),
        ("`api.max_connections`", "connections open at once, half of them from one address; more get 503"),
        (f"{limits.requests}", "requests in hand at once; more get 503"),
        (f"{limits.requests_of_one}", "of these with one key; more get 429"),
        ("`api.max_requests_per_key`", "requests a minute with one key; more get 429"),
        ("`api.max_auth_failures_per_address`", "requests without a valid key in ten minutes; more get 429"),
        (f"{limits.header_timeout:g} s", "for a request's header to be complete, else 408"),
        (f"{limits.body_timeout:g} s", "for its body to be complete, else 408"),
        (f"{limits.write_timeout:g} s", "in which a client takes nothing of its answer; then it is disconnected"),
        (f"{limits.idle_timeout:g} s", "that a connection is kept for another request"),
        (f"{limits.grace:g} s", "for requests in hand when the collector stops"),
    ]


def _tag(tag: str) -> Iterator[str]:
    yield f"\n## {tag.capitalize()}\n"
    for route in ROUTES:
        if tag_of(route) == tag:
            yield from _route(route)


def _route(route: Route) -> Iterator[str]:
    yield f"\n### {code(f'{route.method} {route.path}')}\n\n"
    scope = "No key is needed." if route.scope is None else f"Needs a key with the scope {code(str(route.scope))}."
    yield " ".join(filter(None, (f"{route.summary}.", route.details, scope))) + "\n"
    rows = [(code(name), "of the path", doc) for name, doc in route.path_docs.items()]
    for each in route.query:
        default = "" if each.default is None else f" Default: {code(str(each.default))}."
        others = f" Also called {', '.join(map(code, each.aliases))}." if each.aliases else ""
        rows.append((code(each.name), each.kind.allowed, each.doc + default + others))
    if rows:
        yield "\n" + table(("parameter", "value", "meaning"), rows)
    if route.body is not None:
        yield from _body(body_schema(route), route.body_example)
    if route.result_example is not None:
        yield f"\nAnswer {route.status}:\n\n{_json(route.result_example)}"
    elif route.result is None:
        yield f"\nAnswer {route.status}, without a body.\n"


def _body(schema: Mapping[str, Any], example: Any) -> Iterator[str]:
    needed = schema.get("required", ())
    rows = [
        (code(name), f"{each.get('type', 'any')}{', required' if name in needed else ''}", each.get("description", ""))
        for name, each in schema.get("properties", {}).items()
    ]
    if rows:
        yield "\n" + table(("field of the body", "type", "meaning"), rows)
    if example is not None:
        yield f"\nBody:\n\n{_json(example)}"


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, ensure_ascii=False, indent=2)}\n```\n"
