-- Accounts are named CUSTOMER-PURPOSE, as in 1042-newsletter: the customer is what stands before the hyphen.
require("msys.core");
require("msys.extended.vctx");

local mod = {};

function mod:validate_auth(user, accept, vctx)
  local customer = user:match("^(%d+)%-");
  if customer == nil then
    vctx:set_code(535, "5.7.8 Accounts are named CUSTOMER-PURPOSE");
    return msys.core.VALIDATE_DONE;
  end
  vctx:set(msys.core.VCTX_CONN, "mo_customer_id", customer);
  return msys.core.VALIDATE_CONT;
end

msys.registerModule("customer_from_auth", mod);
