-- Each customer's links go over a host name of its own.
require("msys.core");
require("msys.extended.message");

local mod = {};

function mod:init()
  self.hosts = { ["1042"] = "links.shop.example", ["1043"] = "click.bank.example" };
  return true;
end

function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  local exists, customer = msg:context_exists_and_get(msys.core.ECMESS_CTX_CONN, "mo_customer_id");
  if exists == 1 and self.hosts[customer] then
    msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_tracking_domain", self.hosts[customer]);
    msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_click_tracking_scheme", "https");
    msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_open_tracking_scheme", "https");
  end
  return msys.core.VALIDATE_CONT;
end

msys.registerModule("tracking_domain_by_customer", mod);
