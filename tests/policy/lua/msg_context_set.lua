require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  msg:context_set(core.ECMESS_CTX_MESS, "text", "Grüße")
  msg:context_set(core.ECMESS_CTX_CONN, "number", 1)
  msg:context_set(core.ECMESS_CTX_MESS, "fraction", 1.5)
  msg:context_set(core.ECMESS_CTX_MESS, "empty", "")
  for _, value in ipairs({ true, {}, print }) do
    local well, problem = pcall(msg.context_set, msg, core.ECMESS_CTX_MESS, "x", value)
    assert(not well and problem:find("context variables are always strings; x was given a " .. type(value), 1, true), problem)
  end
  assert(not pcall(msg.context_set, msg, core.ECMESS_CTX_MESS, "x"))
  local well, problem = pcall(msg.context_set, msg, 7, "x", "y")
  assert(not well and problem:find("ECMESS_CTX_MESS", 1, true), problem)
  well, problem = pcall(msg.context_set, msg, core.ECMESS_CTX_MESS, "x", "caf\233")
  assert(not well and problem:find("text in UTF-8", 1, true), problem)
  well, problem = pcall(msg.context_set, msg, core.ECMESS_CTX_MESS, nil, "y")
  assert(not well and problem:find("must be a string", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
