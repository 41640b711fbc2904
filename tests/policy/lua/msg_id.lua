require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:id() == "0001abcd" and tostring(msg) == "message 0001abcd")
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
