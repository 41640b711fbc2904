import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mailwake.cli.tags_commands import app
from mailwake.clock import ManualClock
from mailwake.control.known_tags import KnownTags, KnownTagsError
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.data_directory import DataDirectory


@pytest.fixture
def data(tmp_path: Path) -> str:
    known = KnownTags(
        DataDirectory(tmp_path).control, 100, clock=ManualClock(), metrics=Metrics(), log=make_logger("json", "error")
    )
    known.admit(["cat", "dög"])
    known.close()
    return str(tmp_path)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_list(data: str) -> None:
    listed = run("list", "--data", data)
    assert listed.stdout == "2023-11-14T22:13:20+00:00  cat\n2023-11-14T22:13:20+00:00  dög\n"
    assert listed.stderr == "2 known, room for 98 more (max_tags = 100)\n"


def test_list_as_json(data: str) -> None:
    lines = run("list", "--data", data, "--json").stdout.splitlines()
    assert [json.loads(line)["tag"] for line in lines] == ["cat", "dög"]


def test_free(data: str) -> None:
    run("free", "--data", data, "cat")
    assert run("list", "--data", data).stdout.endswith("dög\n")
    with pytest.raises(KnownTagsError, match="not among the known tags: cat, bird"):
        run("free", "--data", data, "cat", "dög", "bird")
    assert run("list", "--data", data).stdout == ""


def test_a_data_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KnownTagsError, match="is no data directory"):
        run("list", "--data", str(tmp_path / "nowhere"))


def test_the_data_directory_of_a_configuration(data: str, tmp_path: Path) -> None:
    file = tmp_path / "mailwake.toml"
    file.write_text(f'data_dir = "{data}"\nmax_tags = 1\n')
    assert run("list", "--config", str(file)).stderr == "2 known, room for 0 more (max_tags = 1)\n"
