require("msys.core");
local mod = {};
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_campaign_id", "black friday");
  msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_click_tracking", "1");
  return msys.core.VALIDATE_CONT;
end
msys.registerModule("mypolicy", mod);
