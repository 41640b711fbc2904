import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mailwake.cli.apikey_commands import app
from mailwake.clock import SystemClock
from mailwake.control.api_keys import ApiKeys, ApiKeysError, Scope
from mailwake.service.data_directory import DataDirectory


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def stored(data: str) -> ApiKeys:
    return ApiKeys(DataDirectory(Path(data)).api_keys, SystemClock())


def test_the_key_alone_is_on_standard_output(data: str) -> None:
    made = run("create", "shop", "--data", data)
    found = stored(data).find(made.stdout.rstrip("\n"))
    assert found is not None
    assert (set(found.scopes), found.customer, found.expires) == ({Scope.READ}, None, None)
    assert "only its hash is stored" in made.stderr


def test_all_that_can_be_said_of_a_key(data: str) -> None:
    run(
        "create",
        "shop",
        "--scope",
        "webhooks",
        "--scope",
        "read",
        "--customer",
        "42",
        "--expires",
        "9d",
        "--data",
        data,
    )
    (key,) = stored(data).list()
    assert (set(key.scopes), key.customer) == ({Scope.READ, Scope.WEBHOOKS}, "42")
    assert key.expires == key.created + 9 * 86400
    run("create", "later", "--expires", "2999-01-31", "--data", data)
    lines = run("list", "--data", data).stdout.splitlines()
    assert lines[0].startswith("later  read  all customers  created 20")
    assert lines[0].endswith("never used  expires 2999-01-31T00:00:00Z")
    assert lines[1].startswith("shop  read, webhooks  customer 42  created 20")
    first = json.loads(run("list", "--json", "--data", data).stdout.splitlines()[0])
    assert (first["name"], first["scopes"], first["customer"]) == ("later", ["read"], None)
    assert (first["expires"], first["used"]) == ("2999-01-31T00:00:00Z", None)


def test_revoke_names_what_is_not_there_and_revokes_the_rest(data: str) -> None:
    run("create", "a", "--data", data)
    with pytest.raises(ApiKeysError, match="no key of this name: b, c; `mailwake apikey list`"):
        run("revoke", "b", "a", "c", "--data", data)
    assert stored(data).list() == []
    assert "no keys yet; `mailwake apikey create NAME`" in run("list", "--data", data).stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--expires", "5y"], "'5y' is neither a time like"),
        (["--expires", "2001-01-01"], "'2001-01-01' is not a time in the future"),
        (["--expires", "999999999w"], "is not a time in the future"),
        (["--customer", ""], "--customer: is empty"),
    ],
)
def test_what_cannot_be(data: str, arguments: list[str], text: str) -> None:
    with pytest.raises(ApiKeysError, match=text):
        run("create", "a", *arguments, "--data", data)
    assert stored(data).list() == []


def test_a_data_directory_that_is_not_there(data: str) -> None:
    for command in (["create", "a"], ["list"], ["revoke", "a"]):
        with pytest.raises(ApiKeysError, match="is no data directory"):
            run(*command, "--data", data + "/none")
