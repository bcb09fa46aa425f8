-- Register or forget a binary of an app, and log it.
-- KEYS: app, binaries, log.  ARGV: package hash, binary JSON or '' to forget it, event,
--       organization that the app must still have, how many binaries there may be.
-- Returns 1, or 0 where the app is gone or has moved, or -1 where there is no such binary to
-- forget, or -2 where there are as many already.
if redis.call('HGET', KEYS[1], 'organization_id') ~= ARGV[4] then return 0 end
if ARGV[2] ~= '' then
  if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0
      and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then return -2 end
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
elseif redis.call('HDEL', KEYS[2], ARGV[1]) == 0 then
  return -1
end
redis.call('XADD', KEYS[3], '*', 'e', ARGV[3])
return 1
