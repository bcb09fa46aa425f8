-- Remove a token.
-- KEYS: tokens, token names.  ARGV: token id, name.
-- Returns 1 if it was there.
if redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[1] then redis.call('HDEL', KEYS[2], ARGV[2]) end
return redis.call('HDEL', KEYS[1], ARGV[1])
