-- Recipients of load tests are accepted, counted and thrown away; all others get a header field.
require("msys.core");
require("msys.extended.message");

local mod = {};

function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  if msg:rcptto():match("@sink%.example$") then
    msg:discard("a load test from " .. msg:reception_peer("ip"));
    return msys.core.VALIDATE_DONE;
  end
  msg:header("X-Received-Through", "mailwake " .. msg:listener_addr("port"), "append");
  return msys.core.VALIDATE_CONT;
end

msys.registerModule("discard_load_tests", mod);
