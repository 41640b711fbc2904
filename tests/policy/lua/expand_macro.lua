require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msys.expandMacro("user %{vctx_conn:auth_user}, %{vctx_mess:given}%{vctx_mess:missing}.") == "user alice, Grüße.")
  local well, problem = pcall(msys.expandMacro, "%{ec:hostname}")
  assert(not well and problem:find("mailwake has no macro %{ec:hostname}", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
