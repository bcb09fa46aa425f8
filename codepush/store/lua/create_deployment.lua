-- Add a deployment to an app, and log it.
-- KEYS: app, deployments, deployment, log.
-- ARGV: deadline in ms of server time, name, id, event, organization, then the record's fields and values.
-- Returns 1, or 0 where the app is gone or has moved, -1 where the name is taken, -2 when it is too late.
if redis.call('HGET', KEYS[1], 'organization_id') ~= ARGV[5] then return 0 end
local held = redis.call('HGET', KEYS[2], ARGV[2])
if held then return held == ARGV[3] and 1 or -1 end
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then return -2 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[3], unpack(ARGV, 6))
redis.call('XADD', KEYS[4], '*', 'e', ARGV[4])
return 1
