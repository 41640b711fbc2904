require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:context_get(core.ECMESS_CTX_CONN, "auth_user") == "alice")
  assert(msg:context_get(core.ECMESS_CTX_MESS, "auth_user") == "")
  assert(msg:context_get(core.ECMESS_CTX_MESS, "given") == "Grüße")
  msg:context_set(core.ECMESS_CTX_MESS, "number", 17)
  assert(msg:context_get(core.ECMESS_CTX_MESS, "number") == "17")
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
