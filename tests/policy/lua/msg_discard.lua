require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  msg:discard("550 5.7.0 not for us")
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
