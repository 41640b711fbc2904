require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_rcptto(msg, str, accept, vctx)
  for _, wrong in ipairs({ { 99, "x" }, { "abc", "x" }, { 550, {} }, { 550, "4.1.1 x" }, {} }) do
    assert(not pcall(vctx.set_code, vctx, unpack(wrong)))
  end
  vctx:set_code("451", "4.7.1 later")
  vctx:set_code(250)
  vctx:set_code(550, "5.7.1 " .. str .. " is unwanted")
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
