-- Count a request in a fixed window, which begins with its first one.
-- KEYS: counter.  ARGV: how many to count, window in ms.
-- Returns {number counted in the window, ms until its end, its end in ms since 1970}.
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = tonumber(ARGV[2])
end
return {count, left, redis.call('PEXPIRETIME', KEYS[1])}
