require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:reception_peer() == "192.0.2.7:40123" and msg:reception_peer("all") == "192.0.2.7:40123")
  assert(msg:reception_peer("ip") == "192.0.2.7" and msg:reception_peer("port") == "40123")
  assert(not pcall(msg.reception_peer, msg, "name"))
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
