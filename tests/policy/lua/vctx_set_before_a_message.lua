require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_ehlo(str, accept, vctx)
  vctx:set(core.VCTX_CONN, "seen", str)
  assert(vctx:get(core.VCTX_MESS, "seen") == "")
  local well, problem = pcall(vctx.set, vctx, core.VCTX_MESS, "seen", str)
  assert(not well and problem:find("there is no message yet", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
