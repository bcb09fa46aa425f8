-- Change an app's record and its collaborators in one step, and log it.
-- KEYS: app, collaborators, log.
-- ARGV: deadline in ms of server time or 0, organization the app must still belong to, number of
--       events, these, number of record fields and values, these, then pairs of user id and
--       permission ('' removes).
-- Returns 1, or 0 where the app is gone or has moved, or -1 when it is too late.
if redis.call('HGET', KEYS[1], 'organization_id') ~= ARGV[2] then return 0 end
local deadline = tonumber(ARGV[1])
if deadline > 0 then
  local time = redis.call('TIME')
  if time[1] * 1000 + time[2] / 1000 > deadline then return -1 end
end
local at = 4 + tonumber(ARGV[3])
for i = 4, at - 1 do redis.call('XADD', KEYS[3], '*', 'e', ARGV[i]) end
local count = tonumber(ARGV[at])
for i = at + 1, at + count, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = at + count + 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[2], ARGV[i])
  else
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end
return 1
