"""The OpenAPI 3.1 document, made from the table of routes: what answers requests is what is written there."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mailwake import __version__
from mailwake.api.errors import ApiError, Fault
from mailwake.api.schemas import components, reference
from mailwake.control.api_keys import SCOPE_MEANINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.api.parameters import Parameter
    from mailwake.api.routes import Route

TAGS = ("webhooks", "events", "metrics", "privacy", "about")
"""What routes are about, in the order in which they are shown."""

KEY_FORMS = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The key alone, as SparkPost's clients send it. `mailwake apikey create NAME` makes one.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "The key behind the word Bearer."},
    "basic": {"type": "http", "scheme": "basic", "description": "The key as user name, without a password."},
}
"""The ways to send an API key."""


def openapi_document(routes: Sequence[Route]) -> dict[str, Any]:
    """The document as a JSON value."""
    paths: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route)
    scopes = "; ".join(f"{scope}: {meaning}" for scope, meaning in SCOPE_MEANINGS.items())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mailwake",
            "version": __version__,
            "description": "Webhooks, search, metrics and privacy, in the shape of SparkPost's API. "
            f"Scopes of keys: {scopes}.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": components() | _shared(routes), "securitySchemes": KEY_FORMS},
    }


def _shared(routes: Sequence[Route]) -> dict[str, Any]:
    bodies = [route.body for route in routes if route.body_schema is None]
    return _schemas([each for each in (*bodies, *(route.result for route in routes)) if each is not None])[1]


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation_id(route),
        "tags": [tag_of(route)],
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *map(_parameter, route.query), *_headers(route)],
        "responses": _responses(route),
    }
    if route.details:
        made["description"] = route.details
    made["security"] = [{form: [str(route.scope)]} for form in KEY_FORMS] if route.scope is not None else []
    if route.body is not None:
        content: dict[str, Any] = {"schema": body_schema(route)}
        if route.body_example is not None:
            content["example"] = route.body_example
        made["requestBody"] = {"required": not route.body_optional, "content": {"application/json": content}}
    return made


def operation_id(route: Route) -> str:
    """A name for the operation: `get_webhooks_id`."""
    words = route.path.removeprefix("/api").removeprefix("/v1").replace("{", "").replace("}", "").replace("-", "_")
    return "_".join([route.method.lower(), *filter(None, words.replace(".", "_").split("/"))])


def tag_of(route: Route) -> str:
    """What the route is about: the first word of its path, if it is one of TAGS."""
    word = route.path.removeprefix("/api/v1/").partition("/")[0].removeprefix("data-")
    return word if word in TAGS else TAGS[-1]


def body_schema(route: Route) -> dict[str, Any]:
    """The schema of a request's body: as it is declared, or as the type says that validates it."""
    declared = route.body if route.body_schema is None else route.body_schema
    (schema, *_), shared = _schemas([declared])
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = shared.get(name, schema)
    return found


def _schemas(declared: Sequence[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The schema of each, and those that they refer to; schemas themselves stay as they are."""
    types = [each for each in declared if not isinstance(each, Mapping)]
    made, shared = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    of_types = iter(made)
    return [dict(each) if isinstance(each, Mapping) else next(of_types) for each in declared], shared


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "description": doc, "schema": {"type": "string"}}
        for name, doc in route.path_docs.items()
    ]


def _headers(route: Route) -> list[dict[str, Any]]:
    if route.scope is None:
        return []
    doc = "With a key for all customers: the only one whose data is meant."
    return [{"name": "X-MSYS-SUBACCOUNT", "in": "header", "description": doc, "schema": {"type": "string"}}]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = dict(parameter.kind.schema)
    if parameter.default is not None:
        schema["default"] = parameter.default
    made: dict[str, Any] = {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": f"{parameter.doc} It is {parameter.kind.allowed}.",
        "schema": schema,
    }
    if parameter.kind.many:
        made |= {"style": "form", "explode": False}
    return made


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {str(route.status): _success(route)}
    by_status: defaultdict[int, list[Fault]] = defaultdict(list)
    for fault in route.all_faults():
        by_status[fault.status].append(fault)
    for status, faults in by_status.items():
        examples = {fault.name.lower(): {"value": ApiError(fault, fault.meaning).body()} for fault in faults}
        content = {"application/json": {"schema": reference("Errors"), "examples": examples}}
        found[str(status)] = {"description": "; ".join(fault.meaning for fault in faults), "content": content}
    return found


def _success(route: Route) -> dict[str, Any]:
    if route.result is None:
        return {"description": "Done; there is no body."}
    content: dict[str, Any] = {"schema": _schemas([route.result])[0][0]}
    if route.result_example is not None:
        content["example"] = route.result_example
    return {"description": "Done.", "content": {route.media_type: content}}


def encoded_document(routes: Sequence[Route]) -> bytes:
    """The document as it is served."""
    return json.dumps(openapi_document(routes), ensure_ascii=False, indent=1).encode()
