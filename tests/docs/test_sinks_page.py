"""The examples of docs/sinks.md are configurations that load."""

from __future__ import annotations

import re
from pathlib import Path

from mailwake.config.load import load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sinks.md"


def examples() -> list[str]:
    """The indented blocks that begin with a table of a sink, each with the tables that follow it."""
    blocks = re.findall(r"^(?:    .*\n|\n(?=    \[sinks))+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    texts = [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip() for block in blocks]
    return [text[text.index("[sinks.") :] for text in texts if "[sinks." in text]


def test_every_kind_has_an_example_that_loads(tmp_path: Path) -> None:
    kinds = set()
    for number, text in enumerate(examples()):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        kinds |= {sink.kind for sink in load(file, host_name="n").settings.sinks.values()}
    assert kinds == {"json-lines", "stdout", "kafka", "nats"}
