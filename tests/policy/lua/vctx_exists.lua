require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(vctx:exists(core.VCTX_CONN, "auth_user") == 1 and vctx:exists(core.VCTX_MESS, "auth_user") == 0)
  assert(vctx:delete(core.VCTX_MESS, "given") == 1 and vctx:exists(core.VCTX_MESS, "given") == 0)
  local exists, value = vctx:exists_and_get(core.VCTX_CONN, "auth_user")
  assert(exists == 1 and value == "alice")
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
