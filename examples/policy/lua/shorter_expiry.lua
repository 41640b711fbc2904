-- Links that let somebody in are answered for a day, all others for 90 days.
require("msys.core");
require("msys.extended.message");

local DAY = 24 * 60 * 60;
local mod = {};

function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  local subject = msg:header("Subject")[1] or "";
  local days = 90;
  if subject:lower():find("password", 1, true) or subject:lower():find("sign in", 1, true) then
    days = 1;
  end
  msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_tracking_link_expiry", days * DAY);
  return msys.core.VALIDATE_CONT;
end

msys.registerModule("shorter_expiry", mod);
