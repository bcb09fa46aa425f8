-- Note fields of a hash that belongs to an app, unless the app is gone: its keys must not come back.
-- KEYS: app, hash.  ARGV: field and value, each time.
-- Returns 1, or 0 where the app is gone.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], unpack(ARGV))
return 1
