require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(core.VALIDATE_CONT ~= core.VALIDATE_DONE and core.ECMESS_CTX_MESS ~= core.ECMESS_CTX_CONN)
  assert(core.VCTX_MESS == core.ECMESS_CTX_MESS and core.VCTX_CONN == core.ECMESS_CTX_CONN)
  local well, problem = pcall(function() return core.VALIDATE_AGAIN end)
  assert(not well and problem:find("mailwake has no msys.core.VALIDATE_AGAIN; a policy is asked once", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
