-- What a policy script may reach, and what ends it. Runs once a runtime, before the script; everything that the script
-- must not have (debug, the real _G, Python's functions) stays in locals of this file and of lua_momentum.lua.
-- Methods of strings are the script's to replace, and so are metamethods of its tables: what runs while the script does
-- not must use neither, as no limit holds there.
local settings = ...
local name, ticks, most_kilobytes = settings.name, settings.ticks, settings.kilobytes
local source = "=" .. name

local error, type, tostring, tonumber, rawget, rawset = error, type, tostring, tonumber, rawget, rawset
local pairs, ipairs, select, setmetatable = pairs, ipairs, select, setmetatable
local pcall, xpcall, getinfo, sethook = pcall, xpcall, debug.getinfo, debug.sethook
local collect, create, resume, setfenv = collectgarbage, coroutine.create, coroutine.resume, setfenv
local compile_text, concat, insert = loadstring or load, table.concat, table.insert
local clock, byte, gsub, find, format, rep = os.clock, string.byte, string.gsub, string.find, string.format, string.rep

-- Hooks are not called in compiled traces: a loop that was compiled could not be ended.
if jit then jit.off() end

local G = {}
local host = { globals = G, tracing = false, phase = "load" }
local left = ticks
local depth = 0 -- of pcall and coroutines in one another
local started -- when the first thousand instructions were over, by the processor's time
local inside = false -- whether the script runs, and not what is around it
local ended -- why the script is to end: set once a call, and every error that the script catches is raised again

local function over()
  if not ended and left <= 0 then
    ended = format("ran for more than %d instructions", settings.instructions)
  end
  if not ended and collect("count") > most_kilobytes then
    collect() -- LuaJIT and 5.1 have no emergency collection: what is garbage must not end a script
    if collect("count") > most_kilobytes then
      ended = format("used more than %d bytes of memory", settings.memory)
      host.out_of_memory = true
    end
  end
  if ended then error(ended, 0) end
end

-- Functions of the library count as one instruction, whatever they do: so the time is looked at too.
local function look_at_the_time()
  started = started or clock()
  if not ended and clock() - started > settings.seconds then
    ended = format("ran for more than %g s of processor time", settings.seconds)
  end
end
local function tick()
  if not inside then return end
  left = left - 1
  look_at_the_time()
  if ended or left <= 0 or collect("count") > most_kilobytes then over() end
end

-- Before each call into Python: counts what it costs, and leaves room for what it returns. Memory that runs out while
-- Python pushes a value would end the process.
function host.guard(cost)
  left = left - cost
  if ended or left <= 0 or collect("count") > most_kilobytes then over() end
end

function host.reset(tracing)
  left, ended, depth, started, host.tracing, host.out_of_memory = ticks, nil, 0, nil, tracing, false
end

-- The line of the script that is running, as "policy.lua:7".
function host.here()
  for level = 2, 250 do
    local info = getinfo(level, "Sl")
    if not info then break end
    if info.source == source and info.currentline > 0 then return format("%s:%d", name, info.currentline) end
  end
  return name
end

local function described(problem)
  if type(problem) == "string" or type(problem) == "number" then return tostring(problem) end
  return "raised a " .. type(problem) .. " as its error"
end

-- Runs f(argument); true and what it returns, or false, the message and where it came up.
local running, argument, where
local function run()
  inside = true
  return running(argument)
end
local function on_error(problem)
  inside = false
  where = host.here()
  return described(problem)
end
function host.call(f, value)
  running, argument, where = f, value, nil
  local well, result = xpcall(run, on_error)
  inside = false
  running, argument = nil, nil
  if well then return true, result end
  result = described(result)
  if result == "not enough memory" then
    host.out_of_memory, result = true, format("used more than %d bytes of memory", settings.memory)
  end
  return false, result, where or name
end

function host.compile(text, chunk_name)
  if byte(text) == 27 then return nil, "bytecode cannot be loaded, only Lua source" end
  local f, problem
  if setfenv then
    f, problem = compile_text(text, chunk_name)
    if f then setfenv(f, G) end
  else
    f, problem = compile_text(text, chunk_name, "t", G)
  end
  return f, problem
end

sethook(tick, "", settings.tick)

-- Errors that end the script go through pcall and coroutines.

local function caught(problem)
  if problem == "not enough memory" then
    ended, host.out_of_memory = format("used more than %d bytes of memory", settings.memory), true
  elseif type(problem) == "string" and find(problem, "stack overflow", 1, true) then
    left = left - 100 -- it takes long, and where the stack is full the hook cannot run either
  end
end
local function deeper()
  if depth >= 150 then error("pcall and coroutines stand more than 150 deep in one another", 0) end
  depth = depth + 1
end
local function passed_on(well, ...)
  depth = depth - 1
  if not well then caught(...) end
  if ended or left <= 0 or collect("count") > most_kilobytes then over() end
  return well, ...
end

local function protected(f, ...)
  deeper()
  return passed_on(pcall(f, ...))
end
G.pcall = protected
-- The handler runs when the error has come up, not where it was: inside the hook, which may have raised it, no hook runs,
-- and a handler that loops could not be ended.
local function handled(handler, well, ...)
  if well then return true, ... end
  return false, select(2, protected(handler, ...))
end
function G.xpcall(f, handler, ...) return handled(handler, protected(f, ...)) end

local function co_create(f)
  local co = create(f)
  -- In Lua 5.x each coroutine has a hook of its own; LuaJIT has one for all.
  if not jit then sethook(co, tick, "", settings.tick) end
  return co
end
local function co_resume(co, ...)
  deeper()
  return passed_on(resume(co, ...))
end
local function unwrapped(well, ...)
  if not well then error(..., 0) end
  return ...
end

local function members(library, names)
  local copy = {}
  for each in names:gmatch("%S+") do copy[each] = library[each] end
  return copy
end

G.coroutine = members(coroutine, "isyieldable running status yield")
G.coroutine.create, G.coroutine.resume = co_create, co_resume
function G.coroutine.wrap(f)
  local co = co_create(f)
  return function(...) return unwrapped(co_resume(co, ...)) end
end

-- The rest of the language.

for each in ("assert error ipairs next pairs rawequal rawget rawlen rawset select tonumber tostring type"):gmatch("%S+") do
  G[each] = _G[each]
end
G._G, G._VERSION = G, _VERSION
G.unpack = unpack or table.unpack
function G.getmetatable(value)
  if type(value) == "table" then return getmetatable(value) end -- of strings and functions: Lua's own, not the script's
end
function G.setmetatable(value, meta)
  if type(meta) == "table" and rawget(meta, "__gc") ~= nil then
    error("mailwake has no __gc: finalizers run where no limit holds", 2)
  end
  return setmetatable(value, meta)
end
function G.load(text, chunk_name)
  if type(text) == "function" then
    local pieces = {}
    for piece in text do
      if piece == "" then break end
      pieces[#pieces + 1] = piece
    end
    text = concat(pieces)
  end
  if type(text) ~= "string" then error("load needs the text of a chunk", 2) end
  if #text > 1000000 then error("a chunk may have 1000000 bytes", 2) end
  host.guard(10)
  local translated = settings.translate(text)
  return host.compile(translated, (gsub("=" .. tostring(chunk_name or "(load)"), "^=[=@]", "=")))
end
G.loadstring = G.load
function G.collectgarbage(option)
  if option == "count" then return collect("count") end
  host.guard(100)
  collect()
  return 0
end

G.string = members(string, "byte char find format gmatch gsub len lower match reverse sub upper pack unpack packsize")
local function timed(f)
  return function(text, ...)
    if type(text) == "string" and #text > 64 then
      left = left - #text / 1e5
      look_at_the_time()
      if ended or left <= 0 then over() end
    end
    return f(text, ...)
  end
end
for each in ("find gmatch gsub lower match reverse upper"):gmatch("%S+") do G.string[each] = timed(string[each]) end
G.string.gfind = G.string.gmatch
function G.string.rep(text, count, separator)
  if type(text) == "string" and type(count) == "number" then
    local size = (#text + (separator and #separator or 0)) * count
    if size / 1024 + collect("count") > most_kilobytes then
      collect()
      if size / 1024 + collect("count") > most_kilobytes then
        ended, host.out_of_memory = format("used more than %d bytes of memory", settings.memory), true
      end
    end
    left = left - (size + count) / 1e4 -- it is one instruction that can take long
    if ended or left <= 0 then over() end
  end
  return rep(text, count, separator)
end
local of_strings = getmetatable("")
of_strings.__index, of_strings.__metatable = G.string, false

G.table = members(table, "concat maxn remove sort unpack pack")
G.table.unpack = G.unpack
function G.table.insert(t, ...)
  local position = ...
  if select("#", ...) == 2 and type(position) == "number" and not (position >= 1) then
    error("bad argument #2 to 'insert' (position out of bounds)", 2) -- Lua 5.1 would walk there
  end
  return insert(t, ...)
end
G.table.getn = function(t) return #t end
function G.table.foreach(t, f)
  for key, value in pairs(t) do
    local result = f(key, value)
    if result ~= nil then return result end
  end
end
function G.table.foreachi(t, f)
  for index, value in ipairs(t) do
    local result = f(index, value)
    if result ~= nil then return result end
  end
end

G.math = {}
for key, value in pairs(math) do G.math[key] = value end
G.bit = bit
G.os = members(os, "clock date difftime time")

-- What is missing says so.

local function absent(what, why)
  return function() error(format("mailwake has no %s: %s", what, why), 2) end
end
local function absent_library(what, why)
  return setmetatable({}, { __metatable = false, __index = function(_, key)
    error(format("mailwake has no %s.%s: %s", what, tostring(key), why), 2)
  end })
end
local files = "a policy cannot read files or start programs"
local alone = "a policy reaches nothing outside its own globals"
G.io = absent_library("io", files)
G.debug = absent_library("debug", alone)
G.package = absent_library("package", alone)
setmetatable(G.os, { __metatable = false, __index = function(_, key)
  error(format("mailwake has no os.%s: %s", tostring(key), files), 2)
end })
G.dofile, G.loadfile = absent("dofile", files), absent("loadfile", files)
G.module, G.getfenv, G.setfenv = absent("module", alone), absent("getfenv", alone), absent("setfenv", alone)
G.newproxy = absent("newproxy", "finalizers run where no limit holds")
G.string.dump = absent("string.dump", "bytecode cannot be loaded")

return host
