-- The campaign stands in X-Campaign, as many senders have it already; the header itself stays here.
require("msys.core");
require("msys.extended.message");

local mod = {};

function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  local campaign = msg:header("X-Campaign")[1];
  if campaign != nil then
    msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_campaign_id", campaign:sub(1, 64));
    msg:header("X-Campaign", "");
  end
  return msys.core.VALIDATE_CONT;
end

msys.registerModule("campaign_from_header", mod);
