-- Every request brings another token. Arguments after `--`: file, first token, length of one line, path.
-- The file holds tokens of one length, one a line, so that a run can begin where the last one ended.

local file, length, path, head, count, first

function init(args)
  local name = args[1]
  first, length, path = tonumber(args[2]), tonumber(args[3]), args[4]
  file = assert(io.open(name, "rb"))
  count = file:seek("end") / length
  file:seek("set", (first % count) * length)
  head = "GET " .. path .. " HTTP/1.1\r\nHost: " .. wrk.host .. "\r\nAuthorization: Bearer "
end

function request()
  local token = file:read("*l")
  if token == nil then
    file:seek("set", 0)
    token = file:read("*l")
  end
  return head .. token .. "\r\n\r\n"
end
