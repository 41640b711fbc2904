require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  local size = msg:get_message_size()
  assert(type(size) == "number" and size > 200)
  msg:header("X-New", "12345")
  assert(msg:get_message_size() == size + #"X-New: 12345\r\n")
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
