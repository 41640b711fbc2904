require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:context_exists(core.ECMESS_CTX_CONN, "auth_user") == 1)
  assert(msg:context_exists(core.ECMESS_CTX_MESS, "auth_user") == 0)
  msg:context_set(core.ECMESS_CTX_MESS, "empty", "")
  assert(msg:context_exists(core.ECMESS_CTX_MESS, "empty") == 1)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
