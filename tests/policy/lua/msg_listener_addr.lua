require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:listener_addr() == "127.0.0.1:2525" and msg:listener_addr("all") == "127.0.0.1:2525")
  assert(msg:listener_addr("ip") == "127.0.0.1" and msg:listener_addr("port") == "2525")
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
