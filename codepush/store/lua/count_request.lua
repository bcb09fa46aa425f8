-- Count a request in a fixed window, which begins with its first one.
-- KEYS: counter.  ARGV: how many to count, window in ms.
-- Returns {number counted in the window, ms until its end, its end in ms since 1970}.
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
local window = tonumber(ARGV[2])
-- A window never has more left than its length, unless the clock jumped back: it would last as much longer.
if left < 0 or left > window then
  count, left = tonumber(ARGV[1]), window
  redis.call('SET', KEYS[1], count, 'PX', left)
end
return {count, left, redis.call('PEXPIRETIME', KEYS[1])}
