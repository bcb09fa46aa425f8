-- Remove a token.
-- KEYS: tokens, token names.  ARGV: token id.
-- Returns 1 if it was there.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held then return 0 end
local name = cjson.decode(held).name  -- not the one the caller read: it may have been renamed since
if redis.call('HGET', KEYS[2], name) == ARGV[1] then redis.call('HDEL', KEYS[2], name) end
return redis.call('HDEL', KEYS[1], ARGV[1])
