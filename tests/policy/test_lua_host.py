"""Loading scripts, what they return and raise, and who set a variable."""

from pathlib import Path

import pytest
from tests.policy.lua_questions import Printed, question

from mailwake.metrics import Metrics
from mailwake.policy.lua_host import LuaPolicy
from mailwake.policy.lua_runtime import RUNTIMES
from mailwake.policy.phases import PHASES, Phase
from mailwake.policy.policies import FAILED, ConfiguredPolicy, Policies
from mailwake.policy.verdict import CONT, DONE, PolicyError

ARGUMENTS = {phase: ", ".join(facts.arguments) for phase, facts in PHASES.items()}


@pytest.fixture(params=RUNTIMES)
def implementation(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(f"lupa.{request.param}")
    return str(request.param)


def script(body: str, phase: Phase = Phase.EACH_RCPT) -> str:
    return f"""\
local mod = {{}}
function mod:{phase}({ARGUMENTS[phase]})
{body}
end
msys.registerModule("test", mod)
"""


def load(tmp_path: Path, text: str, implementation: str = "") -> LuaPolicy:
    path = tmp_path / "policy.lua"
    path.write_bytes(text.encode())
    return LuaPolicy(path, log=Printed().logger(), implementation=implementation)


BROKEN = {
    "a syntax error": ("x = 1\nif then", r"/policy\.lua:2: .*unexpected symbol near"),
    "an error at the top": (
        "\n\nlocal x = nothing.field",
        r"/policy\.lua:3: attempt to index global 'nothing'|nothing",
    ),
    "an error that is no text": ("\nerror({})", r"/policy\.lua:2: raised a table as its error"),
    "no module": ("local mod = {}", r"/policy\.lua: registers no module: end it with msys\.registerModule"),
    "no phase": (
        "msys.registerModule('x', {other = print})",
        r"has no function for any phase; the phases are validate_c",
    ),
    "two modules": (
        "msys.registerModule('a', {validate_data = print})\nmsys.registerModule('b', {validate_data = print})",
        r"/policy\.lua:2: a second module, b, after a: each needs a file of its own",
    ),
    "a wrong name": (
        "msys.registerModule('a', {validate_rcptoo = print})",
        r"validate_rcptoo is no phase; did you mean validate_rcptto\?",
    ),
    "a phase of queues": (
        "msys.registerModule('a', {validate_set_binding = print})",
        r"mailwake does not call validate_set_binding",
    ),
    "a hook": (
        "msys.registerModule('a', {core_final_validation = print})",
        r"mailwake does not call core_final_validation",
    ),
    "a module that is missing": ("\nrequire('msys.pcre')", r"/policy\.lua:2: mailwake has no module msys\.pcre"),
    "init that fails": (
        "msys.registerModule('a', {validate_data = print, init = function() return false end})",
        r"init\(\) returned false",
    ),
    "init that raises": (
        "msys.registerModule('a', {validate_data = print, init = function()\nerror('no') end})",
        r"/policy\.lua:2: no",
    ),
    "arguments that are wrong": ("\nmsys.registerModule('a')", r"/policy\.lua:2: registerModule needs a name and"),
    "a message while loading": ("\nmsys.expandMacro('%{vctx_conn:x}')", r"/policy\.lua:2: "),
    "bytecode": ("\x1bLua", r"bytecode cannot be loaded"),
    "nothing": ("", r"registers no module"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_script_that_cannot_be_loaded(tmp_path: Path, name: str, implementation: str) -> None:
    text, problem = BROKEN[name]
    with pytest.raises(PolicyError, match=problem) as caught:
        load(tmp_path, text, implementation)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="there is no such policy file"):
        LuaPolicy(tmp_path / "x.lua", log=Printed().logger())
    with pytest.raises(PolicyError, match="cannot be read"):
        LuaPolicy(tmp_path, log=Printed().logger())


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("return msys.core.VALIDATE_CONT", CONT),
        ("return msys.core.VALIDATE_DONE", DONE),
        ("", CONT),
        ("return nil", CONT),
        ("return msys.core.VALIDATE_CONT, 'more'", CONT),
    ],
)
def test_what_a_function_returns(tmp_path: Path, body: str, verdict: object, implementation: str) -> None:
    assert load(tmp_path, script(body), implementation).ask(question()) is verdict


@pytest.mark.parametrize(
    ("returned", "said"),
    [("true", "true"), ("'CONT'", '"CONT"'), ("17", "17"), ("{}", "a table"), ("print", "a function"), ("1.5", "1.5")],
)
def test_nonsense(tmp_path: Path, returned: str, said: str, implementation: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(tmp_path, script(f"return {returned}"), implementation).ask(question())
    assert str(caught.value) == (
        f"policy.lua: validate_data_spool_each_rcpt returned {said}; "
        "return msys.core.VALIDATE_CONT or msys.core.VALIDATE_DONE"
    )


@pytest.mark.parametrize("phase", Phase)
def test_an_error_names_script_line_and_phase(tmp_path: Path, phase: Phase, implementation: str) -> None:
    policy = load(tmp_path, script("\n  error('went wrong')", phase), implementation)
    asked = question(phase)
    with pytest.raises(PolicyError) as caught:
        policy.ask(asked)
    assert str(caught.value) == f"policy.lua:4: {phase}: went wrong"
    assert policy.where(caught.value) == "policy.lua:4"
    assert policy.where(ValueError()) == "policy.lua"


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("local x = nil; x.y = 1", 3, "attempt to index"),
        ("error({code = 1})", 3, "raised a table as its error"),
        ("error('bare', 0)", 3, "bare"),
        ("error()", 3, "raised a nil as its error"),
        ("message.nothing(1)", 3, "mailwake has no msg:nothing"),
        ("message:header()", 3, "the name of a header field must be a string, not a nil"),
        ("message:context_set(1, 'a', nil)", 3, "context variables are always strings; a was given a nil"),
        ("local f = function()\n return message:binding('x') end\n f()", 4, "mailwake has no msg:binding"),
        ("local function f() return 1 + f() end f()", 3, "stack overflow|ran for more than"),
        ("coroutine.wrap(function() error('in it') end)()", 3, "in it"),
        ("('x'):rep()", 3, "bad argument"),
        ("context:set_code(1000, 'x')", 3, "a refusal needs a code from 400 to 599, not 1000"),
    ],
)
def test_errors_of_all_kinds(tmp_path: Path, body: str, line: int, said: str, implementation: str) -> None:
    policy = load(tmp_path, script(body), implementation)
    with pytest.raises(PolicyError, match=said) as caught:
        policy.ask(question())
    assert str(caught.value).startswith(f"policy.lua:{line}: validate_data_spool_each_rcpt: "), caught.value
    assert "\n" not in str(caught.value)


def test_after_an_error_the_script_goes_on(tmp_path: Path, implementation: str) -> None:
    policy = load(tmp_path, script("n = (n or 0) + 1 if n % 2 == 1 then error('odd') end"), implementation)
    for _ in range(5):
        with pytest.raises(PolicyError, match="odd"):
            policy.ask(question())
        assert policy.ask(question()) is CONT


def test_each_file_has_globals_of_its_own(tmp_path: Path, implementation: str) -> None:
    (tmp_path / "other").mkdir()
    first = load(tmp_path, script("shared = 'first'"), implementation)
    second = load(tmp_path / "other", script("assert(shared == nil)"), implementation)
    assert first.ask(question()) is CONT
    assert second.ask(question()) is CONT


def test_who_set_a_variable_is_known_while_tracing(tmp_path: Path, implementation: str) -> None:
    body = """
      context:set(1, "a", "x")
      local function helper() message:context_set(1, "b", "x") end
      helper()
      coroutine.wrap(function()
        context:set(1, "c", "x")
      end)()"""
    policy = load(tmp_path, script(body), implementation)
    traced, untraced = question(tracing=True), question()
    policy.ask(traced)
    policy.ask(untraced)
    assert traced.context.message is not None
    assert untraced.context.message is not None
    assert [traced.context.message.source(name) for name in "abc"] == ["policy.lua:4", "policy.lua:5", "policy.lua:8"]
    assert [untraced.context.message.source(name) for name in "abc"] == ["", "", ""]


def test_ten_thousand_variables_and_one_more(tmp_path: Path, implementation: str) -> None:
    policy = load(tmp_path, script("for i = 1, 10000 do context:set(1, 'v' .. i, i) end"), implementation)
    asked = question()
    assert policy.ask(asked) is CONT
    assert asked.context.message is not None
    assert len(asked.context.message) == 10_000
    policy = load(tmp_path, script("for i = 1, 10001 do context:set(1, 'v' .. i, i) end"), implementation)
    with pytest.raises(PolicyError, match=r"policy\.lua:3: .*there may be 10000 context variables"):
        policy.ask(question())


def test_policies_turn_errors_into_451_and_a_line_in_the_log(tmp_path: Path) -> None:
    printed = Printed()
    hosts = [
        load(tmp_path, script("if message:header('X-Fail')[1] then while true do end end context:set(1, 'a', 'b')")),
    ]
    policies = Policies([ConfiguredPolicy(each) for each in hosts], log=printed.logger(), metrics=Metrics())
    failing, other = question(content=b"X-Fail: 1\r\n\r\n"), question()
    assert policies.ask(failing) is FAILED
    assert policies.ask(other) is None
    assert other.context.get("a") == "b"
    [line] = printed
    assert line["where"] == "policy.lua:3"
    assert line["phase"] == "validate_data_spool_each_rcpt"
    assert line["error"].endswith("ran for more than 1000000 instructions")
    assert line["exc_info"] is None
