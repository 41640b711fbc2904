-- Momentum's Lua API over a few functions of Python (lua_api.py). Those take and return strings, numbers and nil alone,
-- and never raise: where something is wrong they return the reason, and the error is raised here, at the script's line.
local host, api, settings = ...
local G, guard, here = host.globals, host.guard, host.here
local error, type, tostring, tonumber, setmetatable, format = error, type, tostring, tonumber, setmetatable, string.format
local concat, select, pairs, next, rawget = table.concat, select, pairs, next, rawget
local match, gmatch, gsub, sub, sort = string.match, string.gmatch, string.gsub, string.sub, table.sort

local MESS, CONN, CONT, DONE = 1, 2, 1, 2
local CHEAP, DEAR = 0.02, 0.5 -- what a call counts for, in thousands of instructions

local function missing(what)
  return function(_, key)
    local hint = ""
    if key == "VALIDATE_AGAIN" then hint = "; a policy is asked once in each phase, return VALIDATE_CONT or VALIDATE_DONE" end
    error(format("mailwake has no %s%s%s", what, tostring(key), hint), 2)
  end
end
local function refuse_new(_, key) error(format("%s cannot be set here", tostring(key)), 2) end
local function object(methods, what, shown)
  return setmetatable({}, {
    __index = setmetatable(methods, { __index = missing(what) }), __newindex = refuse_new, __metatable = false,
    __tostring = shown,
  })
end

-- Context variables are always strings; numbers become what Momentum makes of them.
local function variable(what, value)
  if type(value) == "string" then return value end
  if type(value) == "number" then return format("%.14g", value) end
  error(format("context variables are always strings; %s was given a %s", what, type(value)), 3)
end
local function variable_name(key)
  if type(key) ~= "string" then error("the name of a context variable must be a string, not a " .. type(key), 3) end
  return key
end
local function which_context(which)
  if which ~= MESS and which ~= CONN then
    error("the first argument must be msys.core.ECMESS_CTX_MESS or ECMESS_CTX_CONN (VCTX_MESS, VCTX_CONN)", 3)
  end
  return which
end

local function context_get(_, which, key)
  which, key = which_context(which), variable_name(key)
  guard(CHEAP)
  return api.context_get(which, key) or ""
end
local function context_set(_, which, key, value)
  which, key = which_context(which), variable_name(key)
  value = variable(key, value)
  guard(CHEAP)
  local problem = api.context_set(which, key, value, host.tracing and here() or nil)
  if problem then error(problem, 2) end
  return true
end
local function context_exists(_, which, key)
  which, key = which_context(which), variable_name(key)
  guard(CHEAP)
  return api.context_get(which, key) and 1 or 0
end
local function context_delete(_, which, key)
  which, key = which_context(which), variable_name(key)
  guard(CHEAP)
  return api.context_delete(which, key)
end
local function context_exists_and_get(_, which, key)
  which, key = which_context(which), variable_name(key)
  guard(CHEAP)
  local value = api.context_get(which, key)
  if value then return 1, value end
  return 0
end

local function text(what, value, level)
  if type(value) == "number" then return tostring(value) end
  if type(value) ~= "string" then error(format("%s must be a string, not a %s", what, type(value)), (level or 2) + 1) end
  return value
end
local function with_message()
  if not host.has_message then error("there is no message in " .. host.phase, 3) end
end
-- An array of what Python has found; most often there is one value or none, which comes with the count.
local function array(count, first)
  if not count then error(first, 3) end
  local values = { first }
  for index = 2, count do
    guard(CHEAP)
    values[index] = api.found(index)
  end
  return values
end
local function only_read(what, value)
  if value ~= nil then
    error(format("mailwake does not change %s: a copy goes to the recipient it came for", what), 3)
  end
end
local function address_part(address, flag)
  local ip, port = match(address, "^%[?(.-)%]?:(%d+)$")
  if flag == nil or flag == "all" then return address end
  if flag == "ip" then return ip or address end
  if flag == "port" then return port or "" end
  error("the argument must be 'ip', 'port' or 'all'", 3)
end

local msg = {
  context_get = context_get, context_set = context_set, context_exists = context_exists,
  context_delete = context_delete, context_exists_and_get = context_exists_and_get,
}
function msg.header(_, name, value, mode)
  name = text("the name of a header field", name)
  with_message()
  guard(DEAR)
  if value == nil then
    local values = array(api.header(name))
    return values
  end
  if mode ~= nil and mode ~= "replace" and mode ~= "append" and mode ~= "prepend" then
    error("the mode must be 'replace', 'append' or 'prepend', not " .. tostring(mode), 2)
  end
  local values = type(value) == "table" and value or { value }
  for index = 1, #values do
    guard(DEAR)
    local problem = api.set_header(name, text("the value of " .. name, values[index]), mode or "replace")
    if problem then error(problem, 2) end
    if mode == nil or mode == "replace" then mode = "append" end
  end
  return true
end
function msg.address_header(_, name, part)
  name, part = text("the name of a header field", name), text("the part of an address", part or "all")
  with_message()
  guard(DEAR)
  local values = array(api.address_header(name, part)) -- no tail call: an error counts the levels
  return values
end
function msg.text(_, value)
  with_message()
  if value ~= nil then error("mailwake does not replace a message's body; msg:text() reads it", 2) end
  guard(DEAR)
  local parts = array(api.text())
  if #parts > 1 then return parts end
  return parts[1] or ""
end
function msg.mailfrom(_, value)
  with_message()
  only_read("the sender", value)
  return api.fact("mailfrom")
end
function msg.rcptto(_, value)
  with_message()
  only_read("the recipient", value)
  return api.fact("rcptto")
end
function msg.routing_domain(_, value)
  with_message()
  only_read("the routing domain", value)
  return api.fact("routing_domain")
end
function msg.reception_peer(_, flag)
  with_message()
  return address_part(api.fact("reception_peer"), flag)
end
function msg.listener_addr(_, flag)
  with_message()
  return address_part(api.fact("listener_addr"), flag)
end
function msg.id()
  with_message()
  return api.fact("id")
end
function msg.get_message_size()
  with_message()
  return api.size()
end
function msg.discard(_, reason)
  with_message()
  guard(CHEAP)
  api.discard(reason ~= nil and text("the reason", reason) or "")
end

local vctx = {
  get = context_get, set = context_set, exists = context_exists, delete = context_delete,
  exists_and_get = context_exists_and_get,
}
local function refused(call, code, reason)
  if code ~= nil and not tonumber(code) then error(format("the code must be a number, not %s", tostring(code)), 3) end
  guard(CHEAP)
  local problem = call(tonumber(code), reason ~= nil and text("the text", reason, 3) or nil)
  if problem then error(problem, 3) end
end
function vctx.set_code(_, code, reason)
  if code == nil then error("set_code needs a code and a text", 2) end
  refused(api.set_code, code, reason)
end
function vctx.disconnect(_, code, reason) refused(api.disconnect, code, reason) end

local accept_fields = {}
for field in gmatch("remote_addr local_addr remote_ip remote_port listener ehlo_domain auth_user tls", "%S+") do
  accept_fields[field] = true
end
local missing_of_accept = missing("accept.")
local accept = setmetatable({}, {
  __metatable = false, __newindex = refuse_new, __tostring = function() return api.accept("remote_ip") end,
  __index = function(_, key)
    if not accept_fields[key] then missing_of_accept(nil, key) end
    guard(CHEAP)
    return api.accept(key)
  end,
})

local core = {
  VALIDATE_CONT = CONT, VALIDATE_DONE = DONE,
  ECMESS_CTX_MESS = MESS, ECMESS_CTX_CONN = CONN, VCTX_MESS = MESS, VCTX_CONN = CONN,
}
local msys = {}
local function open_module(path)
  return setmetatable({}, { __metatable = false, __index = missing(path .. ".") })
end
msys.core = setmetatable(core, { __metatable = false, __index = missing("msys.core.") })
msys.extended = open_module("msys.extended")
G.msys = setmetatable(msys, { __metatable = false, __index = missing("msys.") })
local modules = { msys = msys, ["msys.core"] = core, string = G.string, table = G.table, math = G.math }
for each in gmatch("message vctx ac message_routing", "%S+") do
  local of = open_module("msys.extended." .. each)
  msys.extended[each], modules["msys.extended." .. each] = of, of
end

function G.require(wanted)
  local found = modules[wanted]
  if found then return found end
  local names = {}
  for each in pairs(modules) do
    if match(each, "^msys") then names[#names + 1] = each end
  end
  sort(names)
  error(format("mailwake has no module %s; it has %s", tostring(wanted), concat(names, ", ")), 2)
end

local module_name
function msys.registerModule(name, mod)
  if type(name) ~= "string" or type(mod) ~= "table" then error("registerModule needs a name and a table of functions", 2) end
  if host.mod then
    error(format("a second module, %s, after %s: each needs a file of its own", name, module_name), 2)
  end
  host.mod, module_name = mod, name
end

function msys.expandMacro(value)
  value = text("the text", value)
  local contexts = { vctx_mess = MESS, vctx_conn = CONN }
  return (gsub(value, "%%{([^}]*)}", function(macro)
    local context, key = match(macro, "^(vctx_%a+):(.+)$")
    if not contexts[context] then error(format("mailwake has no macro %%{%s}", macro), 4) end
    guard(CHEAP)
    return api.context_get(contexts[context], key) or ""
  end))
end

function G.print(...)
  local shown = {}
  for index = 1, select("#", ...) do shown[index] = tostring((select(index, ...))) end
  guard(2)
  api.print(sub(concat(shown, "\t"), 1, 2000))
end

-- What the host calls.

local message_object = object(msg, "msg:", function() return "message " .. api.fact("id") end)
local context_object = object(vctx, "vctx:", function() return "validation context" end)

-- Loads the script and calls its init(); returns as host.call does.
function host.load(source_text)
  local chunk, problem = host.compile(source_text, "=" .. settings.name)
  if not chunk then return false, problem end
  host.phase = "load"
  host.reset(false)
  local well, result, where = host.call(chunk)
  if not well then return false, result, where end
  local mod = host.mod
  if not mod then return false, "registers no module: end it with msys.registerModule(\"NAME\", mod)" end
  if type(rawget(mod, "init")) == "function" then
    host.phase = "init"
    well, result, where = host.call(function() return mod:init() end)
    if not well then return false, result, where end
    if result == false then return false, "init() returned false" end
  end
  local names = {}
  for key, value in next, mod do -- their functions: which of them are phases is the host's to say
    if type(key) == "string" and type(value) == "function" then names[#names + 1] = key end
  end
  return true, concat(names, " ")
end

-- A function that calls one of the module's: by the letters of `order`, (m)essage, (s)tring, (a)ccept, (c)ontext.
function host.entry(phase, order)
  local mod = host.mod
  local calls = {
    ac = function() return mod[phase](mod, accept, context_object) end,
    sac = function(value) return mod[phase](mod, value, accept, context_object) end,
    mac = function() return mod[phase](mod, message_object, accept, context_object) end,
    msac = function(value) return mod[phase](mod, message_object, value, accept, context_object) end,
  }
  local call, has_message = calls[order], sub(order, 1, 1) == "m"
  -- 1: go on; 2: done; 0 and a text: nonsense; -1, a text, where, and whether memory ran out: an error.
  return function(value, tracing)
    host.phase, host.has_message = phase, has_message
    host.reset(tracing)
    local well, result, where = host.call(call, value)
    if not well then return -1, result, where, host.out_of_memory end
    if result == nil or result == CONT then return CONT end
    if result == DONE then return DONE end
    local kind = type(result)
    if kind == "string" then return 0, format("%q", sub(result, 1, 60)) end
    return 0, (kind == "number" or kind == "boolean") and tostring(result) or "a " .. kind
  end
end

return host
