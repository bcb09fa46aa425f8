-- Add a webhook to its organization, and log it.
-- KEYS: webhooks, webhook, head, log.
-- ARGV: most webhooks of an organization, id, sequence number that the first one's news begin after,
--       event, then fields and values.
-- Returns 1, or 0 where there are too many.
if redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
local count = redis.call('SCARD', KEYS[1])
if count >= tonumber(ARGV[1]) then return 0 end
if count == 0 then redis.call('SET', KEYS[3], ARGV[3]) end
redis.call('SADD', KEYS[1], ARGV[2])
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('XADD', KEYS[4], '*', 'e', ARGV[4])
return 1
