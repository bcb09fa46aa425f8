-- Replace a token's record, possibly under a new name.
-- KEYS: tokens, token names.  ARGV: token id, old name, new name, token JSON.
-- Returns 1, or 0 where the token is gone, or -1 where another token has the new name.
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[1] then return 0 end
local held = redis.call('HGET', KEYS[2], ARGV[3])
if held and held ~= ARGV[1] then return -1 end
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
return 1
