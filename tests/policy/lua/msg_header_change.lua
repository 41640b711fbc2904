require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:header("X-Campaign", "red monday") == true)
  assert(msg:header("X-Raw", "again " .. msg:header("X-Raw")[1], "replace"))
  assert(msg:header("X-Tag", "three", "append"))
  assert(msg:header("X-First", "1", "prepend"))
  assert(msg:header("X-List", { "a", "b" }))
  assert(msg:header("X-Word", "Grüße"))
  assert(msg:header("To", ""))
  assert(#msg:header("To") == 0 and #msg:header("X-Tag") == 3 and #msg:header("X-List") == 2)
  assert(msg:header("X-Word")[1] == "Grüße")
  for _, wrong in ipairs({ { "X-A", "a\r\nBcc: x" }, { "a b", "x" }, { "X-A", "x", "insert" }, { "X-A", { {} } } }) do
    local well, problem = pcall(msg.header, msg, unpack(wrong))
    assert(not well and type(problem) == "string")
  end
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
