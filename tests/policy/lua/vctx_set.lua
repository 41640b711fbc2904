require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_mailfrom(str, accept, vctx)
  vctx:set(core.VCTX_CONN, "mo_customer_id", 42)
  vctx:set(core.VCTX_MESS, "sender", str)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
