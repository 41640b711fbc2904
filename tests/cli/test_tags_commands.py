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


def test_limit(data: str) -> None:
    assert run("limit", "--data", data).stdout == "limit 100 (as max_tags says); 2 are known, room for 98 more\n"
    assert run("limit", "--data", data, "3").stdout == (
        "limit 3 (set with `mailwake tags limit`; max_tags says 100); 2 are known, room for 1 more\n"
    )
    assert run("list", "--data", data).stderr == "2 known, room for 1 more (limit 3, set with `mailwake tags limit`)\n"
    assert json.loads(run("limit", "--data", data, "--json").stdout) == {"limit": 3, "max_tags": 100, "known": 2}
    assert run("limit", "--data", data, "--default").stdout.startswith("limit 100 (as max_tags says)")
    assert run("list", "--data", data).stderr == "2 known, room for 98 more (max_tags = 100)\n"


def test_a_limit_below_the_number_known_says_what_that_means(data: str) -> None:
    assert run("limit", "--data", data, "1").stdout == (
        "limit 1 (set with `mailwake tags limit`; max_tags says 100); "
        "2 are known: they stay known, and no new ones are admitted\n"
    )
    assert len(run("list", "--data", data).stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["100001"], "100001 cannot be the limit; give a whole number from 0 to 100000"),
        (["5", "--default"], "a number and --default contradict each other; give one of them"),
    ],
)
def test_a_limit_that_cannot_be(data: str, arguments: list[str], problem: str) -> None:
    with pytest.raises(KnownTagsError) as caught:
        run("limit", "--data", data, *arguments)
    assert str(caught.value) == problem
