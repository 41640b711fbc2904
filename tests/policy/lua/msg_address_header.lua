require("msys.core")
require("msys.extended.message")
local core = msys.core
local mod = {}
function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  assert(msg:address_header("From", "domain")[1] == "Shop.example")
  assert(msg:address_header("From", "localpart")[1] == "ann+news")
  assert(msg:address_header("From", "user")[1] == "ann")
  assert(msg:address_header("From", "detail")[1] == "news")
  assert(msg:address_header("From")[1] == "ann+news@Shop.example")
  local all = msg:address_header("To", "all")
  assert(#all == 2 and all[1] == "bob@gmail.example" and all[2] == "carol+x@other.example")
  assert(#msg:address_header("Cc", "domain") == 0)
  local well, problem = pcall(msg.address_header, msg, "From", "street")
  assert(not well and problem:find("an address has no 'street'", 1, true), problem)
  return core.VALIDATE_CONT
end
msys.registerModule("test", mod)
