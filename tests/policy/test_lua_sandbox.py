"""What a script cannot do: reach Python or the machine, run for ever, use up the memory."""

import re
import time
from pathlib import Path

import pytest
from tests.policy.lua_questions import Printed, question

from mailwake.policy.lua_host import LuaPolicy
from mailwake.policy.lua_runtime import RUNTIMES
from mailwake.policy.verdict import CONT, PolicyError

SCRIPT = """\
require("msys.core")
local mod = {{}}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
{body}
end
msys.registerModule("test", mod)
"""


@pytest.fixture(params=RUNTIMES)
def implementation(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(f"lupa.{request.param}")
    return str(request.param)


def policy(tmp_path: Path, body: str, implementation: str, **limits: int) -> LuaPolicy:
    path = tmp_path / "policy.lua"
    path.write_text(SCRIPT.format(body=body))
    return LuaPolicy(path, log=Printed().logger(), implementation=implementation, **limits)


def error_of(tested: LuaPolicy) -> str:
    with pytest.raises(PolicyError) as caught:
        tested.ask(question())
    return str(caught.value)


HARMLESS = {
    "no global of the host": """
        for _, name in ipairs({"python", "jit", "ffi", "_ENV_"}) do assert(rawget(_G, name) == nil, name) end
        assert(_G._G == _G)""",
    "no way to the real globals by a metatable of strings": """
        assert(not getmetatable(""))
        assert(("").dump == nil or not pcall(("").dump, print))""",
    "no metatable of what mailwake gives": """
        for _, each in ipairs({msg, accept, vctx, msys, msys.core, io, os}) do assert(not getmetatable(each)) end
        assert(not pcall(setmetatable, msg, {}))
        assert(getmetatable(print) == nil)""",
    "functions have no environment to take": """
        assert(not pcall(getfenv, 0))
        assert(not pcall(setfenv, print, {}))""",
    "no debug": """
        for _, name in ipairs({"getregistry", "getupvalue", "sethook", "getinfo", "setmetatable", "getlocal"}) do
          local well, problem = pcall(function() return debug[name] end)
          assert(not well and problem:find("mailwake has no debug." .. name, 1, true), problem)
        end""",
    "no files, programs or environment": """
        for _, get in ipairs({
          function() return io.open("/etc/passwd") end, function() return io.popen("id") end,
          function() return os.execute("id") end, function() return os.getenv("HOME") end,
          function() return os.remove("/tmp/x") end, function() return os.exit(1) end,
          function() return dofile("/etc/passwd") end, function() return loadfile("/etc/passwd") end,
          function() return package.loadlib("libc.so.6", "system") end, function() return package.loaded end,
        }) do
          local well, problem = pcall(get)
          assert(not well and problem:find("mailwake has no", 1, true), problem)
        end""",
    "modules outside are not found": """
        for _, name in ipairs({"ffi", "jit", "jit.util", "io", "debug", "python", "lupa", "string.buffer", "os"}) do
          local well, problem = pcall(require, name)
          assert(not well and problem:find("mailwake has no module " .. name, 1, true), problem)
        end""",
    "no bytecode goes in or comes out": """
        assert(not pcall(string.dump, function() end))
        for _, head in ipairs({"\\27Lua", "\\27LJ\\2"}) do
          local f, problem = loadstring(head .. "xxxxxxxx")
          assert(f == nil and problem:find("bytecode"), problem)
          f, problem = load(function() local piece = head; head = nil; return piece end)
          assert(f == nil and problem:find("bytecode"), problem)
        end""",
    "what is loaded stands in the sandbox": """
        assert(loadstring("return _G")() == _G)
        assert(loadstring("return python, jit")() == nil)
        assert(load("leaked = 1") )()
        assert(leaked == 1)
        assert(loadstring("return 1 != 2")() == true)""",
    "no finalizers": """
        assert(not pcall(setmetatable, {}, {__gc = function() end}))
        assert(not pcall(newproxy, true))""",
    "mailwake's objects cannot be changed": """
        for _, each in ipairs({msg, vctx, accept}) do
          assert(not pcall(function() each.header = print end))
        end
        assert(not pcall(rawset, "", "x", 1))""",
    "errors of Python functions are strings": """
        local well, problem = pcall(msg.header, msg, "bad name\\n", "x")
        assert(not well and type(problem) == "string", problem)
        well, problem = pcall(vctx.set_code, vctx, 200000, "x")
        assert(not well and type(problem) == "string", problem)""",
    "coroutines work": """
        local co = coroutine.create(function(a) local b = coroutine.yield(a + 1); return b * 2 end)
        local _, first = coroutine.resume(co, 1)
        local _, second = coroutine.resume(co, 21)
        assert(first == 2 and second == 42 and coroutine.status(co) == "dead")
        local sum = 0
        for each in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do sum = sum + each end
        assert(sum == 6)
        assert(not pcall(coroutine.wrap(function() error("x") end)))""",
    "the language of Lua 5.1 is there": """
        assert(unpack({1, 2}) == 1 and table.getn({1, 2}) == 2 and #"abc" == 3)
        local n = 0
        for word in string.gmatch("a b c", "%a") do n = n + 1 end
        for word in string.gfind("a b", "%a") do n = n + 1 end
        table.foreach({5}, function(_, value) n = n + value end)
        table.foreachi({5}, function(_, value) n = n + value end)
        assert(n == 15 and select("#", 1, nil) == 2)
        assert(xpcall(function(a) return a end, print, 1))
        local well, problem = xpcall(function() error("deep") end, function(m) return "handled " .. m end)
        assert(not well and problem:find("^handled .*deep$"), problem)
        assert(os.time() > 1e9 and os.date("%Y") and os.clock() >= 0 and math.floor(1.5) == 1)
        assert(collectgarbage("count") > 0 and collectgarbage() == 0)
        assert(tostring(accept) == "192.0.2.7" and ("x"):rep(3, ",") ~= nil)""",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_script_gets_nothing_of_the_host(tmp_path: Path, name: str, implementation: str) -> None:
    assert policy(tmp_path, HARMLESS[name], implementation).ask(question()) is CONT


ENDLESS = {
    "a loop": "while true do end",
    "a loop in pcall": "while true do pcall(function() while true do end end) end",
    "pcall in pcall": "local function f() while true do pcall(f) end end  f()",
    "xpcall with a handler that goes on": """
        while true do xpcall(function() while true do end end, function() while true do end end) end""",
    "a handler that calls what failed": """
        local function f() while true do end end
        while true do xpcall(f, f) end""",
    "a coroutine": "coroutine.wrap(function() while true do end end)()",
    "a coroutine whose end is not looked at": """
        while true do coroutine.resume(coroutine.create(function() while true do end end)) end""",
    "coroutines in coroutines": """
        local function deeper() while true do pcall(coroutine.wrap(deeper)) end end  deeper()""",
    "two coroutines that yield to one another": """
        local co = coroutine.wrap(function() while true do coroutine.yield() end end)
        while true do co() end""",
    "recursion": "local function f() return f() end  f()",
    "a metamethod": """
        local t = setmetatable({}, {__index = function(t, k) return t[k .. 'x'] end})
        while true do pcall(function() return t.a end) end""",
    "a comparison in sort": """
        local t = {}
        for i = 1, 1000 do t[i] = i end
        while true do table.sort(t, function(a, b) return a > b end) end""",
    "gsub with a function": "while true do (('a'):rep(1000)):gsub('a', function() return 'b' end) end",
    "string.rep": "while true do local s = ('x'):rep(1000000) end",
    "load": "while true do loadstring('return 1') end",
    "print": "while true do print('x') end",
    "calls into mailwake": "while true do msg:header('Subject') end",
    "context variables that are set anew": "while true do msg:context_set(1, 'a', 'b') end",
    "garbage collections": "while true do collectgarbage() end",
    "goto by tail calls in a coroutine in pcall": """
        pcall(coroutine.wrap(function() local function f() return f() end f() end))
        while true do end""",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_the_instruction_limit_ends(tmp_path: Path, name: str, implementation: str) -> None:
    tested = policy(tmp_path, ENDLESS[name], implementation)
    start = time.process_time()
    text = error_of(tested)
    assert text.startswith("policy.lua:"), text
    assert text.endswith("validate_data_spool_each_rcpt: ran for more than 1000000 instructions"), text
    assert time.process_time() - start < 2, "the limit is of the order of 10 ms; this is a bound for slow machines"
    assert error_of(tested) == text, "the next call has its own count"


OUTSIDE = {
    "methods of strings": """
        for name in pairs(string) do string[name] = function() while true do end end end
        return 'nonsense'""",
    "the module's table": """
        setmetatable(mod, {__index = function() while true do end end})
        mod.validate_data_spool_each_rcpt = nil
        error('set')""",
    "an error that shows itself": "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "a table that is returned": "return setmetatable({}, {__eq = function() while true do end end})",
    "the stack's end": """
        local function deeper() pcall(msg.rcptto, msg) msg:header('Subject') return 1 + deeper() end
        deeper()""",
    "the stack's end in pcall": """
        local function deeper() pcall(msg.header, msg, 'Subject') return 1 + deeper() end
        while true do pcall(deeper) end""",
    "many arguments": "print(unpack({}, 1, 7000)) print(unpack({}, 1, 1e8))",
    "a position far away": "table.insert({1, 2}, -1e9, 1)",
    "repeating nothing": "while true do local s = (''):rep(1e9) end",
    "finishing what is to be closed": "while true do for i = 1, 1e9 do end end",
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_code_of_the_script_runs_where_no_limit_holds(tmp_path: Path, name: str, implementation: str) -> None:
    tested = policy(tmp_path, OUTSIDE[name], implementation)
    start = time.process_time()
    for _ in range(3):
        error_of(tested)
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "top",
    [
        "setmetatable(mod, {__index = function() while true do end end})",
        "setmetatable(mod, {__pairs = function() while true do end end})",
        "string.sub = function() while true do end end string.match = string.sub string.gsub = string.sub",
        "setmetatable(_G, {__index = function() while true do end end, __newindex = function() error('x') end})",
    ],
)
def test_loading_runs_nothing_unbounded(tmp_path: Path, top: str, implementation: str) -> None:
    path = tmp_path / "policy.lua"
    path.write_text(f"local mod = {{}}\nfunction mod:validate_data() end\n{top}\nmsys.registerModule('x', mod)")
    assert LuaPolicy(path, log=Printed().logger(), implementation=implementation).phases


LONG = {
    "insertions at the front": "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.insert(t, 1, 1) end",
    "large strings": "local s = ('x'):rep(5e6) while true do pcall(function() local n = #s:upper() end) end",
    "patterns that go back": "local s = ('a'):rep(300) while true do s:find('.-.-b') end",
}


@pytest.mark.parametrize("name", LONG)
def test_long_calls_into_the_library_are_ended_by_time(tmp_path: Path, name: str, implementation: str) -> None:
    tested = policy(tmp_path, LONG[name], implementation, instruction_limit=4_000_000)
    start = time.process_time()
    ended = r"ran for more than (0\.4 s of processor time|4000000 instructions)$"
    assert re.search(ended, error_of(tested))
    assert time.process_time() - start < 2


MEMORY = {
    "a string that doubles": "local s = 'x' while true do s = s .. s end",
    "string.rep": "local s = ('x'):rep(1e9)",
    "string.rep in pcall": "while true do pcall(string.rep, 'x', 1e9) end",
    "a table": "local t = {} for i = 1, 1e9 do t[i] = {} end",
    "a table in pcall": "kept = {} while true do pcall(function() while true do kept[#kept + 1] = {} end end) end",
    "table.concat": "local s, t = ('x'):rep(1000000), {} for i = 1, 100000 do t[i] = s end table.concat(t)",
    "gsub": "local s = ('x'):rep(1000000) s:gsub('x', s)",
    "coroutines": "kept = {} while true do kept[#kept + 1] = coroutine.create(function() end) end",
    "what Python pushes": "kept = {} while true do kept[#kept + 1] = msg:text() .. #kept .. ('x'):rep(10000) end",
    "globals that grow": "big = (big or '') .. ('x'):rep(1500000) if #big < 9e6 then error('used more than') end",
}


@pytest.mark.parametrize("name", MEMORY)
def test_the_memory_limit_ends(tmp_path: Path, name: str, implementation: str) -> None:
    tested = policy(tmp_path, MEMORY[name], implementation, memory_limit=2 << 20, instruction_limit=1 << 30)
    for _ in range(4):
        text = error_of(tested)
        assert "validate_data_spool_each_rcpt: used more than" in text, text


def test_memory_at_its_end_does_not_end_the_process(tmp_path: Path, implementation: str) -> None:
    body = """
        kept = {}
        local p = kept
        pcall(function() while true do local n = {} p[1] = n p = n end end)
        while true do pcall(msg.text, msg) pcall(msg.rcptto, msg) pcall(msg.header, msg, "Subject") end"""
    tested = policy(tmp_path, body, implementation, memory_limit=1 << 20, instruction_limit=1 << 30)
    for _ in range(3):
        assert "used more than 1048576 bytes of memory" in error_of(tested)


def test_text_that_is_larger_than_the_room_for_it(tmp_path: Path, implementation: str) -> None:
    tested = policy(tmp_path, "kept = msg:text()", implementation, memory_limit=1 << 20)
    content = b"Subject: x\r\n\r\n" + b"x" * (40 << 20)
    with pytest.raises(PolicyError, match="more than memory_limit leaves room for"):
        tested.ask(question(content=content))
    assert tested.ask(question()) is CONT


HUGE = {
    "a header field": ("kept = msg:header('X-Huge')", "more than memory_limit leaves room for"),
    "a name that is quoted": ("msg:header(('a b'):rep(300000), 'x')", "is no name of a header field"),
    "a value": ("msg:header('X-A', ('x'):rep(900000))", "may have 100000 bytes"),
    "a chunk": ("local s = '' loadstring('return ' .. ('!'):rep(999999))", "a chunk may have 1000000 bytes"),
    "a variable": ("vctx:set(1, 'a', ('x'):rep(2000000))", "context variables may hold"),
    "a text": ("vctx:set_code(550, ('x'):rep(2000000))", ""),
}


@pytest.mark.parametrize("name", HUGE)
def test_what_is_huge_does_not_end_the_process(tmp_path: Path, name: str, implementation: str) -> None:
    body, problem = HUGE[name]
    tested = policy(tmp_path, body, implementation, memory_limit=3 << 20)
    asked = question(content=b"X-Huge: " + b"x" * (40 << 20) + b"\r\n\r\n")
    if problem:
        with pytest.raises(PolicyError, match=problem) as caught:
            tested.ask(asked)
        assert len(str(caught.value)) < 1000
    else:
        tested.ask(asked)
    if name != "a header field":
        return
    assert policy(tmp_path, "msg:text()", implementation).ask(asked) is CONT


def test_garbage_is_no_memory_in_use(tmp_path: Path, implementation: str) -> None:
    body = "for i = 1, 300 do local s = ('x'):rep(10000) .. i end"
    tested = policy(tmp_path, body, implementation, memory_limit=1 << 20)
    for _ in range(20):
        assert tested.ask(question()) is CONT


def test_a_script_that_ran_out_of_memory_begins_anew(tmp_path: Path, implementation: str) -> None:
    body = """
        count = (count or 0) + 1
        if count == 2 then big = ('x'):rep(1e9) end
        vctx:set(msys.core.VCTX_MESS, "count", count)"""
    tested = policy(tmp_path, body, implementation)
    counts = []
    for _ in range(4):
        asked = question()
        try:
            tested.ask(asked)
        except PolicyError:
            counts.append("error")
        else:
            counts.append(asked.context.get("count") or "")
    assert counts == ["1", "error", "1", "error"]


@pytest.mark.parametrize("where", ["load", "init"])
def test_limits_hold_while_loading(tmp_path: Path, where: str, implementation: str) -> None:
    endless = "while true do end"
    path = tmp_path / "policy.lua"
    init = f"function mod:init() {endless} end" if where == "init" else endless
    path.write_text(f"local mod = {{validate_data = print}}\n{init}\nmsys.registerModule('x', mod)")
    with pytest.raises(PolicyError, match=r"policy\.lua:2: ran for more than 1000000 instructions"):
        LuaPolicy(path, log=Printed().logger(), implementation=implementation)
