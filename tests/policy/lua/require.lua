require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  for _, name in ipairs({ "msys", "msys.core", "msys.extended.message", "msys.extended.vctx", "msys.extended.ac",
                          "msys.extended.message_routing" }) do
    assert(require(name))
  end
  assert(require("msys") == msys and require("msys.core") == msys.core)
  local well, problem = pcall(require, "msys.pcre")
  assert(not well and problem:find("mailwake has no module msys.pcre; it has msys, msys.core", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
