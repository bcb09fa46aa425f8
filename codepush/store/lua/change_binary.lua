-- Register or forget a binary of an app, and log it.
-- KEYS: app, binaries, log.  ARGV: package hash, binary JSON or '' to forget it, event.
-- Returns 1, or 0 where the app is gone, or -1 where there is no such binary to forget.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
elseif redis.call('HDEL', KEYS[2], ARGV[1]) == 0 then
  return -1
end
redis.call('XADD', KEYS[3], '*', 'e', ARGV[3])
return 1
