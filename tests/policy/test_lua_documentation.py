"""docs/policy.md against the code: phases, functions of the API, limits."""

import re
from pathlib import Path

import pytest
from tests.policy.lua_questions import Printed, question

from mailwake.policy.lua_host import INSTRUCTION_LIMIT, MEMORY_LIMIT, LuaPolicy
from mailwake.policy.lua_runtime import RESERVE
from mailwake.policy.phases import PHASES
from mailwake.policy.verdict import CONT

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()


def test_the_phases_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(validate_\w+)` \| (.*?) \| `(.*?)` \| `(.*?)` \| (\w+) \|$", PAGE, re.MULTILINE)
    lua = {"message": "msg", "context": "vctx", "accept": "accept", "user": "user"}
    assert rows == [
        (
            phase,
            facts.when,
            ", ".join(facts.arguments),
            ", ".join(lua.get(name, "str") for name in facts.arguments),
            facts.once,
        )
        for phase, facts in PHASES.items()
    ]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(?:msg|vctx):(\w+)", PAGE)) - {"binding"}))
def test_every_function_of_the_page_is_there(tmp_path: Path, name: str) -> None:
    script = tmp_path / "policy.lua"
    found = re.findall(rf"`(msg|vctx):{name}\b", PAGE)
    asserts = "\n".join(f"assert(type({each}.{name}) == 'function')" for each in found)
    script.write_text(
        f"local mod = {{}}\nfunction mod:validate_data_spool(msg, accept, vctx)\n{asserts}\nend\n"
        "msys.registerModule('x', mod)"
    )
    assert LuaPolicy(script, log=Printed().logger()).ask(question(phase=list(PHASES)[-2])) is CONT


def test_every_function_that_is_there_is_on_the_page() -> None:
    source = (Path(__file__).parents[2] / "src" / "mailwake" / "policy" / "lua_momentum.lua").read_text()
    for table, name in re.findall(r"^function (msg|vctx)\.(\w+)", source, re.MULTILINE):
        assert f"`{table}:{name}(" in PAGE, name
    for name in ("context_get", "context_set", "context_exists", "context_delete", "context_exists_and_get"):
        assert f"`msg:{name}(" in PAGE


def test_the_limits_are_those_of_the_code() -> None:
    assert f"`instruction_limit` ({INSTRUCTION_LIMIT:,})" in PAGE
    assert f"`memory_limit` ({MEMORY_LIMIT >> 20} MB)" in PAGE
    assert f"Up to {RESERVE >> 20} MB more" in PAGE
