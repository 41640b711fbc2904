-- A customer sends from its own domains only; whoever guesses at others is shown the door.
require("msys.core");
require("msys.extended.vctx");

local domains = { ["1042"] = { ["shop.example"] = true }, ["1043"] = { ["bank.example"] = true } };
local mod = {};

function mod:validate_mailfrom(str, accept, vctx)
  local own = domains[vctx:get(msys.core.VCTX_CONN, "mo_customer_id")];
  local domain = tostring(str):match("@([^@>]+)>?$");
  if own == nil then
    vctx:disconnect(421, "4.7.0 No customer of ours");
    return msys.core.VALIDATE_DONE;
  end
  if domain and !own[domain:lower()] then
    vctx:set_code(550, "5.7.1 " .. domain .. " is no domain of yours");
    return msys.core.VALIDATE_DONE;
  end
  return msys.core.VALIDATE_CONT;
end

msys.registerModule("senders_of_a_customer", mod);
