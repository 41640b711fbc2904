require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_connect(accept, vctx)
  assert(tostring(accept) == "192.0.2.7")
  assert(accept.remote_addr == "192.0.2.7:40123" and accept.local_addr == "127.0.0.1:2525")
  assert(accept.remote_ip == "192.0.2.7" and accept.remote_port == 40123 and accept.listener == "127.0.0.1:2525")
  assert(accept.auth_user == "alice" and accept.ehlo_domain == "client.example" and accept.tls == true)
  local well, problem = pcall(function() return accept.fd end)
  assert(not well and problem:find("mailwake has no accept.fd", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
