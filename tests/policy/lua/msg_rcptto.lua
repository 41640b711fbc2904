require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:rcptto() == "bob@gmail.example")
  local well, problem = pcall(msg.rcptto, msg, "other@shop.example")
  assert(not well and problem:find("mailwake does not change the recipient", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
