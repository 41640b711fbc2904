"""Style and scripts: kept by browsers for a year, and nothing else is served."""

from __future__ import annotations

import re

import pytest
from tests.dashboard.conftest import Served

from mailwake.dashboard.static_files import DIRECTORY


async def test_every_file_that_a_page_names_is_there_for_a_year(served: Served) -> None:
    async with served.client() as client:
        page = (await client.get("/dashboard/login")).text
        named = re.findall(r'(?:href|src)="(/dashboard/static/[^"]+)"', page)
        assert len(named) == 4
        for path in named:
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-encoding"] == "gzip"
            plain = await client.get(path, headers={"accept-encoding": "identity"})
            assert plain.content == answer.content == (DIRECTORY / path.split("/", 4)[4]).read_bytes()


async def test_a_former_version_is_not_kept(served: Served) -> None:
    async with served.client() as client:
        answer = await client.get("/dashboard/static/000000000000/base.css")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("name", ["../pages.py", "..%2f..%2fpages.py", "nothing.css", "", "vendor/", "%00"])
async def test_nothing_else_is_served(served: Served, name: str) -> None:
    async with served.client() as client:
        assert (await client.get(f"/dashboard/static/x/{name}")).status_code == 404


def test_no_script_or_style_stands_in_a_template() -> None:
    for path in (DIRECTORY.parent / "templates").glob("*.html"):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), path
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert "| safe" not in text or path.name == "icons.html"
