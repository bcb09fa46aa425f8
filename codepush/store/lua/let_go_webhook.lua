-- Give a webhook back that a worker took.
-- KEYS: webhook, its queue, organization's queue of webhooks.
-- ARGV: id, who took it.
-- Returns 1, or 0 where another worker has it.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'holder', 'held_until')
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if redis.call('HGET', KEYS[1], 'disabled') == '' and first[1] then
  redis.call('ZADD', KEYS[3], first[2], ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return 1
