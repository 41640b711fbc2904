require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_connect(accept, vctx)
  vctx:disconnect(421, "Go away")
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
