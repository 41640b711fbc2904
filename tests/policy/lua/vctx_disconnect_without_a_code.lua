require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_connect(accept, vctx)
  vctx:disconnect()
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
