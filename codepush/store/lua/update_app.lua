-- Change an app's record and its collaborators in one step, if they are still as read, and log it.
-- KEYS: app, collaborators, log.
-- ARGV: deadline in ms of server time or 0, organization and version that the app must still have,
--       number of events, these, number of record fields and values, these, then for each user whose
--       permission changes: id, permission that they must still have, new permission ('' is none).
-- Returns 1, or 0 where the app is gone or has moved, -1 when it is too late, -2 where its version
-- or one of those permissions is another by now. A changed record is a new version: a name that is
-- changed to and fro is the same again, and the claims on it are not.
local held = redis.call('HMGET', KEYS[1], 'organization_id', 'version')
if held[1] ~= ARGV[2] then return 0 end
if (held[2] or '0') ~= ARGV[3] then return -2 end
local deadline = tonumber(ARGV[1])
if deadline > 0 then
  local time = redis.call('TIME')
  if time[1] * 1000 + time[2] / 1000 > deadline then return -1 end
end
local fields = 5 + tonumber(ARGV[4])
local users = fields + 1 + tonumber(ARGV[fields])
for i = users, #ARGV, 3 do
  if (redis.call('HGET', KEYS[2], ARGV[i]) or '') ~= ARGV[i + 1] then return -2 end
end
for i = 5, fields - 1 do redis.call('XADD', KEYS[3], '*', 'e', ARGV[i]) end
if users > fields + 1 then redis.call('HINCRBY', KEYS[1], 'version', 1) end
for i = fields + 1, users - 1, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = users, #ARGV, 3 do
  if ARGV[i + 2] == '' then
    redis.call('HDEL', KEYS[2], ARGV[i])
  else
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
  end
end
return 1
