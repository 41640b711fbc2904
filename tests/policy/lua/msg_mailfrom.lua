require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:mailfrom() == "ann@shop.example")
  local well, problem = pcall(msg.mailfrom, msg, "other@shop.example")
  assert(not well and problem:find("mailwake does not change the sender", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
