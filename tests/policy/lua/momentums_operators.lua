require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  local a, b = "!=", nil -- in a comment: != !
  if a != "!=" or !(b == nil) then error("!" .. [[ != ]]) end
  assert(!b and a == '!=' and "\"!=" == '"!=' and [==[!]]]==] == "!]]")
  --[[ != ]] assert(#"!" == 1)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
