from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailwake.cli.account_commands import app
from mailwake.config.load import load
from mailwake.errors import SettingError
from mailwake.listener.accounts import verify_password


def test_the_hash_of_a_password_loads_and_fits(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["hash"], input="p\u00e4ss word\nnot read\n", catch_exceptions=False)
    assert result.exit_code == 0
    stored = result.stdout.strip()
    assert stored.startswith("$argon2id$")
    file = tmp_path / "mailwake.toml"
    file.write_text(f'[accounts.shop]\npassword = "{stored}"\n')
    assert load(file).settings.accounts["shop"].password == stored
    assert verify_password(stored, "p\u00e4ss word")
    assert not verify_password(stored, "p\u00e4ss word ")


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_password_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="the password is empty"):
        CliRunner().invoke(app, ["hash"], input=text, catch_exceptions=False)
