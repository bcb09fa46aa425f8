-- Change fields of a webhook, and log it.
-- KEYS: webhook, its queue, organization's queue of webhooks, log.
-- ARGV: id, event, a field that must be as it was read or '', its value, then fields and values.
-- Returns 1, 0 where the webhook is gone, or -1 where that field is another.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[3] ~= '' and redis.call('HGET', KEYS[1], ARGV[3]) ~= ARGV[4] then return -1 end
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
-- What its endpoint asked for was asked of the webhook as it was.
redis.call('HDEL', KEYS[1], 'quiet_until')
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if redis.call('HGET', KEYS[1], 'disabled') == '' and first[1] then
  redis.call('ZADD', KEYS[3], first[2], ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
end
redis.call('XADD', KEYS[4], '*', 'e', ARGV[2])
return 1
