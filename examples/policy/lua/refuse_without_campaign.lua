-- Bulk mail (it has List-Unsubscribe) must name its campaign.
require("msys.core");
require("msys.extended.message");
require("msys.extended.vctx");

local mod = {};

function mod:validate_data_spool(msg, accept, vctx)
  if #msg:header("List-Unsubscribe") > 0 and #msg:header("X-Campaign") == 0 then
    print("no campaign from " .. msg:mailfrom() .. " at " .. tostring(accept));
    vctx:set_code(550, "5.7.1 Bulk mail needs an X-Campaign header");
    return msys.core.VALIDATE_DONE;
  end
  return msys.core.VALIDATE_CONT;
end

msys.registerModule("refuse_without_campaign", mod);
