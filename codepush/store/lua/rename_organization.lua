-- Rename an organization, if it is still as read, and log it.
-- KEYS: organization, log.  ARGV: deadline in ms of server time, version read, new name, event.
-- Returns 1, or -1 when it is too late, -2 where it was renamed meanwhile.
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[2] then return -2 end
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then return -1 end
redis.call('HSET', KEYS[1], 'name', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('XADD', KEYS[2], '*', 'e', ARGV[4])
return 1
