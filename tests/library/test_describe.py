"""The library's reference: every field has its sentence, and the example works as it stands."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from mailwake.library.describe import EXAMPLE, TYPES, described_fields, library_reference
from mailwake.links.keyring_file import KeyringFile


class Server:
    """Takes what smtplib.SMTP.sendmail would send."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], bytes]] = []

    def sendmail(self, sender: str, recipients: list[str], content: bytes) -> None:
        self.taken.append((sender, recipients, content))


@pytest.mark.parametrize("described", TYPES)
def test_every_field_is_described(described: type) -> None:
    meanings = described_fields(described)
    assert meanings
    assert [name for name, meaning in meanings.items() if not meaning.endswith(".")] == []
    assert all(f"| `{name}` |" in library_reference() for name in meanings)


def test_the_example_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mailwake-data").mkdir()
    KeyringFile(tmp_path / "mailwake-data" / "keys.json").load_or_create()
    monkeypatch.chdir(tmp_path)
    message = EmailMessage()
    message["Date"] = "Thu, 26 Nov 2026 10:00:00 +0100"
    message.set_content('<a href="https://e.com/">x</a><a href="tel:1">y</a>', subtype="html")
    server = Server()
    exec(EXAMPLE, {"message": message, "smtp": server})
    ((_, recipients, content),) = server.taken
    assert recipients == ["ann@example.org"]
    assert b"https://links.example.com/" in content.replace(b"=\n", b"")
    assert capsys.readouterr().out == "1 https://e.com/ tracked\n1 tel:1 left alone: scheme tel\n"
