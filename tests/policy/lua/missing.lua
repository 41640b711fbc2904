require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  for name, call in pairs({
    ["msg:binding"] = function() msg:binding("x") end,
    ["vctx:add_recipient"] = function() vctx:add_recipient("x") end,
    ["msys.dnsLookup"] = function() msys.dnsLookup("x", "MX") end,
    ["msys.core.get_now_ts"] = function() msys.core.get_now_ts() end,
    ["msys.extended.message.x"] = function() msys.extended.message.x() end,
    ["io.open"] = function() io.open("x") end,
  }) do
    local well, problem = pcall(call)
    assert(not well and problem:find("mailwake has no " .. name, 1, true), problem)
  end
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
