-- Write a new record, unless the claims it rests on have grown too old to trust.
-- KEYS: record hash, then sets, hashes and logs that belong to it.
-- ARGV: deadline in ms of server time, number of record fields, the fields and values, then for
--       each further key a command (SADD, HSET or XADD), its number of arguments, the arguments.
-- Returns 1 when the record is there (also from an earlier try), -1 when it is too late.
if redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then return -1 end
local at = 2
local function take()
  local count = tonumber(ARGV[at])
  local values = {}
  for i = 1, count do values[i] = ARGV[at + i] end
  at = at + count + 1
  return values
end
redis.call('HSET', KEYS[1], unpack(take()))
for k = 2, #KEYS do
  local command = ARGV[at]
  at = at + 1
  redis.call(command, KEYS[k], unpack(take()))
end
return 1
