-- Add a token under a name of its own.
-- KEYS: user, tokens, token names.  ARGV: token id, name, token JSON.
-- Returns 1, or 0 where the user is gone, or -1 where another token has the name.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local held = redis.call('HGET', KEYS[3], ARGV[2])
if held and held ~= ARGV[1] then return -1 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[1])
return 1
