"""The description of the API as one page: made here, without scripts and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from mailwake.api.errors import Fault
from mailwake.api.openapi import TAGS, body_schema, operation_id, tag_of
from mailwake.control.api_keys import SCOPE_MEANINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mailwake.api.routes import Route

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
section { margin: 2rem 0; }
code, pre { font: .9em/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: .4rem; }
h3 code { font-size: 1.05em; overflow-wrap: anywhere; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
td { min-width: 12rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
nav ul { columns: 20rem; padding-left: 1.2rem; }
:target { outline: 2px solid LinkText; outline-offset: .4rem; }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

PAGE_HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
}
"""The page may use its own style and nothing else."""

_HEAD = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mailwake: HTTP API</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>mailwake: HTTP API</h1>
"""

_INTRODUCTION = """
<p>Requests and answers are JSON, in the shape of SparkPost's API: <code>{"results": …}</code>, or
<code>{"errors": [{"message": …, "description": …, "code": …}]}</code>. The same description for programs is
<a href="openapi.json">openapi.json</a>.</p>
<p>Send an API key with each request; <code>mailwake apikey create NAME --scope SCOPE</code> makes one:</p>
<pre><code>curl -H "Authorization: $KEY" http://127.0.0.1:8090/api/v1/webhooks</code></pre>
"""


def api_page(routes: Sequence[Route]) -> bytes:
    """The page in UTF-8."""
    by_tag = [(tag, list(group)) for tag, group in groupby(sorted(routes, key=_order), key=tag_of)]
    parts = [_HEAD, _INTRODUCTION, _table(("scope of a key", "it may"), list(SCOPE_MEANINGS.items()))]
    parts += _contents(by_tag)
    for tag, group in by_tag:
        parts.append(f'<h2 id="{escape(tag)}">{escape(tag.capitalize())}</h2>\n')
        parts += [part for route in group for part in _route(route)]
    rows = [(f"{fault.status}", fault.code, fault.message, fault.meaning) for fault in Fault]
    parts += ['<h2 id="errors">Errors</h2>\n', _table(("status", "code", "message", "when"), rows)]
    return "".join((*parts, "</main>\n</body>\n</html>\n")).encode()


def _order(route: Route) -> tuple[int, str, str]:
    return TAGS.index(tag_of(route)), route.path, route.method


def _contents(by_tag: Sequence[tuple[str, list[Route]]]) -> Iterator[str]:
    yield '<nav aria-label="Requests"><ul>\n'
    for _, group in by_tag:
        for route in group:
            shown = f"{route.method} {route.path}"
            yield f'<li><a href="#{operation_id(route)}"><code>{escape(shown)}</code></a></li>\n'
    yield '<li><a href="#errors">Errors</a></li>\n</ul></nav>\n'


def _route(route: Route) -> Iterator[str]:
    name = operation_id(route)
    yield f'<section id="{name}" aria-labelledby="{name}-title">\n'
    yield f'<h3 id="{name}-title"><code>{escape(route.method)} {escape(route.path)}</code></h3>\n'
    scope = "No key is needed." if route.scope is None else f"Needs a key with the scope {route.scope}."
    yield f"<p>{_prose(f'{route.summary}. {route.details} {scope}')}</p>\n"
    yield from _parameters(route)
    if route.body is not None:
        yield from _body(body_schema(route), route.body_example)
    if route.result_example is not None:
        yield f"<p>Answer {route.status}:</p>\n{_json(route.result_example)}"
    elif route.result is None:
        yield f"<p>Answer {route.status}, without a body.</p>\n"
    faults = [fault for fault in route.all_faults() if fault.status < 500]
    statuses = ", ".join(dict.fromkeys(str(fault.status) for fault in faults))
    yield f'<p>Errors: {statuses}; see <a href="#errors">below</a>.</p>\n'
    yield "</section>\n"


def _parameters(route: Route) -> Iterator[str]:
    rows = [(name, "of the path", doc) for name, doc in route.path_docs.items()]
    for each in route.query:
        default = "" if each.default is None else f" Default: {each.default}."
        rows.append((each.name, each.kind.allowed, each.doc + default))
    if rows:
        yield _table(("parameter", "value", "meaning"), rows)


def _body(schema: Mapping[str, Any], example: Any) -> Iterator[str]:
    needed = schema.get("required", ())
    rows = [
        (name, f"{_type(each)}{', required' if name in needed else ''}", str(each.get("description", "")))
        for name, each in schema.get("properties", {}).items()
    ]
    yield "<p>Body:</p>\n"
    if rows:
        yield _table(("field", "type", "meaning"), rows)
    if example is not None:
        yield _json(example)


def _type(schema: Mapping[str, Any]) -> str:
    kinds = schema.get("type", "any")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _prose(text: str) -> str:
    """Text as HTML; what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _json(value: Any) -> str:
    shown = escape(json.dumps(value, ensure_ascii=False, indent=2), quote=False)
    return f'<pre tabindex="0"><code>{shown}</code></pre>\n'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f'<th scope="col">{escape(each)}</th>' for each in head)
    lines = []
    for first, *rest in rows:
        cells = "".join(f"<td>{_prose(str(each))}</td>" for each in rest)
        lines.append(f'<tr><th scope="row"><code>{escape(str(first))}</code></th>{cells}</tr>\n')
    table = f"<table>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody></table>"
    return f'<div class="table" tabindex="0">{table}</div>\n'
