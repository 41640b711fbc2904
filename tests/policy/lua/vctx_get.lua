require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(vctx:get(core.VCTX_CONN, "auth_user") == "alice")
  assert(vctx:get(core.VCTX_MESS, "given") == "Grüße")
  assert(vctx:get(core.VCTX_MESS, "missing") == "")
  assert(tostring(vctx) == "validation context")
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
