require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:text() == "Hello there\r\n")
  assert(not pcall(msg.text, msg, "another body"))
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
