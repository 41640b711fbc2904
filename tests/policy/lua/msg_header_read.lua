require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:header("x-campaign")[1] == "black friday")
  assert(#msg:header("X-Missing") == 0)
  local tags = msg:header("X-Tag")
  assert(#tags == 2 and tags[1] == "one" and tags[2] == "two")
  assert(unpack(msg:header("Subject")) == "Grüße")
  assert(msg:header("X-Raw")[1] == "caf\233")
  local well, problem = pcall(msg.header, msg)
  assert(not well and problem:find("the name of a header field must be a string", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
