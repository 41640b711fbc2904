-- As in Momentum, where scripts of this phase read the message.
local mod = {}
function mod:validate_data(msg, accept, vctx)
  vctx:set(msys.core.VCTX_MESS, "seen", msg:header("X-Campaign")[1])
  assert(msg:text() == "Hello there\r\n")
end
msys.registerModule("test", mod)
