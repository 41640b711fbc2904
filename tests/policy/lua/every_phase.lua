local mod = { calls = 0 }
local function note(vctx, text) vctx:set(msys.core.VCTX_CONN, "last", text) end
function mod:validate_connect(accept, vctx) self.calls = self.calls + 1 note(vctx, "connect " .. tostring(accept)) end
function mod:validate_ehlo(str, accept, vctx) note(vctx, "ehlo " .. str) end
function mod:validate_auth(user, accept, vctx) note(vctx, "auth " .. user) end
function mod:validate_mailfrom(str, accept, vctx) note(vctx, "mailfrom " .. str) end
function mod:validate_rcptto(msg, str, accept, vctx) note(vctx, "rcptto " .. str .. " " .. msg:rcptto()) end
function mod:validate_data(msg, accept, vctx) note(vctx, "data " .. msg:mailfrom()) end
function mod:validate_data_spool(msg, accept, vctx) note(vctx, "data_spool " .. msg:mailfrom()) end
function mod:validate_data_spool_each_rcpt(msg, accept, vctx) note(vctx, "each " .. msg:rcptto()) end
function mod:init() self.calls = 0 return true end
function mod:deinit() error("never called") end
msys.registerModule("test", mod)
