-- No tracking for recipients who must not be tracked, whatever the header says.
require("msys.core");
require("msys.extended.message_routing");

local untracked = { "authority.example", "hospital.example" };
local mod = {};

function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  local domain = msg:routing_domain();
  for _, each in ipairs(untracked) do
    if domain == each or domain:sub(-#each - 1) == "." .. each then
      vctx:set(msys.core.VCTX_MESS, "smtpapi_open_tracking", "0");
      vctx:set(msys.core.VCTX_MESS, "smtpapi_click_tracking", "0");
      return msys.core.VALIDATE_DONE;
    end
  end
  return msys.core.VALIDATE_CONT;
end

msys.registerModule("tracking_off_for_domain", mod);
