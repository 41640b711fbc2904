require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  local exists, value = msg:context_exists_and_get(core.ECMESS_CTX_CONN, "auth_user")
  assert(exists == 1 and value == "alice")
  exists, value = msg:context_exists_and_get(core.ECMESS_CTX_MESS, "auth_user")
  assert(exists == 0 and value == nil)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
