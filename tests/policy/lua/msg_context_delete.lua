require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:context_delete(core.ECMESS_CTX_MESS, "given") == 1)
  assert(msg:context_delete(core.ECMESS_CTX_MESS, "given") == 0)
  assert(msg:context_get(core.ECMESS_CTX_MESS, "given") == "")
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
