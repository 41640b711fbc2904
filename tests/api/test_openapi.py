"""The OpenAPI document is valid, says of each route what is true, and shows answers that are real ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import html5lib
import httpx
import pytest
from openapi_spec_validator import validate
from tests.api.described import DOCUMENT, validator

from mailwake.api.app import make_app
from mailwake.api.parts import ApiParts
from mailwake.api.route_table import ROUTES
from mailwake.api.routes import Route
from mailwake.control.api_keys import Scope


def by_name(route: Route) -> str:
    return f"{route.method} {route.path}"


def operation(route: Route) -> dict[str, Any]:
    found = DOCUMENT["paths"][route.path][route.method.lower()]
    assert isinstance(found, dict)
    return found


def test_it_is_a_valid_document() -> None:
    validate(DOCUMENT)


def test_it_has_every_route_of_the_application_and_no_other(parts: ApiParts) -> None:
    served = {route.path for route in make_app(parts).routes}  # type: ignore[attr-defined]  # all of them are paths
    assert served == set(DOCUMENT["paths"])
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}
    assert len(described) == len(ROUTES)


def test_names_of_operations_are_unique() -> None:
    names = [each["operationId"] for methods in DOCUMENT["paths"].values() for each in methods.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("route", ROUTES, ids=by_name)
def test_every_parameter_of_a_path_has_its_sentence(route: Route) -> None:
    in_path = {part[1:-1] for part in route.path.split("/") if part.startswith("{")}
    assert set(route.path_docs) == in_path
    for each in operation(route)["parameters"]:
        assert each["description"].endswith(".") or "It is" in each["description"]


@pytest.mark.parametrize("route", ROUTES, ids=by_name)
def test_examples_fit_their_schemas(route: Route) -> None:
    described = operation(route)
    for part in _contents(described):
        if "example" in part:
            validator(part["schema"]).validate(part["example"])
        for example in part.get("examples", {}).values():
            validator(part["schema"]).validate(example["value"])


def _contents(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for place in (described.get("requestBody", {}), *described["responses"].values()):
        yield from place.get("content", {}).values()


@pytest.mark.parametrize("route", [each for each in ROUTES if each.scope is None], ids=by_name)
async def test_what_needs_no_key_is_answered_as_described(client: httpx.AsyncClient, route: Route) -> None:
    answer = await client.get(route.path)
    assert answer.status_code == route.status
    assert answer.headers["content-type"] == route.media_type
    if route.media_type == "application/json":
        validator(operation(route)["responses"]["200"]["content"]["application/json"]["schema"]).validate(answer.json())
        if route.result_example is not None and "samples" in route.path:
            assert json.loads(json.dumps(route.result_example["results"][0])) in answer.json()["results"]


@pytest.mark.parametrize("route", [each for each in ROUTES if each.scope is not None], ids=by_name)
async def test_errors_of_every_route_have_the_described_shape(
    client: httpx.AsyncClient, new_key: Callable[..., str], route: Route
) -> None:
    path = route.path.replace("{id}", "12affc24-f183-4e03-9234-3c15c2c818c2").replace("{recipient}", "a@example.com")
    missing = await client.request(route.method, path)
    wrong_scope = Scope.WEBHOOKS if route.scope is not Scope.WEBHOOKS else Scope.READ
    forbidden = await client.request(route.method, path, headers={"authorization": new_key(wrong_scope)})
    bad = await client.request(route.method, path + "?nosuch=1", headers={"authorization": new_key(Scope.ADMIN)})
    for answer, status in ((missing, 401), (forbidden, 403), (bad, 400)):
        assert answer.status_code == status
        schema = operation(route)["responses"][str(status)]["content"]["application/json"]["schema"]
        validator(schema).validate(answer.json())


async def test_the_page_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/api/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "style-src 'sha256-" in page.headers["content-security-policy"]
    for outside in ("<script", "src=", "http-equiv", "@import", "url(", "<link", "<iframe", "javascript:"):
        assert outside not in page.text
    for route in ROUTES:
        assert f"<code>{route.method} {route.path}</code>" in page.text
    assert '<html lang="en">' in page.text
    assert "color-scheme: light dark" in page.text


async def test_the_page_is_sound(client: httpx.AsyncClient) -> None:
    text = (await client.get("/api/")).text
    html5lib.HTMLParser(strict=True).parse(text)
    names = re.findall(r' id="([^"]+)"', text)
    assert len(set(names)) == len(names)
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(names)
    assert set(re.findall(r'aria-labelledby="([^"]+)"', text)) <= set(names)
    levels = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert "`" not in text
