-- Momentum asks validate_data when the message has come, before validate_data_spool.
local mod = {}
function mod:validate_data(msg, accept, vctx)
  assert(msg:header("X-Campaign")[1] == "black friday")
  vctx:set(msys.core.VCTX_MESS, "order", "data")
  return msys.core.VALIDATE_DONE
end
function mod:validate_data_spool(msg, accept, vctx)
  vctx:set(msys.core.VCTX_MESS, "order", vctx:get(msys.core.VCTX_MESS, "order") .. " spool")
  return msys.core.VALIDATE_CONT
end
msys.registerModule("test", mod)
