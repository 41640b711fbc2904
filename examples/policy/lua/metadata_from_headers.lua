-- X-Order and X-Shop come back with every click, as metadata.
require("msys.core");
require("msys.extended.message");

local fields = { { "X-Order", "order" }, { "X-Shop", "shop" } };
local mod = {};

local function json_string(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"';
end

function mod:validate_data_spool_each_rcpt(msg, accept, vctx)
  local pairs_of = {};
  for _, field in ipairs(fields) do
    local value = msg:header(field[1])[1];
    if value then
      table.insert(pairs_of, json_string(field[2]) .. ":" .. json_string(value));
    end
  end
  if #pairs_of > 0 then
    msg:context_set(msys.core.ECMESS_CTX_MESS, "smtpapi_metadata", "{" .. table.concat(pairs_of, ",") .. "}");
  end
  return msys.core.VALIDATE_CONT;
end

msys.registerModule("metadata_from_headers", mod);
