require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  local parts = msg:text()
  assert(#parts == 2, #parts)
  assert(parts[1] == "Grüße aus dem ersten Teil")
  assert(parts[2] == "<p>Grüße</p>", parts[2])
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
