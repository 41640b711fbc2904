"""The documentation as a whole: links lead somewhere, and every page can be reached from the index."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


def links(page: Path) -> list[Path]:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target for target, _ in _LINK.findall(text) if "://" not in target]
    return [(page.parent / target).resolve() for target in targets]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    assert [target for target in links(page) if not target.exists()] == []


def test_the_index_leads_to_every_page() -> None:
    assert set(PAGES) - {DOCS / "index.md"} <= set(links(DOCS / "index.md"))


def test_choices_name_files_that_exist() -> None:
    text = (DOCS / "choices.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_]+/[a-z_]+\.py)`", text)
    assert len(named) > 50
    assert [name for name in named if not (ROOT / "src" / "mailwake" / name).exists()] == []
