require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  msg:discard()
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
