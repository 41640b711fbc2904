-- A tag for each large mailbox provider, to compare how their readers open and click.
require("msys.core");
require("msys.extended.message");
require("msys.extended.message_routing");

local providers = {
  ["gmail.example"] = "gmail",
  ["googlemail.example"] = "gmail",
  ["outlook.example"] = "microsoft",
  ["hotmail.example"] = "microsoft",
};
local mod = {};

function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  local provider = providers[msg:routing_domain()] or "other";
  msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_tags", '["provider ' .. provider .. '"]');
  return msys.core.VALIDATE_CONT;
end

msys.registerModule("tags_by_recipient_domain", mod);
