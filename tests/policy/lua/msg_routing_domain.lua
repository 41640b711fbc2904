require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:routing_domain() == "gmail.example")
  local well, problem = pcall(msg.routing_domain, msg, "sink.example")
  assert(not well and problem:find("mailwake does not change the routing domain", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
